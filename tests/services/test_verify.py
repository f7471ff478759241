"""The verifier finds whatever is done to the log or the tables behind the product's back, and says where."""

import secrets

import pytest
from sqlalchemy import insert, select

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import leaf_hash
from outreach.domain.consent import Event
from outreach.domain.errors import NotAllowedError
from outreach.services.consents import apply_event
from outreach.services.context import Context
from outreach.services.seal import checkpoint_file, seal
from outreach.services.verify import Verdict, verify, verify_now
from outreach.store.audit import Entry, record
from outreach.store.audit_log import ENTRY_COLUMNS, stored_bytes
from outreach.store.contacts import Person
from outreach.store.messages import Settled, settle
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.tampering import loosen

RECIPIENT = Actor("recipient")


@pytest.fixture
def log(ctx: Context, world: World) -> World:
    """300 entries of staff's, then 3 people's consents, then 4 messages with their ends; sealed in three batches."""
    with ctx.db.transaction() as conn:
        record(conn, 1, *(Entry(kind="topic.created", actor="engine", body={"n": n}) for n in range(300)))
    seal(ctx, 1)
    topic, text = world.topic()
    people = [world.person() for _ in range(3)]
    for person in people:
        change(ctx, person, topic, Event.REQUESTED, text)
        change(ctx, person, topic, Event.CONFIRMED, text)
    change(ctx, people[1], topic, Event.WITHDRAWN)
    seal(ctx, 1)
    for state, reason in (("sent", None), ("withheld", "withdrawn"), ("failed", "refused"), ("unknown", "no_reply")):
        settled(ctx, people[0], state, reason)
    waiting(ctx, people[2])
    seal(ctx, 1)
    return world


def change(ctx: Context, person: Person, topic: int, event: Event, text: int | None = None) -> None:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        apply_event(conn, ctx, now, actor=RECIPIENT, contact_id=person.id, topic_id=topic, event=event, text_id=text)


def waiting(ctx: Context, person: Person, state: str = "planned") -> int:
    with ctx.db.transaction() as conn:
        query = insert(message).values(
            ref=secrets.token_bytes(16),
            origin="notice",
            kind="service",
            lane="3-notice",
            contact=person.id,
            mailbox=person.mailbox,
            state=state,
            planned=1,
            due=1,
        )
        return int(conn.execute(query.returning(message.c.id)).scalar_one())


def settled(ctx: Context, person: Person, state: str, reason: str | None) -> None:
    made = waiting(ctx, person, "attempted")
    with ctx.db.transaction() as conn:
        settle(conn, ctx.db.now(conn), [Settled(made, state, reason)], "attempted")


def said(verdict: Verdict) -> str:
    return "\n".join(verdict.lines())


def place(ctx: Context, kind: str) -> int:
    with ctx.db.reading() as conn:
        query = select(audit_leaf.c.position).join(audit_entry, audit_entry.c.id == audit_leaf.c.entry)
        ordered = query.where(audit_entry.c.kind == kind).order_by(audit_leaf.c.position)
        return int(conn.execute(ordered.limit(1)).scalar_one())


def test_an_untouched_log_is_clean(ctx: Context, log: World) -> None:
    verdict = verify(ctx)
    assert verdict.is_clean, said(verdict)
    assert (verdict.size, verdict.checkpoints, verdict.consents, verdict.messages) == (311, 3, 3, 5)
    assert verdict.lines()[0] == "audit verify: all is well"


def test_an_empty_log_is_clean(ctx: Context) -> None:
    assert verify(ctx).is_clean


def test_entries_still_waiting_are_counted_not_blamed(ctx: Context, log: World) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine"))
    verdict = verify(ctx)
    assert verdict.is_clean
    assert verdict.pending == 1


ENTRY = "UPDATE audit_entry SET {} WHERE id = (SELECT entry FROM audit_leaf WHERE position = 42)"
AT_42 = "(SELECT entry FROM audit_leaf WHERE position = 42)"


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ((ENTRY.format("body = '{\"n\":43}'"),), "entry 42: it was changed"),
        ((ENTRY.format("at = at + 1"),), "entry 42: it was changed"),
        ((ENTRY.format("kind = 'topic.closed'"),), "entry 42: it was changed"),
        ((ENTRY.format("actor = 'console'"),), "entry 42: it was changed"),
        ((ENTRY.format("contact = nonce"),), "entry 42: it was changed"),
        ((f"DELETE FROM audit_entry WHERE id = {AT_42}",), "entry 42: it was deleted"),
        (("DELETE FROM audit_leaf WHERE position = 42",), "entry 42: it is missing"),
        (("DELETE FROM audit_leaf WHERE position = 305",), "entry 305: it is missing"),
        (("DELETE FROM audit_leaf WHERE position BETWEEN 40 AND 44",), "entry 40: it is missing from the tree, as is"),
        (("DELETE FROM audit_leaf WHERE position = 42", f"DELETE FROM audit_entry WHERE id = {AT_42}"), "entry 42"),
        (
            (
                "UPDATE audit_leaf SET entry = -1 WHERE position = 42",
                "UPDATE audit_leaf SET entry = entry + 1 WHERE position = 41",
                "UPDATE audit_leaf SET entry = (SELECT entry - 1 FROM audit_leaf WHERE position = 41) "
                "WHERE position = 42",
            ),
            "entry 41: it was changed or moved",
        ),
        (("UPDATE audit_leaf SET hash = root FROM checkpoint WHERE position = 42 AND size = 300",), "entry 42"),
        (("UPDATE audit_leaf SET hash = root FROM checkpoint WHERE position = 304 AND size = 300",), "entry 304"),
        (("UPDATE audit_leaf SET position = 10000 WHERE position = 310",), "entry 310: it is missing"),
        (("DELETE FROM audit_leaf WHERE position >= 307",), "entry 307: "),
        (
            ("UPDATE audit_tile SET hashes = '1'", "DELETE FROM audit_leaf WHERE position = 42"),
            "entry 42: it is missing",
        ),
        (("DELETE FROM audit_tile",), "entry 0: tile 0 of level 0, which begins here, is missing"),
        (("INSERT INTO audit_tile SELECT 0, 1, hashes FROM audit_tile",), "tile 1 of level 0 stands beyond"),
        (("DELETE FROM audit_node",), "entry 0: the hash over tile 0 of level 0 is not its root"),
        (("UPDATE audit_node SET hash = (SELECT root FROM checkpoint WHERE size = 300)",), "is not its root"),
        (("INSERT INTO audit_node SELECT 1, 1, hash FROM audit_node",), "a hash of level 1 stands beyond"),
        (("INSERT INTO audit_tile SELECT 1, 0, hashes FROM audit_tile",), "tile 0 of level 1 stands beyond"),
        (
            ("UPDATE checkpoint SET root = (SELECT hash FROM audit_leaf WHERE position = 0) WHERE size = 307",),
            "size 307",
        ),
        (("UPDATE checkpoint SET edge = root WHERE size = 307",), "right edge kept with the checkpoint of size 307"),
        (("UPDATE checkpoint SET epoch = 0 WHERE size = 307",), "size 307 was made by a leader already replaced"),
        (("UPDATE checkpoint_note SET note = 'x' WHERE size = 307",), "size 307: The checkpoint is not a signed note"),
        (
            ("UPDATE checkpoint_note SET note = replace(note, '307', '308') WHERE size = 307",),
            "does not hold",
        ),
        (("DELETE FROM checkpoint_note WHERE size = 307",), "size 307 was never signed"),
        (("DELETE FROM checkpoint WHERE size = 307",), "the signed checkpoint of size 307 has lost its row"),
        (("DELETE FROM audit_pending", "INSERT INTO audit_pending VALUES (1)"), "id 1 waits to be sealed, but was"),
    ],
)
def test_tampering_with_the_log_is_found(ctx: Context, log: World, tampering: tuple[str, ...], found: str) -> None:
    loosen(ctx, *tampering)
    verdict = verify(ctx)
    assert not verdict.is_clean
    assert found in said(verdict)


def test_an_entry_and_its_leaf_changed_together_are_found(ctx: Context, log: World) -> None:
    """Somebody who knows the form of a leaf can make both agree; the signed roots do not."""
    for position in (42, 304):
        loosen(ctx, ENTRY.format("at = at + 1").replace("42", str(position)))
        with ctx.db.reading() as conn:
            query = select(*ENTRY_COLUMNS).join(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
            row = conn.execute(query.where(audit_leaf.c.position == position)).one()
        value = leaf_hash(stored_bytes(row)).hex()
        literal = f"X'{value}'" if ctx.db.is_sqlite else f"'\\x{value}'"
        loosen(ctx, f"UPDATE audit_leaf SET hash = {literal} WHERE position = {position}")
    verdict = verify(ctx)
    assert "entry 42: tile 0 of level 0 and the tree hold different hashes from here" in said(verdict)
    assert "entry 0: from here to entry 299 something was changed" in said(verdict)


@pytest.mark.parametrize(
    "change",
    [
        "body = CAST(X'ff' AS TEXT)",
        "body = X'7b7d'",
        "kind = X'00'",
        "contact = 'text'",
        "nonce = 'x'",
        "actor = X'ff'",
    ],
)
def test_a_value_of_another_type_is_found_where_sqlite_allows_one(ctx: Context, log: World, change: str) -> None:
    if ctx.db.is_sqlite:
        loosen(ctx, ENTRY.format(change), "UPDATE audit_leaf SET hash = 'short' WHERE position = 50")
        found = said(verify(ctx))
        assert "entry 42: it " in found
        assert "entry 50: its hash was changed" in found
        assert len(verify(ctx).findings) < 10


def test_unreadable_tables_are_found_where_sqlite_allows_them(ctx: Context, log: World) -> None:
    if ctx.db.is_sqlite:
        loosen(
            ctx, "UPDATE consent_event SET ref = 'text' || id", "UPDATE checkpoint_note SET note = CAST(note AS BLOB)"
        )
        found = said(verify(ctx))
        assert "it cannot be read" in found
        assert "holds a value that cannot be read" in found


def test_a_leaf_before_the_first_is_found(ctx: Context, log: World) -> None:
    loosen(ctx, "UPDATE audit_leaf SET position = -1 WHERE position = 0")
    assert "entry -1: it stands before the beginning" in said(verify(ctx))


def test_an_entry_slipped_in_is_found(ctx: Context, log: World) -> None:
    columns = "nonce, at, kind, actor, contact, topic, campaign, message, body"
    loosen(ctx, f"INSERT INTO audit_entry (id, {columns}) SELECT 99999, {columns} FROM audit_entry WHERE id = {AT_42}")
    assert "the entry with id 99999 is neither sealed nor waiting" in said(verify(ctx))
    loosen(ctx, "INSERT INTO audit_leaf SELECT 311, 99999, hash FROM audit_leaf WHERE position = 42")
    assert "entry 311: from here on no checkpoint vouches" in said(verify(ctx))


def test_a_log_cut_short_with_its_checkpoints_is_found_by_the_file(ctx: Context, log: World) -> None:
    cut = "WHERE position >= 307"
    loosen(
        ctx,
        f"DELETE FROM audit_entry WHERE id IN (SELECT entry FROM audit_leaf {cut})",
        f"DELETE FROM audit_leaf {cut}",
        "DELETE FROM checkpoint_note WHERE size > 307",
        "DELETE FROM checkpoint WHERE size > 307",
        "DELETE FROM message",
    )
    verdict = verify(ctx)
    assert "entry 307: note 3 of checkpoints.txt says so, but the log ends before entry 307" in said(verdict)


def test_a_log_signed_anew_by_a_thief_of_the_key_is_found_by_the_file(ctx: Context, log: World) -> None:
    loosen(
        ctx,
        "DELETE FROM checkpoint_note",
        "DELETE FROM checkpoint",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_tile",
        "DELETE FROM audit_node",
        "DELETE FROM audit_entry WHERE kind = 'message.failed'",
        "DELETE FROM message WHERE state = 'failed'",
        "INSERT INTO audit_pending SELECT id FROM audit_entry",
    )
    path = checkpoint_file(ctx)
    kept = path.read_text()
    path.unlink()
    seal(ctx, 1)
    assert verify(ctx).is_clean
    path.write_text(kept)
    assert "note 3 of checkpoints.txt" in said(verify(ctx))


@pytest.mark.parametrize("spoil", ["nonsense", "another size", "backwards"])
def test_a_spoiled_checkpoint_file_is_found(ctx: Context, log: World, spoil: str) -> None:
    path = checkpoint_file(ctx)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        {
            "nonsense": "".join(lines) + "hello\n",
            "another size": "".join(lines).replace("\n307\n", "\n308\n"),
            "backwards": "".join(lines[5:10] + lines[:5] + lines[10:]),
        }[spoil]
    )
    assert "checkpoints.txt" in said(verify(ctx))


@pytest.mark.parametrize(
    ("tampering", "kind", "found"),
    [
        (
            "UPDATE consent SET state = 'granted' WHERE state = 'withdrawn'",
            "consent.withdrawn",
            "table says granted",
        ),
        ("DELETE FROM consent WHERE state = 'withdrawn'", "consent.withdrawn", "the table has no row"),
        ("UPDATE consent SET text = NULL", "consent.confirmed", "another consent text"),
        ("UPDATE consent_event SET at = at + 1 WHERE event = 'withdrawn'", "consent.withdrawn", "table was changed"),
        ("UPDATE consent_event SET event = 'complained' WHERE event = 'withdrawn'", "consent.withdrawn", "was changed"),
        ("DELETE FROM consent_event WHERE event = 'withdrawn'", "consent.withdrawn", "is missing from the table"),
        ("UPDATE message SET state = 'planned' WHERE state = 'sent'", "message.sent", "the table says planned"),
        ("UPDATE message SET state = 'sent' WHERE state = 'withheld'", "message.withheld", "the table says sent"),
        ("UPDATE message SET reason = 'paused' WHERE state = 'withheld'", "message.withheld", "another reason"),
        ("UPDATE message SET attempts = 9 WHERE state = 'sent'", "message.sent", "another number of attempts"),
        ("DELETE FROM message WHERE state = 'unknown'", "message.unknown", "missing from the table"),
    ],
)
def test_a_table_that_contradicts_the_log_is_found(
    ctx: Context, log: World, tampering: str, kind: str, found: str
) -> None:
    loosen(ctx, tampering)
    findings = verify(ctx).findings
    assert any(found in one.what and one.entry == place(ctx, kind) for one in findings), [str(one) for one in findings]


def test_rows_nobody_wrote_an_entry_about_are_found(ctx: Context, log: World) -> None:
    topic, text = log.topic()
    log.grant(log.person(), topic, text)
    loosen(ctx, "UPDATE message SET state = 'sent' WHERE state = 'planned'")
    columns = "contact, topic, at, event, from_state, to_state"
    loosen(ctx, f"INSERT INTO consent_event (ref, {columns}) SELECT nonce, 1, 1, 1, 'confirmed', 'none', 'granted' "
                f"FROM audit_entry WHERE id = {AT_42}")  # fmt: skip
    found = said(verify(ctx))
    assert "the log comes to none for contact" in found
    assert "is sent, but no entry in the log says so" in found
    assert "has no entry in the log" in found


def test_a_log_that_tells_an_impossible_story_is_found(ctx: Context, log: World) -> None:
    body = {"from": "paused", "to": "expired", "text": None, "event": "no"}
    with ctx.db.transaction() as conn:
        record(
            conn,
            1,
            Entry(kind="consent.confirmed", actor="engine", contact=b"c" * 16, topic=b"t" * 16, body=body),
            Entry(kind="consent.paused", actor="engine"),
            Entry(kind="message.sent", actor="engine", contact=b"d" * 16, message=b"m" * 16),
            Entry(kind="message.sent", actor="engine", contact=b"d" * 16, message=b"m" * 16),
        )
    found = said(verify(ctx))
    assert "starts from paused, but the log had come to none" in found
    assert "cannot lead from paused to expired" in found
    assert "names no consent event" in found
    assert "names no contact" in found
    assert "the message is missing" in found


def test_an_erased_person_may_leave_the_tables_but_not_linger(ctx: Context, log: World) -> None:
    topic, text = log.topic()
    person = log.person()
    change(ctx, person, topic, Event.REQUESTED, text)
    change(ctx, person, topic, Event.LAPSED, text)
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="contact.erased", actor="engine", contact=person.ref))
    assert "who was erased" in said(verify(ctx))
    loosen(ctx, f"DELETE FROM consent WHERE contact = {person.id}", f"DELETE FROM contact WHERE id = {person.id}")
    assert verify(ctx).is_clean, said(verify(ctx))
    loosen(ctx, "DELETE FROM audit_entry WHERE kind = 'consent.lapsed'", "DELETE FROM audit_pending")
    assert "1 consent events of erased people have no entry" in said(verify(ctx))


def test_people_spread_over_many_pages_are_each_replayed_once(
    ctx: Context, log: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("outreach.store.audit_replay.PAGE", size)
        verdict = verify(ctx)
        assert verdict.is_clean, said(verdict)
        assert (verdict.contacts, verdict.consents, verdict.messages) == (3, 3, 5)


def test_a_verification_without_time_says_it_did_not_finish(ctx: Context, log: World) -> None:
    verdict = verify(ctx, seconds=0)
    assert not verdict.is_complete
    assert not verdict.is_clean
    assert "not finished" in said(verdict)


def test_an_officers_verification_is_itself_in_the_log(ctx: Context, log: World) -> None:
    with pytest.raises(NotAllowedError):
        verify_now(ctx, Actor("staff:x", frozenset({Role.MARKETER})), seconds=30)
    assert verify_now(ctx, Actor("staff:x", frozenset({Role.OFFICER})), seconds=30).is_clean
    with ctx.db.reading() as conn:
        row = conn.execute(select(audit_entry).where(audit_entry.c.kind == "audit.verified")).one()
    assert row.actor == "staff:x"
    assert '"findings":0' in row.body


def test_findings_past_two_hundred_are_counted(ctx: Context, log: World) -> None:
    loosen(ctx, "UPDATE audit_entry SET at = at + 1")
    verdict = verify(ctx)
    assert len(verdict.findings) == 200
    assert verdict.more > 100
    assert f"and {verdict.more:,} more" in said(verdict)
