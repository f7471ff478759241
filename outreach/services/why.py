"""Explains one mail to its reader: why it came, what they agreed to, how many may come. It opens nothing else.

A mail may have been forwarded (promise 2): the address is masked, no other mail and no other topic is shown. Of the
limits over everything it says what they are, never how much of them is used, for that would tell of other mails.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.consent import LIVE, State
from outreach.domain.errors import NotFoundError, OutreachError
from outreach.domain.invitation import Answer
from outreach.domain.policies import Name, caps_of
from outreach.domain.tokens import Purpose, Token
from outreach.services import streams
from outreach.services.agreed import read_agreed
from outreach.services.context import Context
from outreach.services.public_text import Promise, TopicFacts, promise_of, read_house
from outreach.services.receipts.links import token_of
from outreach.services.standing import Standing, find_mail, standing
from outreach.services.withdraw import LOWER_CAPS, is_less
from outreach.store import address_moves, consents, explaining, policies
from outreach.store.boxes import ContactKeys


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How its reader agreed. `how`: confirmed, imported, or soft: on a purchase, `wording` then says how objecting
    was offered; `source`, `given`: what an import brought as evidence;
    `receipt`: the token that links to its receipt; `ends`: when the consent ends by itself, None: it does not.
    """

    at: int
    how: str
    promise: Promise
    source: str = ""
    receipt: str = ""
    wording: str = ""
    ends: int | None = None


@dataclass(frozen=True)
class Limit:
    """At most `n` in any `window` seconds. `name`: promise, own, own-total or total; `nth`: which of them this mail
    was, None where that would tell of other mails.
    """

    name: str
    n: int
    window: int
    nth: int | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who decided to send it, by role. `by`: marketer, typist, member, asker, reader, peer (whom they are connected
    with), staff or system; `at`: when, None where it was at no one moment; `approved`: when a second person said yes,
    `is_by_delay`: time did instead.
    """

    by: str
    at: int | None = None
    approved: int | None = None
    is_by_delay: bool = False


@dataclass(frozen=True)
class Proof:
    """The log's entry about what became of it, as it stands there. `index`: its place, from 0, None while it waits for
    one; `size`: of the newest published checkpoint, None while that does not reach so far.
    """

    text: str
    index: int | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One mail, explained; `nth` of at most `promise.cap_n` in the promise's window; instants in UTC microseconds.

    `origin`: campaign, confirmation, invitation, notice, reply or test; `about`: of a question what it asks (topics,
    account, renewal), of an invitation its way, of what our system writes its template. `state` and `reason`: of the
    message, as stored. `lower`: the lower cap that can be chosen, a key of LOWER_CAPS, or "".
    """

    standing: Standing
    origin: str
    kind: str
    subject: str
    state: str
    decided: Decision
    sent: int | None
    masked: str
    about: str = ""
    reason: str = ""
    agreement: Agreement | None = None
    limits: tuple[Limit, ...] = ()
    proof: Proof | None = None
    lower: str = ""
    can_pause: bool = False
    code: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """The contact's reference as mails print it: K7Q2-M9XR-T4."""
        return "-".join((self.code[:4], self.code[4:8], self.code[8:]))

    @property
    def nth(self) -> int:
        """Which of the promised mails it was; 0 where it stands under no promise."""
        return next((limit.nth or 0 for limit in self.limits if limit.name == "promise"), 0)


def explain(ctx: Context, token: str) -> Explanation:
    """Why the mail of this link came, or was withheld. Changes nothing. Raises TokenError, NotFoundError when it is no
    longer held.
    """
    return ctx.turns.take(lambda everybody: _explain(ctx, everybody), token, kind="why")


def _explain(ctx: Context, everybody: Callable[[], Sequence[str]]) -> list[Explanation | OutreachError]:
    with ctx.db.looking() as conn:
        now = ctx.db.now(conn)
        tokens = everybody()
        read = [ctx.tokens.tried(Purpose.WHY, token, now) for token in tokens]
        rows = explaining.facts(conn, {one.ref for one in read if isinstance(one, Token)})
        shared = _Shared(ctx, conn, now, rows.values())
        return [shared.explained(rows.get(one.ref)) if isinstance(one, Token) else one for one in read]


class _Shared:
    """What the explanations of one turn share."""

    def __init__(self, ctx: Context, conn: Connection, now: int, rows: Collection[Row[Any]]) -> None:
        self._ctx, self._conn, self._house = ctx, conn, read_house(conn)
        self._ceilings = [(cap.n, cap.window) for cap in caps_of(policies.value_at(conn, Name.CAP_TOTAL, now))]
        self._keys = ContactKeys(ctx.keyring, conn)
        for row in rows:
            if row.wrapped is not None:
                self._keys.unwrap(row.contact, row.kek, row.wrapped)
        trails = address_moves.trails(conn, {row.contact for row in rows})
        self._moved = {contact for contact, steps in trails.items() if len(steps) > 1}
        texts = {text for row in rows for text in (row.event_text, row.standing_text) if text is not None}
        self._texts = consents.texts(conn, texts)

    def explained(self, row: Row[Any] | None) -> Explanation | NotFoundError:
        if row is None:
            return NotFoundError("Nothing is held about this mail any more.")
        exact = self._keys.text(row.contact, row.address_box) if row.wrapped is not None else None
        about = _about(row, self._keys)
        agreement = self._agreement(row)
        here = self._standing(row, about)
        return Explanation(
            standing=here,
            origin=row.origin,
            kind=row.kind,
            about=about,
            subject=row.subject or "",
            state=row.state,
            reason=row.reason or "",
            decided=_decision(row, about),
            sent=row.counted or row.settled,
            masked=addresses.mask(exact) if exact else "",
            agreement=agreement,
            limits=tuple(self._limits(row, agreement)) if agreement else (),
            proof=_proof(row),
            lower=_lower(row, agreement) if here.state in LIVE else "",
            can_pause=here.state == State.GRANTED,
            code=row.code,
        )

    def _standing(self, row: Row[Any], about: str) -> Standing:
        is_invitation = row.origin == "invitation" and row.invitation is not None
        is_barred = is_invitation and row.invitation_answer == Answer.NEVER
        here = Standing(
            house=self._house,
            locale=row.locale,
            timezone=row.timezone,
            topic=self._title(row),
            state=State.WITHDRAWN if is_barred else row.standing or State.NONE,
            is_question=row.about == "topics",
            is_open=row.about is not None and row.answered is None,
            is_invitation=is_invitation,
        )
        if row.contact in self._moved and (mail := find_mail(self._conn, row.ref)) is not None:
            here = standing(self._conn, mail)
        goes_on = (row.origin == "reply" and about) or about in _OF_A_CONNECTION
        return streams.beside(self._conn, self._ctx, row.ref, here) if goes_on else here

    def _title(self, row: Row[Any]) -> str:
        if row.topic is None:
            return ""
        return str(row.name if row.standing_text is None else self._texts[row.standing_text].title)

    def _agreement(self, row: Row[Any]) -> Agreement | None:
        if row.event_text is None:
            return None
        text = self._texts[row.event_text]
        evidence = self._keys.facts(row.contact, row.evidence_box) if row.wrapped is not None else {}
        told = read_agreed(evidence, at=row.event_at, wording=text.wording)
        return Agreement(
            at=told.at,
            how=row.event,
            promise=promise_of(TopicFacts(row.topic, row.topic_ref, row.slug), text),
            source=told.source,
            wording=told.wording,
            receipt=token_of(self._ctx, row.event_ref, row.event_at),
            ends=row.expires if row.standing in LIVE else None,
        )

    def _limits(self, row: Row[Any], agreement: Agreement) -> Iterator[Limit]:
        """The promise, the person's own lower caps, and the ceiling over everything that is the tightest."""
        promise = agreement.promise
        is_counted = row.own_topic is not None and row.state not in {"withheld", "failed"}
        yield Limit("promise", promise.cap_n, promise.cap_window, row.nth if is_counted else None)
        if row.own_n is not None:
            yield Limit("own", row.own_n, row.own_window, row.own_nth if is_counted else None)
        if row.own_total_n is not None:
            yield Limit("own-total", row.own_total_n, row.own_total_window)
        ceilings = list(self._ceilings)
        if row.ceiling_n is not None:
            ceilings.append((row.ceiling_n, row.ceiling_window))
        if ceilings:
            yield Limit("total", *min(ceilings, key=lambda one: one[0] / one[1]))


def _about(row: Row[Any], keys: ContactKeys) -> str:
    """What the origin alone does not tell."""
    if row.origin == "confirmation":
        return str(row.about)
    if row.origin == "invitation":
        return str(row.way or "")
    if row.origin in {"notice", "reply"} and row.body_box is not None:
        facts = keys.facts(row.contact, row.body_box)
        is_passed_on = row.origin == "reply" and streams.CONNECTION in facts
        return streams.CONNECTION if is_passed_on else str(facts.get("template", ""))
    return ""


_OF_A_CONNECTION = frozenset({"connected", "relay-held", "relay-failed"})
"""Notices that a press in them mutes the connection of (`services/outbox.py`)."""

_STAFF_ACTS = frozenset({"staff-password", "policy-change", "rights"})
"""Notices of our own that an act of staff brings; all others come of what their reader did or asked for."""


def _decision(row: Row[Any], about: str) -> Decision:
    if row.origin == "campaign":
        if row.approval != "approved":
            return Decision(by="marketer", at=row.frozen)
        return Decision(by="marketer", at=row.frozen, approved=row.approved, is_by_delay=row.answerer == "engine")
    if row.origin == "confirmation" and about == "renewal":
        return Decision(by="system", at=row.planned)
    if row.origin == "confirmation":
        return Decision(by="typist", at=row.requested)
    if row.origin == "invitation":
        return Decision(by="asker" if row.way == "link" else "member", at=row.asked)
    if row.origin == "reply":
        return Decision(by="peer" if about == streams.CONNECTION else "staff", at=row.planned)
    if row.origin == "test":
        return Decision(by="marketer", at=row.planned)
    return Decision(by="staff" if about in _STAFF_ACTS else "reader", at=row.planned)


def _proof(row: Row[Any]) -> Proof | None:
    """The newest entry that says what became of the mail; None before there is one."""
    entry = explaining.entry_of(row)
    if entry is None:
        return None
    is_shown = row.position is not None and row.published is not None and row.position < row.published
    return Proof(entry.decode(), row.position, row.published if is_shown else None)


def _lower(row: Row[Any], agreement: Agreement | None) -> str:
    """The first of the lower caps that would be less than all that holds now."""
    if agreement is None:
        return ""
    now = [(agreement.promise.cap_n, agreement.promise.cap_window)]
    if row.own_n is not None:
        now.append((row.own_n, row.own_window))
    return next((how for how, cap in LOWER_CAPS.items() if all(is_less(cap, one) for one in now)), "")
