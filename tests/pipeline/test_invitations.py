"""An invitation's mail: what it says, where it comes from, and that it is decided again when it is handed off."""

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.domain.frequency import Cap
from outreach.domain.invitation import Report
from outreach.domain.tokens import Purpose, purpose_of
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services import answers, outbox
from outreach.services.expiry import expire
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import cancel_invitation, check_draft, send_reminder
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import suppressions
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import connect_link, connection, invitation, member
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact, suppression
from tests.factories import MadeMember, World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line
from tests.services.connecting import row_of
from tests.services.people import count
from tests.services.pressing import BOB, draft, mails, press, set_policy

DAY = 86_400


@pytest.fixture
def alice(world: World) -> MadeMember:
    set_policy(world.ctx, a_day=50, a_month=50)
    return world.member("alice@example.org", "Alice Berg")


@pytest.fixture
def carol(world: World) -> MadeMember:
    return world.member("carol@example.org", "Carol")


def arrived(line: Line, which: int = -1) -> EmailMessage:
    return email.message_from_bytes(line.relay.sent[which].data, policy=email.policy.default)


def parts(mail: EmailMessage) -> tuple[str, str]:
    """(text, HTML)."""
    found = [mail.get_body((kind,)) for kind in ("plain", "html")]
    text, html = (part.get_content().replace("\r\n", "\n") for part in found if part is not None)
    return text, html


def linkless(words: str) -> str:
    return re.sub(r'(?<=href=")[^"]*|(?<=<)(?:https?://[^>]*|#)(?=>)', "", words).rstrip()


def token_of(line: Line, ref: bytes) -> str:
    with line.ctx.db.reading() as conn:
        return line.ctx.tokens.issue(Purpose.INVITATION, ref, line.ctx.db.now(conn))


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
def test_what_the_inviter_saw_is_what_goes_out_but_for_the_links(line: Line, alice: MadeMember, locale: str) -> None:
    wanted = draft(note="Hello,\nwe met at the seed swap.", relationship="colleague", locale=locale)
    seen = check_draft(line.ctx, alice.actor, wanted).mail
    assert seen is not None
    assert "http" not in seen.text
    assert set(re.findall(r'href="([^"]*)"', seen.html)) == {"#"}
    press(line.ctx, alice.actor, note=wanted.note, relationship="colleague", locale=locale)
    line.rounds()
    mail = arrived(line)
    text, html = parts(mail)
    assert mail["Subject"] == seen.subject
    assert linkless(text) == linkless(seen.text)
    assert linkless(html) == linkless(seen.html)


def test_it_names_the_inviter_but_comes_from_the_site(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor, note="We met.")
    line.rounds()
    mail = arrived(line)
    text, html = parts(mail)
    assert mail["From"] == "Northfield <news@northfield.example>"
    assert (mail["To"], mail["Reply-To"], mail["Sender"]) == (BOB, None, None)
    assert mail["Subject"] == "Alice Berg would like to connect with you"
    for part in (text, html):
        assert "alice@" not in part
        assert "Alice Berg typed your address on" in part
        assert "Northfield Garden Society" in part
        assert "We met." in part
    assert "<img" not in html


def test_its_links_show_and_refuse_and_do_nothing_else(line: Line, alice: MadeMember) -> None:
    ref = press(line.ctx, alice.actor)
    line.rounds()
    text, html = parts(arrived(line))
    urls = re.findall(r'href="([^"]*)"', html)
    base = f"{line.ctx.settings.public_url}/invitation/"
    assert re.findall(r"https?://[^\s>]*", text) == urls
    assert [url.removeprefix(base).partition("/")[2] for url in urls[:4]] == ["", "decline", "never", "report"]
    assert urls[4].startswith(f"{line.ctx.settings.public_url}/why/")
    assert len(urls) == 5
    for url in urls[:4]:
        token = url.removeprefix(base).partition("/")[0]
        assert purpose_of(token) == Purpose.INVITATION
        assert answers.view_invitation(line.ctx, token).ref == ref


def test_one_click_stands_in_its_header_without_a_list(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor)
    line.rounds()
    mail = arrived(line)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (mail["List-Id"], mail["Feedback-ID"]) == (None, None)
    url, by_mail = mail["List-Unsubscribe"].split(", ")
    url = url.strip("<>")
    assert by_mail.startswith("<mailto:stop+")
    token = url.rpartition("/")[2]
    assert url == f"{line.ctx.settings.public_url}/stop/{token}"
    assert purpose_of(token) == Purpose.STOP


def test_a_reminder_says_that_it_was_asked_for(line: Line, alice: MadeMember) -> None:
    ref = press(line.ctx, alice.actor)
    line.rounds()
    answers.ask_reminder(line.ctx, token_of(line, ref))
    send_reminder(line.ctx, alice.actor, ref)
    process_invitations(line.ctx)
    line.rounds()
    assert [str(arrived(line, n)["Subject"]).startswith("As you asked") for n in (0, 1)] == [False, True]


def test_a_retry_of_the_first_mail_is_no_reminder(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.DEFERRED, code=451)
    line.rounds()
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.SENT, code=250)
    line.pass_hours(1)
    line.rounds()
    assert arrived(line)["Subject"] == "Alice Berg would like to connect with you"


def suspend(line: Line, **values: Any) -> None:
    with line.ctx.db.transaction() as conn:
        conn.execute(update(member).values(values or {"suspended": 1, "suspended_for": "officer"}))


def bar(line: Line) -> None:
    with line.ctx.db.transaction() as conn:
        key = conn.execute(select(contact.c.address_key).order_by(contact.c.id.desc()).limit(1)).scalar_one()
        suppressions.put(conn, 1, [suppressions.Bar(key, "address", "complaint", "nobody")])


def connect(line: Line, alice: MadeMember) -> None:
    with line.ctx.db.transaction() as conn:
        row = conn.execute(select(invitation)).one()
        low, high = sorted((alice.person.id, row.contact))
        values = {"ref": bytes(16), "invitation": row.id, "low": low, "high": high, "since": 1}
        conn.execute(insert(connection).values(values))


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda line, _alice, _ref: suspend(line), "inviter_stopped"),
        (lambda line, _alice, _ref: suspend(line, closed=1), "inviter_stopped"),
        (lambda line, _alice, _ref: set_policy(line.ctx, by_mail=False), "inviter_stopped"),
        (lambda line, alice, ref: cancel_invitation(line.ctx, alice.actor, ref), "invitation_ended"),
        (lambda line, _alice, _ref: line.pass_hours(24 * 14 + 1), "invitation_ended"),
        (lambda line, _alice, _ref: bar(line), "complaint"),
        (lambda line, alice, _ref: connect(line, alice), "connected"),
    ],
)
def test_it_is_decided_again_at_the_hand_off(line: Line, alice: MadeMember, happens: Any, reason: str) -> None:
    ref = press(line.ctx, alice.actor)
    happens(line, alice, ref)
    line.rounds()
    assert line.relay.taken == []
    assert mails(line.ctx) == [("withheld", reason)]
    assert [entry["reason"] for entry in line.entries("message.withheld")] == [reason]


def test_a_mail_in_hand_does_not_count_against_itself(line: Line, alice: MadeMember) -> None:
    set_policy(line.ctx, recipient=Cap(1, 30 * DAY))
    line.world.cap("promotional", 1, 7 * DAY)
    line.world.cap("total", 1, 7 * DAY)
    press(line.ctx, alice.actor)
    line.rounds()
    assert mails(line.ctx) == [("sent", None)]


def test_a_cap_lowered_after_planning_makes_it_wait(line: Line, alice: MadeMember, carol: MadeMember) -> None:
    press(line.ctx, alice.actor)
    line.rounds()
    press(line.ctx, carol.actor)
    set_policy(line.ctx, recipient=Cap(1, 2 * DAY))
    line.rounds()
    assert mails(line.ctx) == [("sent", None), ("planned", None)]
    line.pass_hours(49)
    line.rounds()
    assert mails(line.ctx) == [("sent", None), ("sent", None)]


def test_quiet_hours_that_began_meanwhile_make_it_wait(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor)
    with line.ctx.db.transaction() as conn:
        minute = line.ctx.db.now(conn) // 60_000_000 % 1440
        conn.execute(update(controller).values(quiet_from=(minute - 60) % 1440, quiet_to=(minute + 60) % 1440))
    line.rounds()
    assert (line.relay.taken, mails(line.ctx)) == ([], [("planned", None)])
    line.pass_hours(1.1)
    line.rounds()
    assert mails(line.ctx) == [("sent", None)]


def test_with_no_reply_it_is_never_sent_again(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.UNKNOWN)
    line.rounds()
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.SENT, code=250)
    line.pass_hours(48)
    line.rounds()
    assert mails(line.ctx) == [("unknown", "no_reply")]
    assert line.relay.sent == []


def test_a_mailbox_that_does_not_exist_is_barred(line: Line, alice: MadeMember) -> None:
    press(line.ctx, alice.actor)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.FAILED, code=550, bad_address=True)
    line.rounds()
    assert mails(line.ctx) == [("failed", "address")]
    assert count(line.ctx, suppression, suppression.c.kind == "bounce") == 1


def by_link(line: Line, alice: MadeMember, **link: Any) -> bytes:
    """Somebody asked through a link of Alice's, and the engine queued the mail; the invitation's ref."""
    bob = line.world.person(BOB)
    with line.ctx.db.transaction() as conn:
        now = line.ctx.db.now(conn)
        values = {"ref": bytes(16), "member": alice.id, "created": now - DAY, **link}
        made = conn.execute(insert(connect_link).values(values).returning(connect_link.c.id)).scalar_one()
        row = {"ref": bytes(15) + b"1", "member": alice.id, "way": "link", "link": made, "mailbox": bob.mailbox}
        row |= {"contact": bob.id, "locale": "en", "asked": now, "expires": now + 7 * DAY * 1_000_000}
        found = conn.execute(insert(invitation).values(row).returning(invitation.c.id, invitation.c.ref)).one()
        outbox.queue_invitation(conn, now, bob, found.id, due=now)
        return bytes(found.ref)


def test_the_mail_of_a_connect_link_asks_with_its_own_link(line: Line, alice: MadeMember) -> None:
    by_link(line, alice)
    line.rounds()
    text, _ = parts(arrived(line))
    urls = re.findall(r"https?://[^\s>]*", text)
    purposes = [purpose_of(re.findall(r"[\w-]+\.[\w-]+\.[\w-]+", url)[-1]) for url in urls]
    assert purposes == [Purpose.CONNECT, *[Purpose.INVITATION] * 3, Purpose.WHY]
    assert arrived(line)["List-Unsubscribe-Post"]


@pytest.mark.parametrize("off", ["closed", "expires"])
def test_a_link_that_was_off_when_somebody_asked_mails_nobody(line: Line, alice: MadeMember, off: str) -> None:
    by_link(line, alice, **{off: 1})
    line.rounds()
    assert mails(line.ctx) == [("withheld", "inviter_stopped")]


def test_a_link_switched_off_after_somebody_asked_still_answers_them(line: Line, alice: MadeMember) -> None:
    set_policy(line.ctx, by_mail=False)
    by_link(line, alice, closed=line.now() + DAY * 1_000_000)
    line.rounds()
    assert mails(line.ctx) == [("sent", None)]


def notice(line: Line, person: Person, **more: Any) -> None:
    with line.ctx.db.transaction() as conn:
        facts = {"topic": "Garden tips", "url": "https://mail.example.org/x"}
        outbox.queue_notice(conn, line.ctx, line.now(), person, template="fresh-link", facts=facts, **more)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"notify": 1}, ("sent", None)),
        ({"notify": 0}, ("withheld", "staff_ended")),
        ({"notify": 1, "closed": 1}, ("withheld", "staff_ended")),
    ],
)
def test_a_member_is_told_only_while_they_want_it(
    line: Line, alice: MadeMember, values: dict[str, int], state: tuple[str, str | None]
) -> None:
    with line.ctx.db.transaction() as conn:
        conn.execute(update(member).values(values))
    notice(line, alice.person)
    line.rounds()
    assert line.states()[alice.person.id] == state


def test_never_again_is_stronger_than_what_a_member_wants_to_be_told(line: Line, alice: MadeMember) -> None:
    with line.ctx.db.transaction() as conn:
        conn.execute(update(member).values(notify=1))
    bar(line)
    notice(line, alice.person)
    line.rounds()
    assert line.states()[alice.person.id] == ("withheld", "complaint")


def test_a_notice_about_a_connection_lives_as_long_as_it(line: Line, alice: MadeMember) -> None:
    row = row_of(line.ctx, press(line.ctx, alice.actor))
    line.rounds()
    with line.ctx.db.transaction() as conn:
        conn.execute(update(invitation).values(answer="accepted", answered=1))
        bob = find_by_id(conn, row.contact)
    assert bob is not None
    connect(line, alice)
    notice(line, bob, invitation=row.id)
    line.rounds()
    assert len(line.relay.sent) == 2
    notice(line, bob, invitation=row.id)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(connection).values(ended=2))
    line.rounds()
    assert len(line.relay.sent) == 2
    with line.ctx.db.reading() as conn:
        last = conn.execute(select(message.c.reason).order_by(message.c.id.desc()).limit(1)).scalar_one()
    assert last == "invitation_ended"


def test_a_refusal_between_planning_and_decision_counts(line: Line, alice: MadeMember) -> None:
    ref = press(line.ctx, alice.actor)
    line.rounds()
    answers.ask_reminder(line.ctx, token_of(line, ref))
    send_reminder(line.ctx, alice.actor, ref)
    process_invitations(line.ctx)
    answers.decline(line.ctx, token_of(line, ref))
    assert claim_due(line.ctx, "slow").ids == []
    assert mails(line.ctx) == [("sent", None), ("withheld", "invitation_ended")]
    expire_invitations(line.ctx)
    assert row_of(line.ctx, ref).contact is None


def test_the_log_replays_through_all_of_it(line: Line, alice: MadeMember, carol: MadeMember) -> None:
    ctx = line.ctx
    ann, ben, cid = (press(ctx, alice.actor, f"{name}@example.net") for name in ("ann", "ben", "cid"))
    line.rounds()
    press(ctx, carol.actor, "ben@example.net")
    answers.decline(ctx, token_of(line, ann))
    answers.never(ctx, token_of(line, ben))
    answers.report(ctx, token_of(line, ben), Report.UNWANTED)
    answers.ask_reminder(ctx, token_of(line, cid))
    send_reminder(ctx, alice.actor, cid)
    for address in ("ann@example.net", "ben+x@example.net", "carol@example.org"):
        press(ctx, carol.actor, address)
    cancel_invitation(ctx, carol.actor, press(ctx, carol.actor, "dan@example.net"))
    line.relay.script = _stumbling()
    line.rounds()
    line.pass_hours(100 * 24)
    line.rounds()
    expire_invitations(ctx)
    expire(ctx)
    seal(ctx, 1)
    verdict = verify(ctx)
    assert verdict.is_clean, verdict.lines()
    assert verdict.messages >= 8


def _stumbling() -> Any:
    results = iter([Result.DEFERRED, Result.UNKNOWN, Result.SENT] * 20)

    def take(parcel: Parcel) -> Outcome:
        result = next(results)
        return Outcome(parcel.message_id, result, code={Result.SENT: 250, Result.DEFERRED: 451}.get(result))

    return take
