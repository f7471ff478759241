"""The receipt somebody asked to be mailed: to its owner alone, whole, after everything ended too, never past a bar."""

import email
import email.policy
import re
from email.message import EmailMessage

import pytest

from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import Event
from outreach.domain.receipts import EVENTS
from outreach.domain.tokens import Purpose, purpose_of
from outreach.services.consents import apply_event
from outreach.services.receipts.checking import Verdict, check_receipt
from outreach.services.receipts.links import token_of
from outreach.services.receipts.mailing import mail_receipt
from outreach.store import receipts as store
from outreach.store import suppressions
from outreach.store.consents import bar_keys
from outreach.store.contacts import Person
from tests.factories import World
from tests.pipeline.conftest import Line


def receipts(line: Line, world: World, *events: Event, locale: str = "en") -> tuple[Person, list[str]]:
    """A person these things happened to, and the tokens of their receipts."""
    topic, text = world.topic()
    person = world.person("alice@example.org", locale=locale)
    for event in (Event.REQUESTED, *events):
        with line.ctx.db.transaction() as conn:
            apply_event(
                conn,
                line.ctx,
                line.now(),
                actor=RECIPIENT,
                contact_id=person.id,
                topic_id=topic,
                event=event,
                text_id=text,
            )
    with line.ctx.db.reading() as conn:
        rows = store.events_of(conn, person.id, sorted(EVENTS))
    return person, [token_of(line.ctx, row.ref, row.at) for row in rows]


def read(line: Line, place: int = 0) -> tuple[EmailMessage, str]:
    mail = email.message_from_bytes(line.relay.sent[place].data, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain",))
    assert body is not None
    return mail, body.get_content()


def code(text: str) -> str:
    """The lines of the code, as a reader would select them."""
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if re.fullmatch("[A-Za-z0-9+/]{64}", line))
    return "\n".join(lines[first : lines.index("", first)])


def test_it_holds_the_receipt_and_no_link_that_opens_anything(line: Line, world: World) -> None:
    person, (token,) = receipts(line, world, Event.CONFIRMED)
    mail_receipt(line.ctx, token)
    line.rounds()
    assert line.states()[person.id] == ("sent", None)
    mail, text = read(line)
    assert mail["Subject"] == "Your receipt: “Garden tips”"
    assert mail["To"] == "alice@example.org"
    assert "You agreed to “Garden tips”." in text
    found = check_receipt(line.ctx, code(text))
    assert found.verdict is Verdict.GENUINE
    assert found.receipt is not None
    assert found.receipt.event == "confirmed"
    urls = re.findall(r"https?://[^\s>]+", text)
    check, why = urls
    assert check == f"{line.ctx.settings.public_url}/receipts"
    assert purpose_of(why.rpartition("/")[2]) == Purpose.WHY


@pytest.mark.parametrize("locale", ["sv", "nl"])
def test_it_is_written_in_its_readers_language_and_the_code_survives(line: Line, world: World, locale: str) -> None:
    _, (token,) = receipts(line, world, Event.CONFIRMED, locale=locale)
    mail_receipt(line.ctx, token)
    line.rounds()
    assert check_receipt(line.ctx, code(read(line)[1])).verdict is Verdict.GENUINE


def test_it_comes_after_everything_was_stopped_for_its_reader_asked(line: Line, world: World) -> None:
    person, tokens = receipts(line, world, Event.CONFIRMED, Event.WITHDRAWN)
    mail_receipt(line.ctx, tokens[-1])
    line.rounds()
    assert line.states()[person.id] == ("sent", None)
    assert "“Garden tips” was stopped." in read(line)[1]


@pytest.mark.parametrize("bar", ["never", "complaint", "bounce"])
def test_it_does_not_come_past_a_bar(line: Line, world: World, bar: str) -> None:
    person, (token,) = receipts(line, world, Event.CONFIRMED)
    with line.ctx.db.transaction() as conn:
        _, mailbox = bar_keys(conn, person.id)
        suppressions.put(conn, line.now(), [suppressions.Bar(mailbox, "mailbox", bar, "officer", "test")])
    mail_receipt(line.ctx, token)
    line.rounds()
    assert line.states()[person.id] == ("withheld", bar)


def test_no_more_come_than_the_mailbox_may_get_in_a_day(line: Line, world: World) -> None:
    events = [Event.CONFIRMED, Event.WITHDRAWN, Event.CONFIRMED, Event.WITHDRAWN, Event.CONFIRMED]
    _, tokens = receipts(line, world, *events)
    for token in [*tokens, *tokens]:
        mail_receipt(line.ctx, token)
    line.rounds()
    assert len(line.relay.sent) == line.ctx.settings.confirmations_per_mailbox == 3
    line.pass_hours(25)
    mail_receipt(line.ctx, tokens[0])
    line.rounds()
    assert len(line.relay.sent) == 4


def test_each_is_in_the_log_without_an_address(line: Line, world: World) -> None:
    _, (token,) = receipts(line, world, Event.CONFIRMED)
    mail_receipt(line.ctx, token)
    (entry,) = line.entries("receipt.mailed")
    assert set(entry) == {"event"}
