"""What an officer may see of one person, and the trace each look leaves."""

import json

import pytest
from sqlalchemy import delete, insert, select

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import TILE, Edge, verify_inclusion
from outreach.domain.consent import Event
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.tiles import grow
from outreach.services import consent_proof as proofs
from outreach.services.consent_proof import consent_proof
from outreach.services.consents import apply_event
from outreach.services.contact_history import contact_history, facts_of
from outreach.services.context import Context
from outreach.services.reveal import reveal_address
from outreach.services.seal import seal
from outreach.store import audit_log, audit_tiles
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.consents import topic as topics
from outreach.store.schema.people import contact_key
from tests.factories import World

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
ADMINISTRATOR = Actor("staff:" + "1" * 32, frozenset({Role.ADMINISTRATOR, Role.MARKETER}))
ANNA = "anna.berg@example.org"
REASON = "letter of the court, 12 November"


def entries(ctx: Context, kind: str) -> list[tuple[bytes | None, str, dict[str, object]]]:
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry).where(audit_entry.c.kind == kind)).all()
    return [(row.contact, row.actor, json.loads(row.body)) for row in rows]


def agreed(ctx: Context, world: World, person: Person) -> bytes:
    """A consent with evidence; the topic's ref."""
    topic, text = world.topic()
    evidence = {
        "ip": "192.0.2.7",
        "token": {"issued": 1_790_000_000_000_000, "key": "t1"},
        "note": f"from {ANNA}",
    }
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        for event, proof in ((Event.REQUESTED, {}), (Event.CONFIRMED, evidence)):
            apply_event(
                conn,
                ctx,
                now,
                actor=Actor("recipient"),
                contact_id=person.id,
                topic_id=topic,
                event=event,
                text_id=text,
                evidence=proof,
            )
        return bytes(conn.execute(select(topics.c.ref).where(topics.c.id == topic)).scalar_one())


def test_a_reveal_shows_the_address_and_keeps_the_reason(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    assert reveal_address(ctx, OFFICER, person.ref, f"  {REASON} ") == ANNA
    assert entries(ctx, "contact.revealed") == [(person.ref, OFFICER.name, {"reason": REASON})]


def test_an_address_in_the_reason_is_masked_before_it_is_kept(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    reveal_address(ctx, OFFICER, person.ref, f"she wrote from {ANNA} herself")
    assert entries(ctx, "contact.revealed")[0][2] == {"reason": "she wrote from a•••@e•••.org herself"}


@pytest.mark.parametrize("reason", ["", "   ", "because", "x" * 501])
def test_a_reveal_without_a_real_reason_shows_and_writes_nothing(ctx: Context, world: World, reason: str) -> None:
    person = world.person(ANNA)
    with pytest.raises(InvalidInputError) as caught:
        reveal_address(ctx, OFFICER, person.ref, reason)
    assert caught.value.field == "reason"
    assert entries(ctx, "contact.revealed") == []


def test_nobody_but_an_officer_reveals_or_reads(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    for attempt in (
        lambda: reveal_address(ctx, ADMINISTRATOR, person.ref, REASON),
        lambda: contact_history(ctx, ADMINISTRATOR, person.ref),
        lambda: consent_proof(ctx, ADMINISTRATOR, person.ref, b"t" * 16),
    ):
        with pytest.raises(NotAllowedError):
            attempt()


def test_an_erased_person_cannot_be_revealed(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    with ctx.db.transaction() as conn:
        conn.execute(delete(contact_key).where(contact_key.c.contact == person.id))
    with pytest.raises(NotFoundError):
        reveal_address(ctx, OFFICER, person.ref, REASON)
    assert contact_history(ctx, OFFICER, person.ref).masked == ""


def test_a_stranger_is_not_found(ctx: Context) -> None:
    for attempt in (
        lambda: reveal_address(ctx, OFFICER, b"x" * 16, REASON),
        lambda: contact_history(ctx, OFFICER, b"x" * 16),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_a_history_tells_all_but_the_address(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    topic = agreed(ctx, world, person)
    history = contact_history(ctx, OFFICER, person.ref)
    assert history.masked == "a•••@e•••.org"
    assert [(one.topic, one.state) for one in history.consents] == [(topic, "granted")]
    assert [event.event for event in history.events] == ["requested", "confirmed"]
    facts = {fact.name: fact.instant or fact.text for fact in history.events[1].evidence}
    assert facts == {
        "ip": "192.0.2.7",
        "token issued": 1_790_000_000_000_000,
        "token key": "t1",
        "note": "from a•••@e•••.org",
    }
    assert ANNA not in repr(history)


def test_reading_a_history_is_itself_in_the_log(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    contact_history(ctx, OFFICER, person.ref)
    assert entries(ctx, "contact.read") == [(person.ref, OFFICER.name, {})]


def test_links_in_evidence_lose_their_token() -> None:
    text = "Press https://news.example.org/confirm/t1.AbC-d_e.FgH now"
    assert [fact.text for fact in facts_of({"mail": text})] == ["Press https://news.example.org/confirm/… now"]


def test_evidence_of_several_requests_is_numbered() -> None:
    told = {"requests": [{"ip": "192.0.2.1", "ticked": ["a", "b"]}, {"ip": "192.0.2.2", "note": None}]}
    assert [(fact.name, fact.text) for fact in facts_of(told)] == [
        ("request 1 ip", "192.0.2.1"),
        ("request 1 ticked", "a, b"),
        ("request 2 ip", "192.0.2.2"),
    ]


def test_a_proof_holds_the_words_the_act_and_the_place_in_the_log(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    topic = agreed(ctx, world, person)
    assert [one.sealing for one in consent_proof(ctx, OFFICER, person.ref, topic).events] == [None, None]
    seal(ctx, 1)
    proof = consent_proof(ctx, OFFICER, person.ref, topic)
    assert proof.controller == "Northfield Garden Society"
    assert proof.consent is not None and proof.consent.text is not None
    assert proof.consent.text.wording.startswith("I would like Northfield")
    assert [one.sealing.place for one in proof.events if one.sealing] == [0, 1]
    with pytest.raises(NotFoundError):
        consent_proof(ctx, OFFICER, person.ref, b"t" * 16)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
def test_a_place_in_the_log_is_proved_at_every_size(ctx: Context, count: int) -> None:
    with ctx.db.transaction() as conn:
        for start in range(0, count, 5000):
            some = min(5000, count - start)
            record(conn, 1, *(Entry(kind="topic.created", actor="engine") for _ in range(some)))
    while seal(ctx, 1):
        pass
    with ctx.db.reading() as conn:
        point = audit_log.newest_point(conn, signed=True)
        assert point is not None
        for place in {0, count // 2, count - 1}:
            query = select(audit_leaf.c.entry).where(audit_leaf.c.position == place)
            sealing = proofs.sealing_of(conn, conn.execute(query).scalar_one())
            assert sealing is not None
            path = [bytes.fromhex(step) for step in sealing.path]
            assert verify_inclusion(bytes.fromhex(sealing.leaf), place, count, path, point.root)


def test_a_place_is_proved_through_tiles_of_the_second_level(ctx: Context) -> None:
    """65,536 leaves make the first; only the hashes matter here, so the entries are short of everything else."""
    size = TILE * TILE + TILE + 3
    hashes = [number.to_bytes(32, "big") for number in range(size)]
    edge = Edge().extended(hashes)
    with ctx.db.transaction() as conn:
        rows = [{"id": n + 1, "nonce": b"n" * 16, "at": 1, "kind": "k", "actor": "a"} for n in range(size)]
        conn.execute(insert(audit_entry), rows)
        audit_log.add_leaves(conn, 0, range(1, size + 1), hashes)
        audit_tiles.add_full_tiles(conn, 0, hashes, grow(Edge(), hashes)[1])
        audit_log.add_checkpoint(conn, edge, epoch=1, at=1)
        audit_log.add_note(conn, size, "as if signed")
        for place in (0, 65_535, size - 1):
            sealing = proofs.sealing_of(conn, place + 1)
            assert sealing is not None
            path = [bytes.fromhex(step) for step in sealing.path]
            assert verify_inclusion(hashes[place], place, size, path, edge.root)
