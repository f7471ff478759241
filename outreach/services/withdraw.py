"""Withdrawing: one step from any mail, no login, for ever, in force for the very next hand-off (promise 7, RFC 8058).

Everything a link inside a mail may do is here, and all of it only reduces. Undo lives an hour, in the browser that
acted: its token is given to that browser alone and never printed in a mail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.errors import ConflictError, InvalidInputError, OutreachError, TokenError
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Answer
from outreach.domain.tokens import Purpose, Token
from outreach.services import notices, streams
from outreach.services.answers import settle_refusal
from outreach.services.confirm import Client, close_declined
from outreach.services.consents import Change, Held, apply_changes
from outreach.services.context import Context
from outreach.services.lowered import lock_mailboxes, withhold_surplus
from outreach.services.standing import Mail, Standing, find_mail, find_mails, standing, standings
from outreach.services.turns import Later
from outreach.store import address_moves, consents, invitees, requests
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id
from outreach.store.schema.consents import confirmation

PAUSE_DAYS = 30
LOWER_CAPS = {"lower": (1, 7 * 86_400), "lower-month": (1, 30 * 86_400)}
"""The lower caps a link offers, (n, seconds): one mail a week, and one a month to whom that is no less."""

_DAY = 86_400_000_000
WAYS = ("one-click", "page", "everything", *LOWER_CAPS, "pause")
_STOPS = frozenset({"one-click", "page", "everything", "mail"})


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """What a press did. `undo`: a token for this browser's session, None when nothing changed or cannot be undone."""

    standing: Standing
    changed: int
    undo: str | None = None


@dataclass(frozen=True)
class Press:
    """One press of a button behind a link."""

    token: str
    how: str
    client: Client
    purpose: Purpose


@dataclass(frozen=True)
class Act:
    """What a press asks to be done about its mail. `everything`: not about that mail alone, but all there is."""

    mail: Mail
    how: str
    client: Client
    everything: bool = False


def view_stop(ctx: Context, token: str) -> Standing:
    """What the page behind a stop link says. Changes nothing. Raises TokenError."""
    with ctx.db.looking() as conn:
        read = ctx.tokens.read(Purpose.STOP, token, ctx.db.now(conn))
        mail = find_mail(conn, read.ref)
        here = standing(conn, mail)
        return streams.beside(conn, ctx, mail.ref, here) if mail is not None and mail.goes_on else here


def withdraw(ctx: Context, token: str, how: str, client: Client, *, purpose: Purpose = Purpose.STOP) -> Withdrawn:
    """Stop this mail's topic ("one-click", "page") or "everything"; lower its cap (LOWER_CAPS) or "pause" it. A mail
    that goes on with a connection or a conversation stops that, and one that belongs to nothing stops everything.

    `purpose`: the kind of link, STOP or WHY. Idempotent. A mail that asked a question is answered no. Raises
    TokenError, InvalidInputError for another `how`.
    """
    if how not in WAYS or purpose not in {Purpose.STOP, Purpose.WHY}:
        raise InvalidInputError("Choose one of the buttons on the page. Nothing was changed.")
    return ctx.turns.take(
        lambda everybody: _withdraw(ctx, everybody), Press(token, how, client, purpose), kind="withdraw"
    )


def _withdraw(ctx: Context, everybody: Callable[[], Sequence[Press]]) -> list[Withdrawn | OutreachError | Later]:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        presses = everybody()
        read = [ctx.tokens.tried(press.purpose, press.token, now) for press in presses]
        mails = find_mails(conn, {one.ref for one in read if isinstance(one, Token)})
        outcomes: dict[int, Withdrawn | OutreachError | Later] = {}
        acts: dict[int, Act] = {}
        taken: list[Act] = []  # in this turn, however they are carried out
        for place, (press, one) in enumerate(zip(presses, read, strict=True)):
            mail = mails.get(one.ref) if isinstance(one, Token) else None
            if isinstance(one, OutreachError):
                outcomes[place] = one
                continue
            if mail is None:  # for ever: nothing is held, so nothing is sent
                outcomes[place] = Withdrawn(standing=standing(conn, None), changed=0)
                continue
            act = _act(conn, ctx, mail, press.how, press.client)
            if not all(_are_apart(other, act) for other in taken):
                outcomes[place] = Later()
                continue
            taken.append(act)
            if mail.invitation is not None and press.how in _STOPS:
                outcomes[place] = _never_again(conn, ctx, now, mail)
            else:
                acts[place] = act
        changed = _reduce(conn, ctx, now, list(acts.values()))
        again = find_mails(conn, {act.mail.ref for act in acts.values() if act.mail.confirmation is not None})
        after = standings(conn, [again.get(act.mail.ref, act.mail) for act in acts.values()])
        for (place, act), count, here in zip(acts.items(), changed, after, strict=True):
            undo = ctx.tokens.issue(Purpose.UNDO, act.mail.ref, now) if count and act.how != "one-click" else None
            told = streams.beside(conn, ctx, act.mail.ref, here) if act.mail.goes_on else here
            outcomes[place] = Withdrawn(standing=told, changed=count, undo=undo)
        return [outcomes[place] for place in range(len(presses))]


def _act(conn: Connection, ctx: Context, mail: Mail, how: str, client: Client) -> Act:
    asks = mail.confirmation is not None and not mail.led_to_account
    is_alone = mail.topic is None and not asks and mail.invitation is None and mail.origin != "reply"
    stops_all = how in _STOPS and is_alone and streams.stream_of(conn, ctx, mail.ref) is None
    return Act(mail, how, client, everything=how == "everything" or stops_all)


def _are_apart(one: Act, other: Act) -> bool:
    """Whether two acts can share a turn: stops of two people from mails of a topic, which touch nothing of each other.
    All others lock more than their person, and are carried out alone.
    """
    return _is_plain(one) and _is_plain(other) and set(one.mail.people).isdisjoint(other.mail.people)


def _is_plain(act: Act) -> bool:
    mail = act.mail
    is_of_topic = mail.topic is not None and mail.confirmation is None and mail.invitation is None and not mail.goes_on
    return is_of_topic and act.how in {"one-click", "page"}


def withdraw_by_mail(conn: Connection, ctx: Context, now: int, ref: bytes) -> int:
    """Stop what the message `ref` was about, as a mail to its unsubscribe address asks (RFC 2369 §3.2), inside the
    caller's transaction. Returns how many consents and streams that ended; of an invitation, 1 where it is never again
    now.
    """
    mail = find_mail(conn, ref)
    if mail is None:
        return 0
    if mail.invitation is not None:
        return _never_again(conn, ctx, now, mail).changed
    return _reduce(conn, ctx, now, [_act(conn, ctx, mail, "mail", Client())])[0]


def _reduce(conn: Connection, ctx: Context, now: int, acts: Sequence[Act]) -> list[int]:
    """Change what still stands, each act about another person. Returns how many consents, streams and kinds of notices
    each changed.
    """
    if not acts:
        return []
    people = [one for act in acts for one in act.mail.people]
    refs = lock_mailboxes(conn, people)
    rows = consents.held(conn, people)
    before = {(row.contact, row.topic): row for row in rows}
    changes: list[list[Change]] = []
    for act in acts:
        mine = [row for row in rows if row.contact in act.mail.people]
        wanted = _changes(conn, act, mine, now)
        changes.append([_with_memory(change, before[change.contact, change.topic]) for change in wanted])
    together = [change for some in changes for change in some]
    apply_changes(conn, ctx, now, actor=RECIPIENT, changes=together, held=Held(refs, rows))
    for act, some in zip(acts, changes, strict=True):
        for change in some if act.how in LOWER_CAPS else ():
            if (person := find_by_id(conn, change.contact)) is not None:
                withhold_surplus(conn, now, person, change.topic, Cap(*LOWER_CAPS[act.how]))
        if act.how in _STOPS:  # less, or later, is no answer to what a mail asks
            _answer_no(conn, ctx, now, act.mail, everything=act.everything)
    return [len(some) + _stop_others(conn, ctx, now, act) for act, some in zip(acts, changes, strict=True)]


def _stop_others(conn: Connection, ctx: Context, now: int, act: Act) -> int:
    """What comes under no consent."""
    is_stream = act.mail.goes_on and act.how in _STOPS
    stopped = streams.stop(conn, ctx, now, act.mail.ref) if is_stream else 0
    return stopped + (notices.switch_off(conn, ctx, now, act.mail.ref, act.mail.people) if act.everything else 0)


def _never_again(conn: Connection, ctx: Context, now: int, mail: Mail) -> Withdrawn:
    """A stop from the mail of an invitation: nothing more from anybody here. Every spelling is locked at once."""
    row = invitees.again(conn, mail.invitation or 0)
    settle_refusal(conn, ctx, now, row, Answer.NEVER, actor=RECIPIENT)
    return Withdrawn(standing=standing(conn, mail), changed=int(row.answer != Answer.NEVER))


def undo(ctx: Context, token: str, client: Client) -> int:
    """Take back what one press changed, within its hour. Returns how many consents, streams and kinds of notices were
    put back; twice is once.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.UNDO, token, now)
        mail = find_mail(conn, read.ref)
        if mail is None:
            raise ConflictError("There is nothing left to undo.")
        consents.lock_contacts(conn, mail.people)
        keys = ContactKeys(ctx.keyring, conn)
        changes = []
        for event in consents.events_of_act(conn, mail.people, mail.ref, read.issued):
            latest = consents.last_event(conn, event.contact, event.topic)
            back = _reverse(event, keys.facts(event.contact, event.evidence_box), client)
            if back is not None and latest is not None and latest.id == event.id:
                changes.append(back)
        apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
        resumed = streams.resume(conn, ctx, now, mail.ref, read.issued) if mail.goes_on else 0
        return len(changes) + resumed + notices.switch_on_again(conn, now, mail.ref, mail.people, read.issued)


def can_undo(ctx: Context, token: str) -> bool:
    """Whether an undo token still works."""
    with ctx.db.looking() as conn:
        try:
            ctx.tokens.read(Purpose.UNDO, token, ctx.db.now(conn))
        except TokenError:
            return False
        return True


def _changes(conn: Connection, act: Act, rows: list[consents.Held], now: int) -> list[Change]:
    """What a press changes: only what is still standing, so that pressing twice is pressing once."""
    mail, how, client = act.mail, act.how, act.client
    if act.everything:
        pass
    elif mail.topic is not None:
        rows = [row for row in rows if row.topic == mail.topic]
    elif mail.confirmation is not None:
        rows = [row for row in rows if row.topic in _granted_by(conn, mail.confirmation)]
    else:
        rows = []
    evidence = {"act": _ACTS[how], "ip": client.ip, "browser": client.browser[:500]}
    base = [
        Change(
            contact=row.contact,
            topic=row.topic,
            event=Event.WITHDRAWN,
            text=row.text,
            message_ref=mail.ref,
            evidence=evidence,
        )
        for row in rows
        if _still_standing(row, how)
    ]
    if how in LOWER_CAPS:
        return [replace(change, event=Event.LIMITED, own=LOWER_CAPS[how]) for change in base]
    if how == "pause":
        return [replace(change, event=Event.PAUSED, paused_until=now + PAUSE_DAYS * _DAY) for change in base]
    return base


def _granted_by(conn: Connection, confirmation_id: int) -> set[int]:
    """What the question of this mail was answered yes to: nothing while it is open."""
    return {topic for topic, row in requests.asked_topics(conn, confirmation_id).items() if row.granted}


_ACTS = {
    "one-click": "one-click unsubscribe (RFC 8058)",
    "mail": "wrote to the unsubscribe address of a mail (RFC 2369)",
    "page": "pressed “Stop” on the page",
    "everything": "pressed “Stop everything” on the page",
    "lower": "pressed “At most 1 a week” on the page",
    "lower-month": "pressed “At most 1 a month” on the page",
    "pause": "pressed “Pause for 30 days” on the page",
}


def _still_standing(row: consents.Held, how: str) -> bool:
    if how == "pause":
        return row.state == State.GRANTED
    if how in LOWER_CAPS:
        return row.state in LIVE and is_less(LOWER_CAPS[how], row.own)
    return row.state not in {State.NONE, State.WITHDRAWN}


def is_less(cap: tuple[int, int], than: tuple[int, int] | None) -> bool:
    """Whether `cap` lets fewer mails through in the long run than another; both (n, seconds), None: no cap."""
    return than is None or cap[0] * than[1] < than[0] * cap[1]


def _with_memory(change: Change, row: consents.Held) -> Change:
    """Evidence that remembers what undoing puts back."""
    return replace(change, evidence={**change.evidence, "own_before": list(row.own) if row.own else None})


def _reverse(event: Row[Any], evidence: dict[str, Any], client: Client) -> Change | None:
    told = {"act": "pressed “Undo”", "ip": client.ip, "browser": client.browser[:500], "undoes": event.ref.hex()}
    base = Change(
        contact=event.contact,
        topic=event.topic,
        event=Event.RESUMED,
        text=event.text,
        evidence=told,
        message_ref=event.message_ref,
    )
    before = State(event.from_state)
    if event.event == Event.WITHDRAWN and before in LIVE:
        return replace(base, event=Event.RESTORED, before=before)
    if event.event == Event.PAUSED and before == State.GRANTED:
        return base
    if event.event == Event.LIMITED:
        own: Sequence[int] | None = evidence.get("own_before")
        return replace(base, event=Event.UNLIMITED, own=(own[0], own[1]) if own else None)
    return None


def _answer_no(conn: Connection, ctx: Context, now: int, mail: Mail, *, everything: bool) -> None:
    """A stop from a mail that asked a question answers it; stopping everything answers every open one.

    What was to come here from another address is asked for by such a mail, and does not come after either.
    """
    if not everything and mail.confirmation is None:
        return
    query = select(confirmation).where(confirmation.c.contact == mail.contact, confirmation.c.answered.is_(None))
    if not everything:
        query = query.where(confirmation.c.id == mail.confirmation)
    for question in conn.execute(query.with_for_update()).all():
        close_declined(conn, ctx, now, question)
    address_moves.refuse_at(conn, now, mail.contact, None if everything else mail.confirmation)
