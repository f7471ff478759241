"""Sums of the sealed log: added once, the same as a recount; rates against lines; what the public reads."""

import json
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import insert, select

from outreach.services.context import Context
from outreach.services.officer.figures import Level, caps_hit, count_log, rates
from outreach.services.officer.public_figures import Figure, figures_version, public_figures
from outreach.services.officer.unknown import Ruling, rule_on_group, see_unknown
from outreach.services.seal import seal
from outreach.store import log_figures
from outreach.store.audit import Entry, record
from outreach.store.log_figures import DAY
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent, topic
from tests.factories import World
from tests.services.test_officer_unknown import OFFICER, REASON
from tests.services.unknown_mails import lost_in_the_air


def count(ctx: Context) -> int:
    """Seal and count all there is; how many slices it took."""
    while seal(ctx, 1) is not None:
        pass
    slices = 0
    while count_log(ctx):
        slices += 1
    return slices


def write(ctx: Context, days_ago: int, *entries: Entry) -> None:
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn) - days_ago * DAY, *entries)


def sums(ctx: Context) -> Counter[tuple[str, bytes, str]]:
    with ctx.db.reading() as conn:
        found: Counter[tuple[str, bytes, str]] = Counter()
        for kind, ref, reason, _provider, n in log_figures.sums(conn, 0, 2**31 - 1, log_figures.COUNTED):
            found[kind, ref, reason] += n
        return found


def recount(ctx: Context) -> Counter[tuple[str, bytes, str]]:
    """The same from the sealed entries, one by one, as anybody with an export would."""
    found: Counter[tuple[str, bytes, str]] = Counter()
    with ctx.db.reading() as conn:
        for row in conn.execute(select(audit_entry).join(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)):
            if row.kind in log_figures.COUNTED:
                reason = json.loads(row.body).get("reason") or "" if row.kind.startswith("message.") else ""
                found[row.kind, row.topic or b"", reason] += 1
    return found


def settled(state: str, reason: str | None = None, *, to: bytes | None = None, of: bytes | None = None) -> Entry:
    return Entry(kind=f"message.{state}", actor="engine", contact=to, topic=of, body={"state": state, "reason": reason})


def test_sums_are_what_a_recount_of_the_sealed_entries_gives(ctx: Context, world: World) -> None:
    for days in (0, 1, 40):
        write(ctx, days, settled("sent", of=b"t" * 16), settled("sent", of=b"t" * 16), settled("withheld", "cap_total"))
        write(ctx, days, Entry(kind="consent.withdrawn", actor="recipient", contact=b"c" * 16, topic=b"t" * 16))
    assert sums(ctx) == Counter()
    count(ctx)
    assert sums(ctx) == recount(ctx) != Counter()
    write(ctx, 0, settled("failed", "address"))
    assert sums(ctx) != recount(ctx) or count(ctx)
    count(ctx)
    assert sums(ctx) == recount(ctx)


def test_slices_end_at_signed_checkpoints_and_nothing_is_counted_twice(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_figures, "SLICE", 3)
    for _ in range(4):
        write(ctx, 0, settled("sent"), settled("sent"))
        seal(ctx, 1)
    assert count(ctx) == 4
    assert sums(ctx)["message.sent", b"", ""] == 8
    assert not count_log(ctx)
    assert sums(ctx)["message.sent", b"", ""] == 8


def test_of_two_who_count_the_same_slice_one_adds_it(ctx: Context, world: World) -> None:
    write(ctx, 0, settled("sent"))
    seal(ctx, 1)
    with ctx.db.reading() as conn:
        end = log_figures.next_size(conn, 0)
        assert end is not None
        found = log_figures.read_slice(conn, 0, end)
    assert count_log(ctx)
    with ctx.db.transaction() as conn:
        assert not log_figures.add(conn, 0, end, found)
    assert sums(ctx)["message.sent", b"", ""] == 1


@pytest.mark.parametrize(
    ("sent", "complained", "bounced", "complaints", "bounces"),
    [
        (99, 3, 0, Level.FEW, Level.FEW),
        (2_000, 1, 0, Level.FINE, Level.FINE),
        (1_000, 1, 0, Level.WARN, Level.FINE),
        (1_000, 3, 0, Level.STOP, Level.FINE),
        (980, 0, 20, Level.FINE, Level.WARN),
        (950, 0, 50, Level.FINE, Level.STOP),
    ],
)
def test_rates_stand_against_their_lines_by_provider(
    ctx: Context, world: World, sent: int, complained: int, bounced: int, complaints: Level, bounces: Level
) -> None:
    people = [world.person(f"person{n}@gmail.com") for n in range(max(complained, 1))]
    write(ctx, 2, *(settled("sent", to=people[0].ref) for _ in range(sent)))
    write(ctx, 2, *(settled("failed", "address", to=people[0].ref) for _ in range(bounced)))
    for person in people[:complained]:
        write(
            ctx,
            2,
            *(Entry(kind="consent.complained", actor="engine", contact=person.ref, topic=t * 16) for t in (b"a", b"b")),
        )
    count(ctx)
    with ctx.db.reading() as conn:
        found = {(rate.provider, rate.days): rate for rate in rates(conn, ctx.db.now(conn))}
    rate = found["gmail", 7]
    assert (rate.sent, rate.complained, rate.bounced) == (sent, complained, bounced)
    assert (rate.complaints, rate.bounces) == (complaints, bounces)
    assert ("gmail", 1) not in found
    assert ("gmail", 30) in found


def test_what_caps_kept_back_is_counted_by_period(ctx: Context, world: World) -> None:
    write(ctx, 0, settled("withheld", "cap_total"), settled("withheld", "withdrawn"))
    write(ctx, 20, settled("withheld", "cap_total"), settled("withheld", "cap_promise"))
    count(ctx)
    with ctx.db.reading() as conn:
        hits = {one.days: dict(one.caps) for one in caps_hit(conn, ctx.db.now(conn))}
    assert hits == {1: {"cap_total": 1}, 7: {"cap_total": 1}, 30: {"cap_total": 2, "cap_promise": 1}}


def _ref(ctx: Context, topic_id: int) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(topic.c.ref).where(topic.c.id == topic_id)).scalar_one())


def test_the_public_reads_small_numbers_as_few_and_today_not_yet(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    ref = _ref(ctx, made)
    write(ctx, 1, *(settled("sent", of=ref) for _ in range(7)))
    write(ctx, 1, *(settled("sent") for _ in range(3)))
    write(ctx, 1, settled("withheld", "cap_promise", of=ref), settled("withheld", "complaint", of=ref))
    write(ctx, 0, *(settled("sent", of=ref) for _ in range(100)))
    count(ctx)
    found = public_figures(ctx, "en")
    assert found is not None
    (one,) = found.topics
    assert (one.sent, one.stopped, one.complained, one.is_kept) == (Figure(7), Figure(None), Figure(None), True)
    assert found.other == Figure(None)
    assert dict(found.withheld) == {"asked": Figure(None), "promise": Figure(None)}
    assert (found.failed, found.unknown) == (Figure(0), Figure(0))


def test_the_public_figures_name_the_checkpoint_they_stand_under(ctx: Context, world: World) -> None:
    assert public_figures(ctx, "en") is None
    write(ctx, 1, settled("sent"))
    sealed = seal(ctx, 1)
    assert sealed is not None
    count_log(ctx)
    found = public_figures(ctx, "en")
    assert found is not None
    assert (found.size, found.root, found.note) == (sealed.size, sealed.root.hex(), sealed.note)
    assert figures_version(ctx)[0] == sealed.size
    assert (found.last - found.since) % DAY == 0


def test_a_mail_beyond_what_its_reader_agreed_to_is_found(ctx: Context, world: World) -> None:
    made, words = world.topic(cap_n=2)
    person = world.person()
    world.grant(person, made, words, cap_n=2)
    plan = world.campaign(made)
    ref = _ref(ctx, made)
    for n in range(4):
        with ctx.db.transaction() as conn:
            at = ctx.db.now(conn) - 2 * DAY + n
            name = bytes([n]) * 16
            row: dict[str, Any] = {"ref": name, "origin": "campaign", "kind": "informational", "lane": "x"}
            row |= {"contact": person.id, "mailbox": person.mailbox, "topic": made, "campaign": plan + n}
            row |= {"state": "sent", "planned": at, "due": at, "counted": at, "settled": at}
            conn.execute(insert(message).values(row))
            entry = Entry(
                kind="message.sent",
                actor="engine",
                contact=person.ref,
                topic=ref,
                message=name,
                body={"state": "sent", "reason": None},
            )
            record(conn, at, entry)
    count(ctx)
    with ctx.db.reading() as conn:
        found = [n for *_, n in log_figures.sums(conn, 0, 2**31 - 1, [log_figures.EXCEEDED])]
        assert conn.execute(select(consent.c.cap_n)).scalar_one() == 2
    assert found == [2]
    shown = public_figures(ctx, "en")
    assert shown is not None
    assert (shown.topics[0].is_kept, shown.topics[0].beyond) == (False, Figure(None))


def test_a_ruled_mail_is_no_more_of_unknown_outcome(ctx: Context, world: World) -> None:
    lost_in_the_air(ctx, [world.person() for _ in range(6)], ago=24 * 60 + 5)
    count(ctx)
    shown = public_figures(ctx, "en")
    assert shown is not None and shown.unknown in {Figure(6), Figure(None)}
    (group,) = see_unknown(ctx, OFFICER).groups
    rule_on_group(ctx, OFFICER, group.key, Ruling.LOST, REASON)
    assert ctx.settings.clock_file is not None
    ctx.settings.clock_file.write_text("86400")
    count(ctx)
    shown = public_figures(ctx, "en")
    assert shown is not None
    assert (shown.unknown, shown.failed) == (Figure(0), Figure(6))
