"""The owner's answer to "would you like mail from us?": read from a link, given by a press, and provable for ever.

Evidence as in BGH I ZR 164/09: the verbatim text and version, locale, form, boxes, times and addresses of request and
confirmation, the mail that asked, the token's id and the act.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import LIVE, Event
from outreach.domain.errors import InvalidInputError, OutreachError, TokenExpiredError
from outreach.domain.policies import Name
from outreach.domain.tokens import Purpose, Token
from outreach.services.consents import GIVEN_UNDER, Change, Held, apply_changes
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.public_text import House, Promise, TopicFacts, promise_of, read_house
from outreach.services.receipts.links import ReceiptLink, token_of
from outreach.services.scanners import is_like_one
from outreach.services.turns import Later
from outreach.store import consents, policies, requests, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys

_ASKED = frozenset({"topics", "renewal"})
"""What the confirmations are about that this page asks; an account has its own."""


@dataclass(frozen=True)
class Client:
    """Who pressed: the whole network address and the browser, as evidence."""

    ip: str = ""
    browser: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfirmationView:
    """What the page shows. `answer`: empty while open, else confirmed, declined or never; `requested`: microseconds.

    `about`: topics somebody asked for, or the renewal of a consent that else ends at `ends`.
    """

    house: House
    locale: str
    timezone: str
    requested: int
    topics: tuple[Promise, ...]
    masked: str
    ceiling: tuple[int, int]
    about: str = "topics"
    ends: int = 0
    answer: str = ""
    granted: tuple[Promise, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the press did. `is_again`: answered before; `needs_step`: nothing happened yet, ask one step more; `at`:
    when it was confirmed; `receipts`: links to the receipts of it.
    """

    view: ConfirmationView
    is_again: bool = False
    needs_step: bool = False
    at: int = 0
    receipts: tuple[ReceiptLink, ...] = ()


@dataclass(frozen=True)
class Press:
    """A yes: to the topics whose box was ticked (refs), or the one asked about. `button`: the words on what was
    pressed, of the question it answers; called by whoever carries out the turn, so it knows nothing of a request.
    """

    token: str
    topics: Collection[bytes]
    client: Client
    button: Callable[[ConfirmationView], str]
    is_human: bool


def view_confirmation(ctx: Context, token: str) -> ConfirmationView:
    """What a confirmation link asks. Changes nothing. Raises TokenError, or TokenExpiredError after 7 days."""
    with ctx.db.looking() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.CONFIRM, token, now)
        asked = _Asked(conn, ctx, now, [read.ref])
        return asked.view(asked.find(read.ref))


def grant(
    ctx: Context,
    token: str,
    topics: Collection[bytes],
    client: Client,
    *,
    button: str | Callable[[ConfirmationView], str],
    is_human: bool = False,
) -> Answered:
    """Yes to `topics` (refs whose box was ticked, or the one asked about), no to the rest of the question.

    `button`: the words on it, or what makes them of the question. Raises InvalidInputError when nothing was ticked,
    TokenError and TokenExpiredError.
    """
    words = button if callable(button) else lambda _view: button
    press = Press(token, topics, client, words, is_human)
    return ctx.turns.take(lambda everybody: _grant(ctx, everybody), press, kind="grant")


def _grant(ctx: Context, everybody: Callable[[], Sequence[Press]]) -> list[Answered | OutreachError | Later]:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        presses = everybody()
        read = [ctx.tokens.tried(Purpose.CONFIRM, press.token, now) for press in presses]
        asked = _Asked(conn, ctx, now, {one.ref for one in read if isinstance(one, Token)}, lock=True)
        given: dict[int, _Yes] = {}
        outcomes: list[Answered | OutreachError | Later] = []
        for press, one in zip(presses, read, strict=True):
            outcome = _judged(asked, press, one) if isinstance(one, Token) else one
            if not isinstance(outcome, _Yes):
                outcomes.append(outcome)
                continue
            if all(other.question.contact != outcome.question.contact for other in given.values()):
                given[len(outcomes)] = outcome
            outcomes.append(Later())  # unless it is carried out in this turn, below
        _carry_out(conn, ctx, now, asked, list(given.values()))
        for place, yes in given.items():
            outcomes[place] = yes.answered(ctx, now)
        return outcomes


def _judged(asked: "_Asked", press: Press, read: Token) -> "_Yes | Answered | OutreachError":
    """What a press comes to: a yes to be carried out, or what its page says instead."""
    try:
        question = asked.find(read.ref)
    except TokenExpiredError as error:
        return error
    view = asked.view(question)
    if view.answer:
        return Answered(view=view, is_again=True)
    yes = [topic for topic in view.topics if topic.ref in press.topics]
    if not yes:
        return InvalidInputError("Tick what you would like to get, or choose No.", field="topics")
    if not press.is_human and is_like_one(asked.now, question.was_touched, _handed_off(question, asked.now)):
        return Answered(view=view, needs_step=True)
    evidence = _evidence(asked.keys, question, read, press.client) | {"act": f"pressed “{press.button(view)}”"}
    changes = [_yes(question, topic, evidence, ticked=len(view.topics) > 1) for topic in yes]
    changes += [_no(question, topic) for topic in view.topics if topic not in yes]
    return _Yes(question, view, yes, changes)


@dataclass(eq=False)
class _Yes:
    """A yes that stands, and `events`: the refs of the events that tell of each of its topics."""

    question: Row[Any]
    view: ConfirmationView
    topics: list[Promise]
    changes: list[Change]
    events: list[bytes] = field(default_factory=list)

    def answered(self, ctx: Context, now: int) -> Answered:
        made = zip(self.topics, self.events, strict=True)
        receipts = tuple(ReceiptLink(topic.title, token_of(ctx, event, now)) for topic, event in made)
        view = replace(self.view, answer="confirmed", granted=tuple(self.topics))
        return Answered(view=view, at=now, receipts=receipts)


def _carry_out(conn: Connection, ctx: Context, now: int, asked: "_Asked", given: Sequence[_Yes]) -> None:
    if not given:
        return
    changes = [change for yes in given for change in yes.changes]
    entries = [_told(asked.refs, yes.question, yes.topics, "confirmed") for yes in given]
    held = Held(asked.refs, keys=asked.keys, topics=asked.by_topic, rules=asked.rules)
    applied = iter(apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes, held=held, entries=entries))
    for yes in given:
        events = [next(applied).event for _ in yes.changes]
        yes.events = [event for event in events[: len(yes.topics)] if event is not None]
    requests.mark_granted(conn, {yes.question.id: [topic.topic for topic in yes.topics] for yes in given})
    bars = [key for yes in given for key in (yes.question.address_key, yes.question.mailbox_key)]
    suppressions.lift_by_owner(conn, now, bars)
    requests.close(conn, now, [yes.question.id for yes in given], "confirmed")


def decline(ctx: Context, token: str) -> Answered:
    """No to the whole question; what was confirmed before stays so. Twice is once."""
    return _refuse(ctx, token, "declined")


def never(ctx: Context, token: str) -> Answered:
    """No, and never write to this mailbox again: everything ends, and only an officer could lift the bar."""
    return _refuse(ctx, token, "never")


def close_declined(conn: Connection, ctx: Context, now: int, question: Row[Any]) -> None:
    """Answer an open question with no, inside the caller's transaction. A stranger is erased when its time is over.

    No to the question whether a consent shall go on ends it.
    """
    asked = requests.asked_topics(conn, question.id)
    if question.about == "renewal":
        changes = [_end(row) for row in consents.held(conn, [question.contact], asked) if row.state in LIVE]
    else:
        changes = [Change(contact=question.contact, topic=topic, event=Event.DECLINED) for topic in asked]
    apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
    refs = consents.lock_contacts(conn, [question.contact])
    requests.close(conn, now, [question.id], "declined")
    record(conn, now, _told(refs, question, (), "declined"))


def _end(row: consents.Held) -> Change:
    told = {"act": "pressed “No” when asked whether it shall go on"}
    return Change(contact=row.contact, topic=row.topic, event=Event.WITHDRAWN, text=row.text, evidence=told)


def bar_forever(conn: Connection, ctx: Context, now: int, contact_id: int, *, reason: str) -> None:
    """Bar the mailbox for good and withdraw all its owner agreed to, inside the caller's transaction."""
    _, mailbox_key = consents.bar_keys(conn, contact_id)
    suppressions.put(conn, now, [suppressions.Bar(mailbox_key, "mailbox", "never", "officer", reason)])
    changes = [
        Change(contact=contact_id, topic=row.topic, event=Event.WITHDRAWN, text=row.text, evidence={"act": reason})
        for row in consents.held(conn, [contact_id])
        if row.state not in {"none", "pending"}
    ]
    apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
    refs = consents.lock_contacts(conn, [contact_id])
    record(conn, now, Entry(kind="contact.barred", actor="recipient", contact=refs[contact_id], body={"bar": "never"}))


def _refuse(ctx: Context, token: str, answer: str) -> Answered:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.CONFIRM, token, now)
        asked = _Asked(conn, ctx, now, [read.ref], lock=True)
        question = asked.find(read.ref)
        view = asked.view(question)
        if not view.answer:
            close_declined(conn, ctx, now, question)
        if answer == "never" and view.answer != "never":
            bar_forever(conn, ctx, now, question.contact, reason="never write to me again")
            requests.change_confirmation(conn, question.id, answer="never")
            erase_strangers(conn, now, [question.contact], actor=RECIPIENT, reason="never again")
        return Answered(view=view, is_again=view.answer == "never" if answer == "never" else bool(view.answer))


def _handed_off(question: Row[Any], now: int) -> int | None:
    """When the mail that asked left; now, while that is still to be written down."""
    if question.mail_ref is None:
        return None
    counted: int | None = question.mail_counted
    return now if question.mail_state == "attempted" else counted


class _Asked:
    """Questions that links name, read together, with what their pages show. `lock`: to be answered; owners first."""

    def __init__(
        self, conn: Connection, ctx: Context, now: int, refs: Collection[bytes], *, lock: bool = False
    ) -> None:
        self.now = now
        self.refs = requests.lock_owners(conn, refs) if lock else {}
        self._rows = requests.questions(conn, now, refs, lock=lock)
        self._topics = requests.asked_with_topics(conn, [row.id for row in self._rows.values()])
        self._texts = consents.texts(conn, (one.text for some in self._topics.values() for one in some))
        self.by_topic = {one.topic: one for some in self._topics.values() for one in some}
        self.rules = policies.values_at(conn, now, *GIVEN_UNDER)
        self._house, self._ceiling = read_house(conn), consents.tightest(self.rules[Name.CAP_TOTAL])
        self.keys = ContactKeys(ctx.keyring, conn)
        for row in self._rows.values():
            if row.wrapped is not None:
                self.keys.unwrap(row.contact, row.kek, row.wrapped)

    def find(self, ref: bytes) -> Row[Any]:
        """The question a token names. Raises TokenExpiredError when it is none of this page's, or past its time."""
        found = self._rows.get(ref)
        is_past = found is None or found.about not in _ASKED or found.answer == "expired"
        if found is None or is_past or (found.answered is None and found.expires <= self.now):
            raise TokenExpiredError(
                "This link is past its time. Nothing was changed; sign up again to get a fresh one."
            )
        return found

    def view(self, question: Row[Any]) -> ConfirmationView:
        asked = self._topics.get(question.id, ())
        promises = [promise_of(TopicFacts(one.topic, one.ref, one.slug), self._texts[one.text]) for one in asked]
        exact = self.keys.text(question.contact, question.address_box) if question.wrapped is not None else None
        return ConfirmationView(
            house=self._house,
            locale=question.locale,
            timezone=question.timezone,
            requested=question.requested,
            topics=tuple(promises),
            masked=addresses.mask(exact) if exact else "",
            ceiling=self._ceiling,
            about=question.about,
            ends=question.expires,
            answer=question.answer or "",
            granted=tuple(promise for promise, one in zip(promises, asked, strict=True) if one.granted),
        )


def _evidence(keys: ContactKeys, question: Row[Any], read: Token, client: Client) -> dict[str, Any]:
    requested = keys.facts(question.contact, question.evidence_box)
    return {
        **requested,
        "locale": question.locale,
        "confirmation": question.ref.hex(),
        "mail": None if question.mail_ref is None else question.mail_ref.hex(),
        "token": {"purpose": read.purpose.value, "ref": read.ref.hex(), "issued": read.issued, "key": read.key},
        "ip": client.ip,
        "browser": client.browser[:500],
    }


def _yes(question: Row[Any], topic: Promise, evidence: Mapping[str, Any], *, ticked: bool) -> Change:
    said = {
        "wording": topic.wording,
        "title": topic.title,
        "version": topic.version,
        "text": topic.text_ref.hex(),
        "text_locale": topic.locale,
        "box": "empty, ticked by hand" if ticked else "none: one topic, one button",
    }
    return Change(
        contact=question.contact,
        topic=topic.topic,
        event=Event.CONFIRMED,
        text=topic.text,
        evidence={**evidence, **said},
        message_ref=question.mail_ref,
    )


def _no(question: Row[Any], topic: Promise) -> Change:
    return Change(
        contact=question.contact,
        topic=topic.topic,
        event=Event.DECLINED,
        text=topic.text,
        evidence={"act": "left its box empty"},
        message_ref=question.mail_ref,
    )


def _told(refs: Mapping[int, bytes], question: Row[Any], topics: Collection[Promise], answer: str) -> Entry:
    """What the log says of an answer, with the topics that were agreed to."""
    body = {"confirmation": question.ref.hex(), "answer": answer, "topics": [topic.name for topic in topics]}
    return Entry(kind="confirmation.answered", actor="recipient", contact=refs[question.contact], body=body)
