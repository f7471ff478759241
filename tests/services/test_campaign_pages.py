"""What marketers read: numbers that betray nobody, lists by reference, and the same few statements however long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import campaign_mails, campaign_pages, contacts_list
from outreach.services.campaign_mails import MailLine
from outreach.services.context import Context
from outreach.services.why_not import see_why_not
from outreach.store import leaving
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.people import contact
from tests.counting import count_anew
from tests.factories import World

HOUR = 3_600_000_000


@pytest.fixture
def alice(world: World) -> Actor:
    return Actor("staff:a11ce0", frozenset({Role.MARKETER}), world.staff("marketer"))


def ref_of(ctx: Context, campaign_id: int) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(campaign.c.ref).where(campaign.c.id == campaign_id)).scalar_one())


def mail(world: World, campaign_id: int, topic_id: int, state: str, reason: str | None = None, **more: Any) -> Person:
    """One message of a campaign, put straight into the table."""
    person = world.person()
    values = {"planned": world.now, "due": world.now, "settled": world.now, **more}
    with world.ctx.db.transaction() as conn:
        conn.execute(
            insert(message).values(
                ref=person.ref,
                origin="campaign",
                kind="informational",
                lane=f"5-campaign-{campaign_id}-other",
                contact=person.id,
                mailbox=person.mailbox,
                campaign=campaign_id,
                topic=topic_id,
                state=state,
                reason=reason,
                **values,
            )
        )
        count_anew(conn, campaign_id)
    return person


@contextmanager
def counted(ctx: Context) -> Iterator[list[str]]:
    """The statements run inside."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ctx.db.engine, "before_cursor_execute", note)


def same_when_doubled(ctx: Context, look: Callable[[], object], more: Callable[[], object]) -> None:
    """Look, add rows, look again: the same number of statements."""
    more()
    with counted(ctx) as few:
        look()
    more()
    with counted(ctx) as many:
        look()
    assert few
    assert len(many) == len(few)


def test_the_list_is_paged_newest_first(
    ctx: Context, world: World, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_pages, "PAGE", 2)
    topic_id, _text = world.topic()
    author = world.staff("marketer")
    made = [ref_of(ctx, world.campaign(topic_id, author=author, state="draft")).hex() for _ in range(5)]
    seen, older = [], ""
    while True:
        page = campaign_pages.see_campaigns(ctx, alice, "drafts", older)
        seen += [line.ref for line in page.lines]
        older = page.older
        if not older:
            break
    assert seen == made[::-1]
    assert page.counts["drafts"] == page.counts["all"] == 5


def test_progress_counts_each_person_once(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic()
    running = world.campaign(topic_id)
    for state, reason, more in (
        ("sent", None, {}),
        ("sent", None, {}),
        ("planned", None, {}),
        ("attempted", None, {}),
        ("planned", None, {"due": world.now + HOUR}),
        ("waiting", "cap_own", {"due": world.now + HOUR}),
        ("waiting", "cap_total", {}),
        ("failed", "address", {}),
        ("unknown", None, {}),
    ):
        mail(world, running, topic_id, state, reason, **more)
    shown = campaign_pages.see_progress(ctx, alice, ref_of(ctx, running))
    assert (shown.sent, shown.to_go, shown.later_total, shown.failed_total, shown.unknown) == (2, 2, 3, 1, 1)
    assert shown.later == (("Their limit to open", 2), ("Morning where they are", 1))
    assert shown.percent == 100 * 4 // 9
    assert shown.is_live


def test_the_dry_run_tells_small_numbers_as_few(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    ref = ref_of(ctx, world.campaign(topic_id, state="draft"))
    awake: dict[str, Any] = {"timezone": "UTC"}
    asleep: dict[str, Any] = {"quiet_from": 0, "quiet_to": 1_439, "timezone": "UTC"}

    def agree(times: dict[str, Any]) -> None:
        person = world.person()
        world.grant(person, topic_id, text_id)
        with ctx.db.transaction() as conn:
            conn.execute(update(contact).where(contact.c.id == person.id).values(**times))

    def seen() -> tuple[bool, int | None, dict[str, int | None], int, bool]:
        found = campaign_pages.see_check(ctx, alice, ref)
        later = {row.words: row.exactly for row in found.later.rows}
        return found.reaches, found.now, later, found.later.total, found.later.at_least

    few = {"Their limit to open": None, "Morning where they are": None}
    assert seen() == (False, None, few, 0, True)
    for times in (awake, asleep):
        agree(times)
    assert seen() == (True, None, few, 0, True)
    for times in [awake] * 4 + [asleep] * 5:
        agree(times)
    assert seen() == (True, 5, {**few, "Morning where they are": 6}, 6, True)


def test_reasons_merge_and_small_counts_stay_small(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic()
    running = world.campaign(topic_id)
    for reason in ["withdrawn", "complaint", "erased", "never", "imported"] + ["bounce"] * 3 + ["cap_own"] * 5:
        mail(world, running, topic_id, "withheld", reason)
    withheld = campaign_pages.see_progress(ctx, alice, ref_of(ctx, running)).withheld
    shown = {row.words: row.exactly for row in withheld.rows}
    assert shown == {
        "Asked not to": 5,
        "At their limit: what they were promised, or less by their own wish": 5,
        "Address does not work": None,
        "Paused by the person": None,
    }
    assert (withheld.total, withheld.at_least) == (10, True)


@pytest.mark.parametrize(
    ("which", "state", "reason", "ahead"),
    [
        ("sent", "sent", None, 0),
        ("to-go", "planned", None, 0),
        ("to-go", "attempted", None, 0),
        ("to-go", "attempted", None, 0),
        ("later", "planned", None, HOUR),
        ("later", "waiting", "cap_own", 0),
        ("came-back", "failed", "refused", 0),
        ("unknown", "unknown", None, 0),
    ],
)
def test_each_number_has_its_list(
    ctx: Context, world: World, alice: Actor, which: str, state: str, reason: str | None, ahead: int
) -> None:
    topic_id, _text = world.topic()
    running = world.campaign(topic_id)
    ref = ref_of(ctx, running)
    person = mail(world, running, topic_id, state, reason, due=world.now + ahead)
    lists = {
        name: [line.code for line in campaign_mails.see_mails(ctx, alice, ref, name).lines]
        for name in campaign_mails.LISTS
    }
    assert lists == {name: [person.code] if name == which else [] for name in campaign_mails.LISTS}
    [line] = campaign_mails.see_mails(ctx, alice, ref, which).lines
    assert campaign_mails.see_mail_to(ctx, alice, ref, person.code) == line
    assert "lower limit" not in line.reason


def test_a_long_list_is_paged_without_losing_anybody(
    ctx: Context, world: World, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_mails, "PAGE", 2)
    topic_id, _text = world.topic()
    running = world.campaign(topic_id)
    people = [mail(world, running, topic_id, "sent").code for _ in range(5)]
    seen, further = [], ""
    while True:
        page = campaign_mails.see_mails(ctx, alice, ref_of(ctx, running), "sent", further)
        seen += [line.code for line in page.lines]
        further = page.further
        if not further:
            break
    assert seen == people


def test_of_one_person_no_more_is_told_than_that_they_asked_not_to_a_limit_or_not_in_the_audience(
    ctx: Context, world: World, alice: Actor
) -> None:
    topic_id, _text = world.topic()
    running = world.campaign(topic_id, planned=world.now)
    ref = ref_of(ctx, running)

    def told(*reasons: str) -> set[MailLine]:
        codes = [mail(world, running, topic_id, "withheld", reason).code for reason in reasons]
        return {replace(campaign_mails.see_mail_to(ctx, alice, ref, code), code="") for code in codes}

    asked = ("withdrawn", "complaint", "erased", "never", "restricted", "deceased", "imported", "paused", "bounce")
    assert told(*asked) == {MailLine("", None, "asked")}
    assert told("cap_own", "cap_promise", "cap_total", "cap_promotional", "ratio") == {MailLine("", None, "limit")}
    stranger = campaign_mails.see_mail_to(ctx, alice, ref, world.person().code)
    assert told("no_consent", "expired", "kind", "same_mailbox") == {replace(stranger, code="")}
    assert stranger.outcome == "outside"
    unplanned = ref_of(ctx, world.campaign(topic_id))
    assert campaign_mails.see_mail_to(ctx, alice, unplanned, world.person().code).outcome == "undecided"


def test_whoever_was_erased_reads_in_lists_as_everybody_else(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    running = world.campaign(topic_id)
    ref = ref_of(ctx, running)
    gone, stopped, stays = (mail(world, running, topic_id, "sent") for _ in range(3))
    world.grant(stopped, topic_id, text_id, state="withdrawn")
    world.grant(stays, topic_id, text_id)
    with ctx.db.transaction() as conn:
        leaving.erase(conn, [gone.id])
    listed = campaign_mails.see_mails(ctx, alice, ref, "sent").lines
    assert [line.code for line in listed] == [gone.code, stopped.code, stays.code]
    assert len({replace(line, code="") for line in listed}) == 1
    one_by_one = [campaign_mails.see_mail_to(ctx, alice, ref, person.code) for person in (gone, stopped, stays)]
    assert one_by_one == list(listed)


def test_each_reason_says_what_it_means_and_few_stay_few(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    for state in ["withdrawn"] * 5 + ["paused"] + ["granted"]:
        world.grant(world.person(), topic_id, text_id, state=state)
    running = world.campaign(topic_id, state="scheduled")
    why = see_why_not(ctx, alice, ref_of(ctx, running))
    assert why.is_forecast
    assert [(row.words, row.exactly) for row in why.rows] == [("Asked not to", 5), ("Paused by the person", None)]
    assert (why.total, why.at_least) == (5, True)
    assert all(row.means for row in why.rows)


def test_there_is_no_list_of_the_withheld(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic()
    ref = ref_of(ctx, world.campaign(topic_id))
    with pytest.raises(NotFoundError):
        campaign_mails.see_mails(ctx, alice, ref, "withheld")
    with pytest.raises(InvalidInputError):
        campaign_mails.see_mail_to(ctx, alice, ref, "AAAAAAAAAA")


def test_lists_cost_the_same_statements_however_long(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    running = world.campaign(topic_id)
    ref = ref_of(ctx, running)

    def campaigns_more() -> None:
        for _ in range(3):
            world.campaign(topic_id, state="draft")

    def mails_more() -> None:
        for _ in range(3):
            mail(world, running, topic_id, "sent")

    def contacts_more() -> None:
        for _ in range(3):
            world.grant(world.person(), topic_id, text_id)

    with ctx.db.reading() as conn:
        topic_ref = bytes(conn.execute(select(topic.c.ref)).scalar_one())
    same_when_doubled(ctx, lambda: campaign_pages.see_campaigns(ctx, alice), campaigns_more)
    same_when_doubled(ctx, lambda: campaign_mails.see_mails(ctx, alice, ref, "sent"), mails_more)
    same_when_doubled(ctx, lambda: contacts_list.see_contacts(ctx, alice, topic_ref), contacts_more)
    same_when_doubled(ctx, lambda: contacts_list.see_audience(ctx, alice), world.topic)
    same_when_doubled(ctx, lambda: campaign_pages.see_topics(ctx, alice), world.topic)


def test_the_audience_lists_only_who_gets_mail(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    agreed = world.person("greta@example.org", locale="sv")
    world.grant(agreed, topic_id, text_id)
    for state in ("withdrawn", "paused", "expired", "pending"):
        world.grant(world.person(), topic_id, text_id, state=state)
    [shown] = contacts_list.see_audience(ctx, alice)
    assert shown.granted == 1
    assert {row.reason: row.exactly for row in shown.others} == dict.fromkeys(
        ("asked not to", "paused", "expired", "pending")
    )
    [line] = contacts_list.see_contacts(ctx, alice, bytes.fromhex(shown.ref)).lines
    assert (line.code, line.address, line.locale) == (agreed.code, "g•••@e•••.org", "sv")


def test_reading_needs_the_role(ctx: Context, world: World) -> None:
    topic_id, _text = world.topic()
    ref = ref_of(ctx, world.campaign(topic_id))
    admin = Actor("staff:ad", frozenset({Role.ADMINISTRATOR}), 1)
    looks: list[Callable[[], object]] = [
        lambda: campaign_pages.see_campaigns(ctx, admin),
        lambda: campaign_pages.see_campaign(ctx, admin, ref),
        lambda: campaign_pages.see_progress(ctx, admin, ref),
        lambda: campaign_pages.see_check(ctx, admin, ref),
        lambda: campaign_mails.see_mails(ctx, admin, ref, "sent"),
        lambda: campaign_mails.see_mail_to(ctx, admin, ref, "AAAAAAAAAA"),
        lambda: contacts_list.see_audience(ctx, admin),
    ]
    for look in looks:
        with pytest.raises(NotAllowedError):
            look()
