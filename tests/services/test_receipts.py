"""Receipts: whatever changed a consent has one, it verifies, the log comes to hold it, and no octet can change."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import ENGINE, Actor, Role
from outreach.domain.consent import Event
from outreach.domain.errors import NotFoundError, TokenError
from outreach.domain.keys import TokenKey
from outreach.domain.receipts import EVENTS
from outreach.domain.tokens import Purpose, Tokens
from outreach.services.confirm import Client, decline, grant, never
from outreach.services.consents import apply_event
from outreach.services.context import Context
from outreach.services.controller import edit_controller, see_controller
from outreach.services.desk import record_stop
from outreach.services.expiry import expire
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.receipts.checking import Checked, InLog, Verdict, check_receipt
from outreach.services.receipts.links import ReceiptLink, instant_before, made_since, token_of
from outreach.services.receipts.making import Issued, issue
from outreach.services.receipts.showing import all_of, as_code, as_text, view_receipt
from outreach.services.seal import seal
from outreach.services.transparency.publish import publish
from outreach.services.verify import verify
from outreach.services.withdraw import undo, withdraw
from outreach.store import leaving
from outreach.store import receipts as store
from outreach.store.schema.consents import consent_event, topic
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.people import ALICE, asked, letter, link, move_clock, state_of, topic_ref

OFFICER = Actor("staff:0ff1", frozenset(Role), 1)
DAY = 86_400


def alice(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        key = ctx.keyring.blind("address", ALICE)
        return int(conn.execute(select(contact.c.id).where(contact.c.address_key == key)).scalar_one())


def issued(ctx: Context) -> dict[str, Issued]:
    """Every receipt there is, by the event's name; the newest of each."""
    with ctx.db.reading() as conn:
        refs = conn.execute(select(consent_event.c.ref, consent_event.c.event).order_by(consent_event.c.id)).all()
        rows = [store.event_by_ref(conn, row.ref) for row in refs if row.event in EVENTS]
        return {row.event: issue(conn, ctx, row) for row in rows if row is not None}


def show(ctx: Context) -> int | None:
    """Seal and publish all that waits."""
    return publish(ctx, 1)


def subscribed(ctx: Context, world: World, **more: object) -> tuple[int, bytes]:
    """Alice said yes to topic-1 and got a mail of it: (topic, ref of the mail)."""
    made, _ = world.topic()
    if more:
        with ctx.db.transaction() as conn:
            conn.execute(update(topic).where(topic.c.id == made).values(**more))
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    return made, letter(ctx, world, alice(ctx), made)


def press(ctx: Context, mail: bytes, how: str) -> str | None:
    return withdraw(ctx, link(ctx, Purpose.WHY, mail), how, Client(), purpose=Purpose.WHY).undo


def test_a_confirmation_gives_a_receipt_that_says_what_was_agreed_to_and_no_address(ctx: Context, world: World) -> None:
    subscribed(ctx, world, expires_days=30)
    made = issued(ctx)["confirmed"]
    receipt = made.receipt
    assert receipt.words is not None
    assert receipt.words.wording == "I would like Northfield to send me mail, at most 2 times."
    assert (receipt.words.cap_n, receipt.words.cap_window, receipt.own) == (2, 7 * DAY, None)
    assert (receipt.before, receipt.state, receipt.how) == ("pending", "granted", "double-opt-in")
    assert receipt.expires == receipt.at + 30 * DAY * 1_000_000
    assert receipt.controller.name == "Northfield Garden Society"
    assert receipt.retention_days == 365
    written = as_text(made.document)
    assert "alice" not in written and "@example" not in written
    assert check_receipt(ctx, written).verdict is Verdict.GENUINE


def test_every_way_a_consent_changes_gives_one_receipt_that_verifies_and_comes_to_be_in_the_log(
    ctx: Context, world: World
) -> None:
    _, mail = subscribed(ctx, world, expires_days=60)
    for how in ("lower", "pause", "page"):
        token = press(ctx, mail, how)
        assert token is not None
        assert undo(ctx, token, Client()) == 1
    press(ctx, mail, "pause")
    move_clock(ctx, 31 * DAY)
    expire(ctx)
    assert state_of(ctx) == "granted"
    move_clock(ctx, 61 * DAY)
    expire(ctx)
    _import(ctx)
    with ctx.db.transaction() as conn:
        apply_event(
            conn,
            ctx,
            ctx.db.now(conn),
            actor=ENGINE,
            contact_id=alice(ctx),
            topic_id=_topic(ctx),
            event=Event.COMPLAINED,
        )
    before = issued(ctx)
    assert set(before) == set(EVENTS) - {Event.SOFT}, "of what stands on a purchase, see test_soft_opt_in"
    assert {check_receipt(ctx, as_text(one.document)).in_log for one in before.values()} == {InLog.WAITS}
    show(ctx)
    after = issued(ctx)
    for name, one in after.items():
        found = check_receipt(ctx, as_text(one.document))
        assert (found.verdict, found.in_log, found.receipt) == (Verdict.GENUINE, InLog.HELD, one.receipt), name
        assert one.document["proof"][0] == before[name].document["proof"][0]
        assert len(before[name].document["proof"]) == 1
        old = check_receipt(ctx, as_text(before[name].document))
        assert old.in_log is InLog.HELD
        assert json.loads(old.text) == one.document
    assert len({one.receipt.id for one in after.values()}) == len(after)
    assert [one for one in verify(ctx).findings if "message" not in one.what] == []


def _topic(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return int(conn.execute(select(topic.c.id)).scalar_one())


def _import(ctx: Context) -> None:
    rows = "address,topic,source,time,text,locale,timezone,name\n"
    rows += "bob@example.org,topic-1,spring fair,2025-03-03T10:00:00Z,Yes please,en,UTC,Bob\n"
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).values(expires_days=None))
    given = Import(rows.encode(), None, True)
    rehearse_import(ctx, OFFICER, given)
    assert apply_import(ctx, OFFICER, given).granted == 1


def test_what_a_receipt_says_of_own_limit_and_pause_is_what_was_pressed(ctx: Context, world: World) -> None:
    _, mail = subscribed(ctx, world)
    press(ctx, mail, "lower")
    press(ctx, mail, "pause")
    made = issued(ctx)
    assert made["limited"].receipt.own == (1, 7 * DAY)
    assert (made["paused"].receipt.own, made["paused"].receipt.state) == ((1, 7 * DAY), "paused")
    assert made["paused"].receipt.paused_until == made["paused"].receipt.at + 30 * DAY * 1_000_000
    assert made["limited"].receipt.how == "link-in-a-mail"


def test_what_staff_were_told_says_so(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    record_stop(ctx, OFFICER, ALICE, "on the phone")
    assert issued(ctx)["withdrawn"].receipt.how == "staff"


def test_a_question_that_was_not_answered_yes_has_no_receipt(ctx: Context, world: World) -> None:
    world.topic()
    decline(ctx, asked(ctx))
    assert issued(ctx) == {}
    with ctx.db.reading() as conn:
        ref = conn.execute(select(consent_event.c.ref)).scalars().first()
        row = store.event_by_ref(conn, ref or b"")
        with pytest.raises(NotFoundError):
            issue(conn, ctx, row)  # type: ignore[arg-type]  # there is one


def changed(octets: bytes) -> Iterator[bytes]:
    """Each octet in turn as the next one of its kind: a digit stays a digit, a letter a letter."""
    kinds = (b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    following = {one: kind[(place + 1) % len(kind)] for kind in kinds for place, one in enumerate(kind)}
    for place, octet in enumerate(octets):
        yield octets[:place] + bytes([following.get(octet, octet ^ 1)]) + octets[place + 1 :]


def test_no_octet_of_a_receipt_can_be_changed(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    show(ctx)
    made = issued(ctx)["confirmed"]
    octets = base64.b64decode(as_code(made.document))
    assert check_receipt(ctx, octets.decode()).in_log is InLog.HELD
    step = 1 if ctx.db.is_sqlite else 7  # every one of them; the other store is asked about some
    for place, touched in list(enumerate(changed(octets)))[::step]:
        found = check_receipt(ctx, touched.decode(errors="replace"))
        refused = found.verdict is not Verdict.GENUINE or found.in_log is InLog.FALSE_PROOF
        assert refused, (place, octets[max(0, place - 30) : place + 30])


def test_the_code_of_a_mail_is_as_good_as_the_file(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    made = issued(ctx)["confirmed"]
    quoted = "\r\n".join(f"  {line} " for line in as_code(made.document).splitlines())
    assert check_receipt(ctx, quoted).receipt == made.receipt
    assert max(map(len, as_code(made.document).splitlines())) == 64


@pytest.mark.parametrize("text", ["", "hello", "{}", '{"proof":[{}]}', "[]", "=", "%%%", "AAAA", "{" * 9])
def test_what_is_no_receipt_is_said_to_be_unreadable_or_of_another_key(ctx: Context, world: World, text: str) -> None:
    assert check_receipt(ctx, text) in (Checked(Verdict.UNREADABLE), Checked(Verdict.UNKNOWN_KEY))


def test_another_installations_receipt_is_not_ours_and_a_forged_one_is_looked_up_nowhere(
    ctx: Context, world: World
) -> None:
    subscribed(ctx, world)
    foreign = replace(ctx, keyring=replace(ctx.keyring, tokens=(TokenKey("t1", b"x" * 32),)))
    theirs = issued(foreign)["confirmed"]
    assert check_receipt(ctx, as_text(theirs.document)) == Checked(Verdict.UNKNOWN_KEY)
    ours = issued(ctx)["confirmed"].document["proof"][0]
    forged = theirs.document | {
        "proof": [theirs.document["proof"][0] | {"verificationMethod": ours["verificationMethod"]}]
    }
    assert check_receipt(ctx, as_text(forged)) == Checked(Verdict.ALTERED)


def test_a_new_key_signs_from_then_on_and_a_leaked_one_is_named(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    old = as_text(issued(ctx)["confirmed"].document)
    (first,) = ctx.keyring.tokens
    later = replace(ctx, keyring=replace(ctx.keyring, tokens=(first, TokenKey("t2", b"2" * 32))))
    assert check_receipt(later, old).verdict is Verdict.GENUINE
    assert check_receipt(later, as_text(issued(later)["confirmed"].document)).verdict is Verdict.GENUINE
    assert check_receipt(ctx, as_text(issued(later)["confirmed"].document)).verdict is Verdict.UNKNOWN_KEY
    leaked = (replace(first, compromised=True), TokenKey("t2", b"2" * 32))
    safe = replace(ctx, keyring=replace(ctx.keyring, tokens=leaked))
    assert check_receipt(safe, old) == Checked(Verdict.LEAKED)


def test_a_receipt_of_a_log_that_was_exchanged_is_found_out(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    show(ctx)
    made = issued(ctx)["confirmed"].document
    signature, inclusion = made["proof"]
    other = {**inclusion, "outreach:index": inclusion["outreach:index"] + 1}
    assert check_receipt(ctx, as_text({**made, "proof": [signature, other]})).in_log is InLog.FALSE_PROOF
    note = inclusion["outreach:checkpoint"].replace("\n— ", "\n—  ")
    other = {**inclusion, "outreach:checkpoint": note}
    assert check_receipt(ctx, as_text({**made, "proof": [signature, other]})).in_log is InLog.FALSE_PROOF


def test_a_receipt_names_the_controller_of_its_time(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    before = issued(ctx)["confirmed"]
    here = see_controller(ctx, OFFICER)
    assert here is not None
    edit_controller(ctx, OFFICER, replace(here, name="Northfield Gardeners", country="SE"))
    mail = letter(ctx, world, alice(ctx), _topic(ctx))
    press(ctx, mail, "page")
    after = issued(ctx)
    assert after["confirmed"] == before
    assert after["withdrawn"].receipt.controller.name == "Northfield Gardeners"
    assert after["withdrawn"].document["dpv:hasRecordOfActivity"]["dpv:hasJurisdiction"] == {"@id": "loc:SE"}


def test_a_link_shows_one_receipt_and_ends_with_its_owners_erasure_while_a_kept_copy_still_verifies(
    ctx: Context, world: World
) -> None:
    subscribed(ctx, world)
    show(ctx)
    made = issued(ctx)["confirmed"]
    token = token_of(ctx, bytes.fromhex(made.receipt.id), made.receipt.at)
    view = view_receipt(ctx, token)
    assert (view.receipt, view.text) == (made.receipt, as_text(made.document))
    assert view.index is not None and view.size is not None and view.index < view.size
    with pytest.raises(TokenError):
        view_receipt(ctx, token[:-1] + ("A" if token[-1] != "A" else "B"))
    with ctx.db.transaction() as conn:
        leaving.erase(conn, [alice(ctx)])
    with pytest.raises(NotFoundError):
        view_receipt(ctx, token)
    found = check_receipt(ctx, view.text)
    assert (found.verdict, found.in_log, found.receipt) == (Verdict.GENUINE, InLog.HELD, made.receipt)


def test_a_press_is_answered_with_links_to_what_it_changed_alone(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    since = instant_before(ctx)
    grant(ctx, token, {topic_ref(ctx)}, Client(), button="Yes")
    (given,) = made_since(ctx, Purpose.CONFIRM, token, since)
    assert (given.title, view_receipt(ctx, given.token).receipt.event) == ("Garden tips", "confirmed")
    mail = letter(ctx, world, alice(ctx), _topic(ctx))
    since = instant_before(ctx)
    press(ctx, mail, "page")
    (stopped,) = made_since(ctx, Purpose.WHY, link(ctx, Purpose.WHY, mail), since)
    assert view_receipt(ctx, stopped.token).receipt.event == "withdrawn"
    assert made_since(ctx, Purpose.WHY, link(ctx, Purpose.WHY, mail), instant_before(ctx) + 1) == ()
    gone = link(ctx, Purpose.STOP, bytes(16))
    assert made_since(ctx, Purpose.STOP, gone, 0) == ()


def test_never_again_gives_a_receipt_of_all_it_ended(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    token = asked(ctx)
    since = instant_before(ctx)
    never(ctx, token)
    found = made_since(ctx, Purpose.CONFIRM, token, since)
    assert [view_receipt(ctx, one.token).receipt.event for one in found] == ["withdrawn"]
    assert isinstance(found[0], ReceiptLink)


def test_a_person_has_all_their_receipts_and_nobody_elses(ctx: Context, world: World) -> None:
    _, mail = subscribed(ctx, world)
    press(ctx, mail, "page")
    grant(ctx, asked(ctx, "bob@example.org"), {topic_ref(ctx)}, Client(), button="Yes")
    with ctx.db.reading() as conn:
        found = all_of(conn, ctx, alice(ctx))
    assert [one.receipt.event for _, one in found] == ["confirmed", "withdrawn"]
    assert [view_receipt(ctx, token).receipt for token, _ in found] == [one.receipt for _, one in found]


def test_reading_and_checking_change_nothing(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    seal(ctx, 1)
    made = issued(ctx)["confirmed"]
    view_receipt(ctx, token_of(ctx, bytes.fromhex(made.receipt.id), made.receipt.at))
    check_receipt(ctx, as_text(made.document))
    assert seal(ctx, 1) is None


def test_a_link_of_a_leaked_key_shows_nothing(ctx: Context, world: World) -> None:
    subscribed(ctx, world)
    made = issued(ctx)["confirmed"]
    token = token_of(ctx, bytes.fromhex(made.receipt.id), made.receipt.at)
    (first,) = ctx.keyring.tokens
    keys = (replace(first, compromised=True), TokenKey("t2", b"2" * 32))
    with pytest.raises(TokenError):
        view_receipt(replace(ctx, tokens=Tokens(keys)), token)


def test_what_is_undone_by_its_owner_is_told_from_what_time_ended(ctx: Context, world: World) -> None:
    _, mail = subscribed(ctx, world)
    token = press(ctx, mail, "pause")
    assert token is not None
    undo(ctx, token, Client())
    assert issued(ctx)["resumed"].receipt.how == "undo"
    press(ctx, mail, "pause")
    move_clock(ctx, 31 * DAY)
    expire(ctx)
    assert issued(ctx)["resumed"].receipt.how == "time"
