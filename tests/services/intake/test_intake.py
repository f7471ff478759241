"""Mail that came in: each kind changes just what it should, once, and a person can put it back."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.domain.inbound_addresses import Door
from outreach.domain.policies import Name
from outreach.mail.peer import Peer
from outreach.services.context import Context
from outreach.services.intake.accept import ENOUGH, MOST_REPLIES_A_DAY, NOT_OURS, UNKNOWN, Known, may_accept, take_in
from outreach.services.intake.process import forget_old_mails, process_mails
from outreach.services.intake.reports import heard_of_campaign, list_reports, see_report, stuck_mails, take_up_again
from outreach.services.intake.undo import undo_report
from outreach.store import inbound as store
from outreach.store.boxes import ContactKeys
from outreach.store.decide import load_rule
from outreach.store.planning import judge_messages
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.conversations import conversation_post
from outreach.store.schema.inbound import inbound_mail
from outreach.store.schema.people import contact, contact_key
from tests.factories import World
from tests.services.intake.sending import PEER, SERVER, NoNames, Sent, complaint_of, letter, report_of

OFFICER = Actor("staff:officer", frozenset({Role.OFFICER}))
MARKETER = Actor("staff:marketer", frozenset({Role.MARKETER}))
DAY = 86_400_000_000
WHY = "Their server was broken that day"
BESIDE_US = Peer("127.0.0.1", "demo.mailbox", "")
BESIDE_US_TOO = Peer("127.0.0.1", "demo.mailbox", "bob@example.org")
UNVOUCHED = "Said to be reported as spam, but their mail provider did not vouch for the report"
VOUCHED = "in.localhost"


@pytest.fixture
def sent(world: World) -> Sent:
    return Sent(world)


def reason_for(sent: Sent, ref: bytes) -> str | None:
    """What the rule says of one more mail to whoever got this one."""
    with sent.ctx.db.transaction() as conn:
        now = sent.ctx.db.now(conn)
        one = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one()
        return judge_messages(conn, load_rule(conn, now), [one], now)[0].reason


def test_only_a_genuine_ticket_of_somebody_we_hold_is_let_in(sent: Sent) -> None:
    ref = sent.message(sent.reader())
    address = sent.address(ref)
    assert isinstance(may_accept(sent.ctx, address), Known)
    assert isinstance(may_accept(sent.ctx, address.upper()), Known)
    forged = address[:-1] + ("0" if address[-1] != "0" else "1")
    for local_part in (forged, "bounce", "webmaster", "bounce+" + "0" * 56, "reply", sent.address(b"n" * 16)):
        assert may_accept(sent.ctx, local_part) == UNKNOWN
    with sent.ctx.db.transaction() as conn:
        conn.execute(delete(contact_key))
    assert may_accept(sent.ctx, address) == UNKNOWN


def test_a_mail_waits_boxed_and_goes_once_it_was_acted_on(sent: Sent) -> None:
    ref = sent.message(sent.reader())
    known = may_accept(sent.ctx, sent.address(ref, Door.REPLY))
    assert isinstance(known, Known)
    octets = letter("Re: Pruning roses", "Which roses do you mean?")
    assert take_in(sent.ctx, known, octets, PEER) is None
    with sent.ctx.db.reading() as conn:
        kept = conn.execute(select(inbound_mail)).one()
        assert octets.decode() == ContactKeys(sent.ctx.keyring, conn).facts(kept.contact, kept.mail_box)["octets"]
    assert (b"roses" in kept.mail_box, kept.state) == (False, "waiting")
    process_mails(sent.ctx, NoNames())
    with sent.ctx.db.reading() as conn:
        kept = conn.execute(select(inbound_mail)).one()
    assert (kept.mail_box, kept.state) == (None, "done")
    assert sent.reports() == [("reply", "conversation")]


def test_answers_to_one_persons_mails_are_kept_up_to_so_many_a_day_and_stops_always(sent: Sent, world: World) -> None:
    person, other = sent.reader(), world.person()
    mails = [sent.message(person)]
    sent.unlimited()
    mails.append(sent.message(person))
    for number in range(MOST_REPLIES_A_DAY):
        address = sent.address(mails[number % 2], Door.REPLY)
        assert sent.arrive(address, letter("Re: roses", f"word {number}")) is None
    assert sent.arrive(sent.address(mails[0], Door.REPLY), letter("Re: roses", "one more")) == ENOUGH
    assert sent.arrive(sent.address(sent.message(other), Door.REPLY), letter("Re: roses", "mine")) is None
    assert sent.arrive(sent.address(mails[0], Door.STOP), letter("stop", "stop")) is None
    sent.pass_days(1.1)
    assert sent.arrive(sent.address(mails[0], Door.REPLY), letter("Re: roses", "one more")) is None


def test_a_hard_bounce_bars_the_address_and_an_officer_lifts_exactly_that(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.bounce(person)
    assert (sent.reports(), sent.bars()) == ([("hard-bounce", "barred")], ["bounce"])
    assert reason_for(sent, ref) == "bounce"
    (shown,) = list_reports(sent.ctx, OFFICER)
    assert shown.words == "There is no such mailbox"
    assert "somebody@" not in shown.server
    assert sent.entries("report.received")[0]["did"] == "barred"
    undo_report(sent.ctx, OFFICER, shown.ref, WHY)
    assert sent.bars() == []
    assert reason_for(sent, ref) is None
    assert sent.entries("report.undone")[0]["reason"] == WHY
    with pytest.raises(ConflictError):
        undo_report(sent.ctx, OFFICER, shown.ref, WHY)


def test_the_policy_says_how_many_hard_bounces_it_takes_and_lifting_counts_anew(sent: Sent, world: World) -> None:
    world.policy(Name.BOUNCES, {"hard": 2, "soft": 5, "rest_days": 7})
    person = sent.reader()
    sent.bounce(person)
    assert sent.bars() == []
    sent.pass_days(1)
    sent.bounce(person)
    assert sent.bars() == ["bounce"]
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    sent.pass_days(1)
    sent.bounce(person)
    assert sent.bars() == []  # one that was undone, one before the bar was lifted, and this one


def test_a_bar_that_stood_before_is_not_lifted_by_undoing_a_later_report(sent: Sent) -> None:
    person = sent.reader()
    sent.bounce(person)
    sent.bounce(person)
    assert sent.reports() == [("hard-bounce", "barred"), ("hard-bounce", "noted")]
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    assert sent.bars() == ["bounce"]


@pytest.mark.parametrize(("status", "action", "kind"), [("5.7.1", "failed", "blocked"), ("4.4.1", "delayed", "delay")])
def test_what_says_nothing_of_the_mailbox_is_noted_however_often(
    sent: Sent, status: str, action: str, kind: str
) -> None:
    person = sent.reader()
    for _ in range(6):
        sent.bounce(person, status, action)
    assert sent.reports() == [(kind, "noted")] * 6
    assert sent.bars() == []
    sent.pass_days(30)
    assert reason_for(sent, sent.message(person)) is None


def test_soft_bounces_in_a_row_give_the_mailbox_a_rest_that_ends(sent: Sent, world: World) -> None:
    world.policy(Name.BOUNCES, {"hard": 1, "soft": 3, "rest_days": 7})
    person = sent.reader()
    for _ in range(2):
        sent.bounce(person, "5.2.2")
        sent.pass_days(1)
    sent.message(person)  # one that arrived: the row begins anew
    sent.unlimited()
    for _ in range(2):
        sent.pass_days(1)
        sent.bounce(person, "4.2.2")
    assert [did for _, did in sent.reports()] == ["noted"] * 4
    sent.pass_days(1)
    last = sent.bounce(person, "5.2.2")
    assert sent.reports()[-1] == ("soft-bounce", "rested")
    assert reason_for(sent, last) == "resting"
    assert sent.bars() == []
    sent.pass_days(7)
    assert reason_for(sent, last) is None
    sent.unlimited()
    sent.bounce(person, "5.2.2")
    assert sent.reports()[-1] == ("soft-bounce", "rested")
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    assert reason_for(sent, last) is None


def test_a_complaint_that_is_vouched_for_withdraws_all_and_bars_until_it_is_undone(sent: Sent, world: World) -> None:
    person = sent.reader()
    other, text = world.topic()
    world.grant(person, other, text, state="paused")
    third, text = world.topic()
    world.grant(person, third, text, state="withdrawn")
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    assert sent.states(person) == ["withdrawn"] * 3
    assert (sent.bars(), sent.reports()) == (["complaint"], [("complaint", "withdrew")])
    assert len(sent.entries("consent.complained")) == 2
    assert undo_report(sent.ctx, OFFICER, sent.newest(), WHY) == 2
    assert sent.states(person) == ["granted", "paused", "withdrawn"]
    assert sent.bars() == []


@pytest.mark.parametrize(("vouched", "peer"), [("", PEER), (VOUCHED, PEER), ("mx.example.com", BESIDE_US)])
def test_a_complaint_nobody_vouches_for_is_kept_and_changes_nothing(sent: Sent, vouched: str, peer: Peer) -> None:
    person = sent.reader()
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, vouched), peer)
    assert (sent.states(person), sent.bars()) == (["granted"], [])
    assert sent.reports() == [("unproved-complaint", "unproved")]
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    assert sent.states(person) == ["withdrawn"]  # one that is proved still counts


@pytest.mark.parametrize(
    ("reader", "domain", "acts"),
    [
        ("anna@mail.garden.example", "garden.example", True),
        ("anna@garden.example", "fbl.garden.example", True),
        ("anna@hotmail.com", "outlook.com", True),
        ("anna@hotmail.com", "microsoft.com", True),
        ("anna@aol.com", "arf.mail.yahoo.com", True),
        ("anna@garden.example", "arf.loops.example", True),  # a setting names loops.example
        ("anna@garden.example", "stranger.example", False),
        ("anna@garden.example", "notgarden.example", False),
        ("anna@gmail.com", "hotmail.com", False),
        ("anna@garden.example", "gmail.com", False),
    ],
)
def test_a_complaint_counts_from_the_readers_provider_alone(
    world: World, ctx: Context, reader: str, domain: str, *, acts: bool
) -> None:
    sent = Sent(world)
    sent.ctx = replace(ctx, settings=ctx.settings.model_copy(update={"feedback_domains": ["loops.example"]}))
    person = sent.reader(address=reader)
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED, domain), BESIDE_US)
    assert sent.states(person) == ["withdrawn" if acts else "granted"]
    assert sent.reports() == [("complaint", "withdrew") if acts else ("unproved-complaint", "unproved")]
    told = list_reports(ctx, OFFICER)[0].words
    assert told == ("Reported as spam" if acts else UNVOUCHED)


@pytest.mark.parametrize("door", [Door.REPORT, Door.REPLY, Door.STOP, Door.BOUNCE])
def test_a_complaint_by_the_ticket_everybody_sees_is_noted_and_no_more(sent: Sent, door: Door) -> None:
    person = sent.reader()
    ref = sent.message(person)
    local_part = f"{door}+{sent.ctx.inbound.ticket(ref)}"
    sent.arrive(local_part, complaint_of(ref, VOUCHED), BESIDE_US)
    assert (sent.states(person), sent.bars()) == (["granted"], [])
    assert sent.reports() == [("unproved-complaint", "unproved")]


def test_a_complaint_at_the_loops_address_needs_the_ticket_that_servers_alone_are_told(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    told = complaint_of(ref, VOUCHED).replace(
        b"Message-ID: <%s" % ref.hex().encode(),
        b"Reply-To: reply+%s@in.localhost\r\nMessage-ID: <%s"
        % (sent.ctx.inbound.ticket(ref).encode(), ref.hex().encode()),
    )
    assert sent.arrive("report", told, BESIDE_US) is None
    assert (sent.states(person), sent.reports()) == (["granted"], [("unproved-complaint", "unproved")])


@pytest.mark.parametrize("status", ["5.1.1", "5.2.2"])
@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("reply+people", SERVER),
        ("reply+people", PEER),
        ("bounce+people", SERVER),
        ("bounce+people", PEER),
        ("bounce+servers", PEER),
        ("report+servers", SERVER),
    ],
)
def test_a_report_that_is_no_servers_is_kept_and_changes_nothing(
    sent: Sent, world: World, status: str, address: str, peer: Peer
) -> None:
    world.policy(Name.BOUNCES, {"hard": 1, "soft": 1, "rest_days": 7})
    person = sent.reader(address="anna@garden.example")
    ref = sent.message(person)
    door, _, whose = address.partition("+")
    ticket = sent.ctx.inbound.servers_ticket(ref) if whose == "servers" else sent.ctx.inbound.ticket(ref)
    sent.arrive(f"{door}+{ticket}", report_of(status, recipient="anna@garden.example"), peer)
    assert (sent.reports(), sent.bars()) == ([("unproved-bounce", "unproved")], [])
    assert reason_for(sent, ref) is None
    assert list_reports(sent.ctx, OFFICER)[0].words.endswith("anybody may have written it")
    sent.arrive(sent.address(ref), report_of(status, recipient="anna@garden.example"))
    assert sent.reports()[1][1] == ("barred" if status == "5.1.1" else "rested")  # a server's still counts


@pytest.mark.parametrize(
    ("recipient", "kind"),
    [
        ("other@x.example", "soft-bounce"),
        ("Anna+garden@Garden.Example", "hard-bounce"),
        ("other@x.example\r\nOriginal-Recipient: rfc822;anna@garden.example", "hard-bounce"),
        ("other@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\nFinal-Recipient: rfc822; third@y.example",
         "soft-bounce"),
    ],
)  # fmt: skip
def test_a_mailbox_is_barred_only_where_the_report_is_about_its_reader(sent: Sent, recipient: str, kind: str) -> None:
    ref = sent.message(sent.reader(address="anna@garden.example"))
    sent.arrive(sent.address(ref), report_of("5.1.1", recipient=recipient))
    assert sent.reports() == [(kind, "barred" if kind == "hard-bounce" else "noted")]
    assert sent.bars() == (["bounce"] if kind == "hard-bounce" else [])


@pytest.mark.parametrize(
    ("vouched", "peer", "is_unproved"),
    [("example.org", BESIDE_US_TOO, False), ("", PEER, True), ("example.org", PEER, True),
     ("elsewhere.example", BESIDE_US_TOO, True)],
)  # fmt: skip
def test_a_reply_nobody_vouches_for_is_kept_with_a_word_beside_it(
    sent: Sent, vouched: str, peer: Peer, *, is_unproved: bool
) -> None:
    person = sent.reader(address="bob@example.org")
    ref = sent.message(person)
    told = f"Authentication-Results: {VOUCHED}; dkim=pass header.d={vouched}\r\n".encode() if vouched else b""
    sent.arrive(sent.address(ref, Door.REPLY), told + letter("Re: roses", "Which ones?"), peer)
    assert sent.reports() == [("reply", "conversation")]
    with sent.ctx.db.reading() as conn:
        post = conn.execute(select(conversation_post)).one()
        words = ContactKeys(sent.ctx.keyring, conn).facts(person.id, post.words_box)
    assert (words["text"], words.get("unproved", ""), post.is_foreign) == (
        "Which ones?",
        "yes" if is_unproved else "",
        0,
    )


def test_what_was_agreed_anew_after_a_complaint_is_left_alone_by_its_undoing(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    report = sent.newest()
    again = sent.message(person, campaign=None)
    sent.arrive(sent.address(again, Door.STOP), letter("stop", "stop"))
    assert undo_report(sent.ctx, OFFICER, report, WHY) == 1  # a second stop of what had stopped wrote nothing


def test_a_mail_to_the_stop_address_withdraws_its_topic_alone(sent: Sent, world: World) -> None:
    person = sent.reader()
    other, text = world.topic()
    world.grant(person, other, text)
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.STOP), letter("", ""))
    assert sent.states(person) == ["withdrawn", "granted"]
    assert sent.reports() == [("unsubscribe", "withdrew")]
    assert see_report(sent.ctx, OFFICER, sent.newest()).ended == 1
    assert undo_report(sent.ctx, OFFICER, sent.newest(), WHY) == 1
    assert sent.states(person) == ["granted", "granted"]


def test_machines_that_answer_are_noted_and_never_answered(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    octets = letter("Out of office", "I am away until Monday.", Auto_Submitted="auto-replied")
    sent.arrive(sent.address(ref, Door.REPLY), octets)
    assert sent.reports() == [("auto-reply", "noted")]
    with sent.ctx.db.reading() as conn:
        assert conn.execute(select(message.c.id).where(message.c.origin != "campaign")).all() == []


def test_a_mail_without_an_envelope_sender_is_no_persons(sent: Sent) -> None:
    ref = sent.message(sent.reader())
    sent.arrive(sent.address(ref, Door.REPLY), letter("Re: Peas", "Back on Monday."), BESIDE_US)
    assert sent.reports() == [("auto-reply", "noted")]


def test_the_same_mail_again_and_the_same_news_again_change_nothing(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    octets = report_of("5.1.1")
    sent.arrive(sent.address(ref), octets)
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    sent.arrive(sent.address(ref), octets)  # replayed
    sent.arrive(sent.address(ref), report_of("5.1.1"))  # another report of what is known
    assert (sent.reports(), sent.bars()) == ([("hard-bounce", "barred")], [])
    with sent.ctx.db.reading() as conn:
        assert len(conn.execute(select(inbound_mail.c.id)).all()) == 2


def test_a_feedback_loop_has_one_address_and_the_report_must_name_a_mail_of_ours(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    named = complaint_of(ref, VOUCHED).replace(
        b"Dear reader", b"Dear reader"
    ).replace(b"Subject: Pruning roses\r\nMessage-ID", b"CFBL-Feedback-ID: %b\r\nSubject: Pruning roses\r\nMessage-ID"
              % sent.ctx.inbound.servers_ticket(ref).encode())  # fmt: skip
    assert sent.arrive("report", complaint_of(ref, VOUCHED), BESIDE_US) == NOT_OURS
    assert sent.arrive("report", named, BESIDE_US) is None
    assert sent.states(person) == ["withdrawn"]


def test_a_mail_that_cannot_be_acted_on_is_kept_tried_later_and_shown(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = sent.reader()
    ref = sent.message(person)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("outreach.services.intake.process.read", broken)
        sent.arrive(sent.address(ref), report_of("5.1.1"))
        assert (sent.waiting(), sent.reports()) == (1, [])
        for _ in range(store.MOST_TRIES):
            sent.pass_days(2)
            process_mails(sent.ctx, NoNames())
    assert (sent.waiting(), stuck_mails(sent.ctx, OFFICER)) == (0, 1)
    assert take_up_again(sent.ctx, OFFICER) == 1
    process_mails(sent.ctx, NoNames())
    assert sent.reports() == [("hard-bounce", "barred")]


def test_undoing_is_an_officers_act_with_a_reason(sent: Sent) -> None:
    sent.bounce(sent.reader())
    with pytest.raises(NotAllowedError):
        undo_report(sent.ctx, MARKETER, sent.newest(), WHY)
    with pytest.raises(InvalidInputError):
        undo_report(sent.ctx, OFFICER, sent.newest(), "oops")
    assert sent.bars() == ["bounce"]


def test_a_marketer_reads_how_many_and_of_few_not_even_that(sent: Sent) -> None:
    for number in range(6):
        ref = sent.message(sent.reader())
        sent.arrive(sent.address(ref), report_of("5.1.1"))
        if number < 4:
            sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    with sent.ctx.db.reading() as conn:
        one = conn.execute(select(campaign.c.ref).where(campaign.c.id == sent.campaign)).scalar_one()
    counts = dict(heard_of_campaign(sent.ctx, MARKETER, one).counts)
    assert counts["There is no such mailbox"] == 6
    assert counts["Reported as spam"] is None
    assert counts["Asked to stop, by mail"] is None


def test_whoever_is_erased_takes_what_waits_along(sent: Sent, ctx: Context) -> None:
    person = sent.reader()
    known = may_accept(ctx, sent.address(sent.message(person), Door.REPLY))
    assert isinstance(known, Known)
    take_in(ctx, known, letter("Re", "words"), PEER)
    with ctx.db.transaction() as conn:
        conn.execute(delete(contact_key))
        conn.execute(update(contact).values(address_box=None))
    process_mails(ctx, NoNames())
    assert (sent.waiting(), sent.reports()) == (0, [])


def test_a_mail_is_known_again_for_ninety_days_and_then_forgotten(sent: Sent) -> None:
    sent.bounce(sent.reader())
    sent.pass_days(89)
    assert forget_old_mails(sent.ctx) == 0
    sent.pass_days(2)
    assert forget_old_mails(sent.ctx) == 1
    assert sent.reports() == [("hard-bounce", "barred")]


def test_the_log_tells_of_it_what_the_tables_say(sent: Sent) -> None:
    person = sent.reader()
    ref = sent.message(person)
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    entries = [kind for kind, _ in logged(sent.ctx, person.ref)]
    assert entries == [
        "consent.complained",
        "report.received",
        "contact.suppressed",
        "consent.restored",
        "report.undone",
        "contact.bar-lifted",
    ]
    assert "@" not in "".join(body for _, body in logged(sent.ctx, person.ref))


def logged(ctx: Context, contact_ref: bytes) -> list[tuple[str, str]]:
    """(kind, body) of the log's entries about a person."""
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.kind, audit_entry.c.body).where(audit_entry.c.contact == contact_ref)
        return [(row.kind, row.body) for row in conn.execute(query.order_by(audit_entry.c.id))]
