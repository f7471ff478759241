"""The owner's answer to "would you like mail from us?": read from a link, given by a press, and provable for ever.

Evidence as in BGH I ZR 164/09: the verbatim text and version, locale, form, boxes, times and addresses of request and
confirmation, the mail that asked, the token's id and the act.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import LIVE, Event
from outreach.domain.errors import InvalidInputError, TokenExpiredError
from outreach.domain.tokens import Purpose, Token
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.public_text import House, Promise, promise_of, read_house
from outreach.services.scanners import looks_like_one
from outreach.store import consents, requests, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.people import contact

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
    when it was confirmed.
    """

    view: ConfirmationView
    is_again: bool = False
    needs_step: bool = False
    at: int = 0


def view_confirmation(ctx: Context, token: str) -> ConfirmationView:
    """What a confirmation link asks. Changes nothing. Raises TokenError, or TokenExpiredError after 7 days."""
    with ctx.db.looking() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.CONFIRM, token, now)
        return _view(conn, now, ContactKeys(ctx.keyring, conn), _question(conn, read, now))


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
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.CONFIRM, token, now)
        question = _question(conn, read, now, lock=True)
        keys = ContactKeys(ctx.keyring, conn)
        view = _view(conn, now, keys, question)
        if view.answer:
            return Answered(view=view, is_again=True)
        yes = [topic for topic in view.topics if topic.ref in topics]
        if not yes:
            raise InvalidInputError("Tick what you would like to get, or choose No.", field="topics")
        mail = requests.last_mail(conn, question.id, question.contact)
        if not is_human and looks_like_one(conn, now, question.ref, _handed_off(mail, now)):
            return Answered(view=view, needs_step=True)
        pressed = button if isinstance(button, str) else button(view)
        evidence = _evidence(keys, question, read, mail, client) | {"act": f"pressed “{pressed}”"}
        changes = [_yes(question, topic, evidence, mail, ticked=len(view.topics) > 1) for topic in yes]
        changes += [_no(question, topic, mail) for topic in view.topics if topic not in yes]
        apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes, keys=keys)
        requests.mark_granted(conn, question.id, [topic.topic for topic in yes])
        suppressions.lift_by_owner(conn, now, consents.bar_keys(conn, question.contact))
        _close(conn, now, question, "confirmed", yes)
        return Answered(view=replace(view, answer="confirmed", granted=tuple(yes)), at=now)


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
    _close(conn, now, question, "declined", ())


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
        question = _question(conn, read, now, lock=True)
        keys = ContactKeys(ctx.keyring, conn)
        view = _view(conn, now, keys, question)
        if not view.answer:
            close_declined(conn, ctx, now, question)
        if answer == "never" and view.answer != "never":
            bar_forever(conn, ctx, now, question.contact, reason="never write to me again")
            requests.change_confirmation(conn, question.id, answer="never")
            erase_strangers(conn, now, [question.contact], actor=RECIPIENT, reason="never again")
        return Answered(view=view, is_again=view.answer == "never" if answer == "never" else bool(view.answer))


def _handed_off(mail: Row[Any] | None, now: int) -> int | None:
    """When the mail left; now, while that is still to be written down."""
    if mail is None:
        return None
    return now if mail.state == "attempted" else mail.counted


def _question(conn: Connection, read: Token, now: int, *, lock: bool = False) -> Row[Any]:
    """The confirmation a token names; its contact locked first, as everywhere."""
    found = requests.confirmation_by_ref(conn, read.ref)
    if found is not None and lock:
        consents.lock_contacts(conn, [found.contact])
        found = requests.confirmation_by_ref(conn, read.ref, lock=True)
    if found is None or found.about not in _ASKED or found.answer == "expired":
        raise TokenExpiredError("This link is past its time. Nothing was changed; sign up again to get a fresh one.")
    if found.answered is None and found.expires <= now:
        raise TokenExpiredError("This link is past its time. Nothing was changed; sign up again to get a fresh one.")
    return found


def _view(conn: Connection, now: int, keys: ContactKeys, question: Row[Any]) -> ConfirmationView:
    asked = requests.asked_topics(conn, question.id)
    topics = consents.topics(conn, asked)
    texts = consents.texts(conn, (row.text for row in asked.values()))
    promises = {topic: promise_of(topics[topic], texts[row.text]) for topic, row in asked.items()}
    person = conn.execute(
        select(contact.c.address_box, contact.c.timezone).where(contact.c.id == question.contact)
    ).one()
    exact = keys.text(question.contact, person.address_box)
    return ConfirmationView(
        house=read_house(conn),
        locale=question.locale,
        timezone=person.timezone,
        requested=question.requested,
        topics=tuple(promises.values()),
        masked=addresses.mask(exact) if exact else "",
        ceiling=consents.total_ceiling(conn, now),
        about=question.about,
        ends=question.expires,
        answer=question.answer or "",
        granted=tuple(promises[topic] for topic, row in asked.items() if row.granted),
    )


def _evidence(
    keys: ContactKeys, question: Row[Any], read: Token, mail: Row[Any] | None, client: Client
) -> dict[str, Any]:
    requested = keys.facts(question.contact, question.evidence_box)
    return {
        **requested,
        "locale": question.locale,
        "confirmation": question.ref.hex(),
        "mail": None if mail is None else mail.ref.hex(),
        "token": {"purpose": read.purpose.value, "ref": read.ref.hex(), "issued": read.issued, "key": read.key},
        "ip": client.ip,
        "browser": client.browser[:500],
    }


def _yes(
    question: Row[Any], topic: Promise, evidence: Mapping[str, Any], mail: Row[Any] | None, *, ticked: bool
) -> Change:
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
        message_ref=None if mail is None else mail.ref,
    )


def _no(question: Row[Any], topic: Promise, mail: Row[Any] | None) -> Change:
    return Change(
        contact=question.contact,
        topic=topic.topic,
        event=Event.DECLINED,
        text=topic.text,
        evidence={"act": "left its box empty"},
        message_ref=None if mail is None else mail.ref,
    )


def _close(conn: Connection, now: int, question: Row[Any], answer: str, yes: Collection[Promise]) -> None:
    requests.change_confirmation(conn, question.id, answered=now, answer=answer)
    refs = consents.lock_contacts(conn, [question.contact])
    body = {"confirmation": question.ref.hex(), "answer": answer, "topics": [topic.name for topic in yes]}
    entry = Entry(kind="confirmation.answered", actor="recipient", contact=refs[question.contact], body=body)
    record(conn, now, entry)
