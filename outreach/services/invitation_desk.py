"""What an officer sees of invitations, and the two things they may do to an inviter: suspend, and let invite again.

Inviters go by a code, never by name or address, and nothing of what stands in an invitation is shown: an officer
judges by numbers and reports. Suspending by the rules happens where a refusal is settled; `domain/invitation.py` has
the rules.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.domain.invitation import LOOK_BACK_DAYS, REFUSALS, Allowance, Policy, Record, allowance
from outreach.services import suspension
from outreach.services.context import Context
from outreach.services.forecast import reason_words
from outreach.services.reasons import check_reason
from outreach.store import invitation_desk, members
from outreach.store.audit import Entry, record
from outreach.store.invitations import DAY, policy_at
from outreach.store.members import MemberRow

PAGE = 50
SPANS = (7, 30)
_WEEKS = LOOK_BACK_DAYS // 7 + 1
_HISTORY = ("member.suspended", "member.restored", "member.appealed", "member.appeal-read", "member.appeal-answered")


@dataclass(frozen=True)
class DayBar:
    """One of the last 30 spans of 24 hours: when it began (UTC microseconds), invitations made and refused in it."""

    start: int
    made: int
    refused: int


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """What happened in the last `days`. `withheld`: (words, mails), most first. `by_link`: visitors who typed an
    address at a connect link.
    """

    days: int
    by_hand: int
    by_mail: int
    by_link: int
    sent: int
    withheld: tuple[tuple[str, int], ...]
    accepted: int
    declined: int
    never: int
    reported: int
    expired: int
    cancelled: int

    @property
    def made(self) -> int:
        return self.by_hand + self.by_mail + self.by_link

    @property
    def refused(self) -> int:
        return self.declined + self.never + self.reported


@dataclass(frozen=True)
class Overview:
    """`volumes`: a week's and a month's; `bars`: 30 days, oldest first."""

    volumes: tuple[Volumes, ...]
    bars: tuple[DayBar, ...]


@dataclass(frozen=True, kw_only=True)
class InviterLine:
    """A member in numbers of the last 90 days. `state`: free, tightened, suspended or closed.

    `record`: what the rules judge by, so only answers since an officer last let them invite again.
    """

    ref: bytes
    code: str
    by_hand: int
    by_mail: int
    by_link: int
    record: Record
    allowed: Allowance
    state: str
    why: str
    has_appeal: bool

    @property
    def made(self) -> int:
        return self.by_hand + self.by_mail + self.by_link

    @property
    def refused_percent(self) -> int:
        return round(100 * self.record.refused_share)


@dataclass(frozen=True)
class InviterPage:
    """One page of inviters, worst first; pages count from 1."""

    lines: tuple[InviterLine, ...]
    page: int
    pages: int


@dataclass(frozen=True, kw_only=True)
class Week:
    """A week's invitations and what has become of them. `start`: UTC microseconds."""

    start: int
    made: int
    accepted: int
    refused: int
    reported: int


@dataclass(frozen=True, kw_only=True)
class InvitationLine:
    """One invitation. `answer`: "" while open; `report`: why it was reported, or ""; instants in UTC microseconds."""

    ref: bytes
    way: str
    asked: int
    answered: int | None
    answer: str
    report: str


@dataclass(frozen=True, kw_only=True)
class Act:
    """What the log says about this inviter. `who`: "an officer", "the rules" or "the member"."""

    at: int
    kind: str
    who: str
    why: str
    answer: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class InviterView:
    """One inviter. `weeks`: oldest first; `appeal`: the ref of the one that waits for an answer."""

    line: InviterLine
    suspended: int | None
    contact: bytes
    weeks: tuple[Week, ...]
    invitations: tuple[InvitationLine, ...]
    page: int
    pages: int
    acts: tuple[Act, ...]
    appeal: bytes | None


def see_volumes(ctx: Context, actor: Actor) -> Overview:
    """What was made, mailed and answered in the last 7 and 30 days."""
    actor.must_be(Role.OFFICER)
    longest = max(SPANS)
    with ctx.db.reading() as conn:
        since = ctx.db.now(conn) - longest * DAY
        made = invitation_desk.made_by_day(conn, since)
        answered = invitation_desk.answered_by_day(conn, since)
        mails = [(row.day, row.state, row.reason, row.n) for row in invitation_desk.mails_since(conn, since)]
        for row in invitation_desk.decided_since(conn, since):
            decided = json.loads(row.body)
            mails.append((row.day, decided.get("mail", ""), decided.get("reason"), 1))
    pressed: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for row in made:
        pressed[row.day] += row.n
    for row in answered:
        refused[row.day] += row.n if row.what in REFUSALS else 0
    return Overview(
        tuple(_volumes(days, longest - days, made, answered, mails) for days in SPANS),
        tuple(DayBar(since + day * DAY, pressed[day], refused[day]) for day in range(longest)),
    )


def list_inviters(ctx: Context, actor: Actor, page: int = 1) -> InviterPage:
    """Members who invited in the last 90 days, are suspended or appeal, worst first, 50 a page."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        policy = policy_at(conn, now)
        page, pages = _place(page, invitation_desk.count_inviters(conn, now))
        rows = invitation_desk.inviters(conn, now, limit=PAGE, offset=(page - 1) * PAGE)
        return InviterPage(tuple(_line(row, policy) for row in rows), page, pages)


def see_inviter(ctx: Context, actor: Actor, ref: bytes, page: int = 1) -> InviterView:
    """One inviter, by numbers and by invitation, 50 a page. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        row = invitation_desk.inviter(conn, now, ref)
        person = members.by_ref(conn, ref)
        if row is None or person is None:
            raise NotFoundError("There is no such inviter.")
        since = now - _WEEKS * 7 * DAY
        by_week = {week.week: week for week in invitation_desk.weeks(conn, row.id, since)}
        page, pages = _place(page, invitation_desk.count_lines(conn, row.id))
        shown = invitation_desk.lines(conn, row.id, limit=PAGE, offset=(page - 1) * PAGE)
        waiting = invitation_desk.open_appeal(conn, row.id)
        return InviterView(
            line=_line(row, policy_at(conn, now)),
            suspended=row.suspended,
            contact=person.contact_ref,
            weeks=tuple(_week(by_week.get(number), since + number * 7 * DAY) for number in range(_WEEKS)),
            invitations=tuple(_invitation(one) for one in shown),
            page=page,
            pages=pages,
            acts=tuple(_acts(conn, person.contact_ref)),
            appeal=waiting.ref if waiting else None,
        )


def suspend_inviter(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Stop a member from inviting, by an officer's decision; they read the reason, and may appeal.

    Raises NotFoundError, InvalidInputError (field "reason"), ConflictError when they are suspended or have left.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why inviting is suspended", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        row = _member(conn, ref)
        if not suspension.suspend(conn, ctx.db.now(conn), row, "officer", actor, said={"reason": said}):
            raise ConflictError("Inviting is suspended already, or the account is closed. Nothing was changed.")


def restore_inviter(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Let a suspended member invite again; an appeal that waits is answered by it, with the same reason.

    From now on they are judged by later answers alone. Raises as `suspend_inviter`.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why they may invite again", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        row, now = _member(conn, ref), ctx.db.now(conn)
        if not suspension.restore(conn, now, row, actor, said={"reason": said}):
            raise ConflictError("Inviting is not suspended. Nothing was changed.")
        waiting = invitation_desk.open_appeal(conn, row.id)
        if waiting is not None:
            settle_appeal(conn, now, row, waiting.ref, "lifted", said, actor)


def settle_appeal(
    conn: Connection, now: int, row: MemberRow, appeal: bytes, answer: str, reason: str, actor: Actor
) -> None:
    """Answer an appeal ("lifted" or "kept"), inside the transaction that acts on it."""
    if not invitation_desk.answer_appeal(conn, appeal, now=now, answer=answer, reason=reason):
        raise ConflictError("This appeal was answered already. Nothing was changed.")
    body = {"member": row.ref.hex(), "appeal": appeal.hex(), "answer": answer, "reason": reason}
    record(conn, now, Entry(kind="member.appeal-answered", actor=actor.name, contact=row.contact_ref, body=body))


def _volumes(
    days: int,
    first: int,
    made: Iterable[Any],
    answered: Iterable[Any],
    mails: Iterable[tuple[int, str, str | None, int]],
) -> Volumes:
    """The sums of the days from `first` on. `mails`: day, state, reason, number."""
    ways: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    withheld: Counter[str] = Counter()
    sent = 0
    for row in made:
        ways[row.what] += row.n if row.day >= first else 0
    for row in answered:
        answers[row.what] += row.n if row.day >= first else 0
    for day, state, reason, number in mails:
        if day >= first and state == "withheld":
            withheld[reason_words(reason or "")] += number
        elif day >= first and state in {"sent", "unknown"}:
            sent += number
    return Volumes(
        days=days,
        by_hand=ways["hand"],
        by_mail=ways["mail"],
        by_link=ways["link"],
        sent=sent,
        withheld=tuple(withheld.most_common()),
        accepted=answers["accepted"],
        declined=answers["declined"],
        never=answers["never"],
        reported=answers["reported"],
        expired=answers["expired"],
        cancelled=answers["cancelled"],
    )


def _line(row: Any, policy: Policy) -> InviterLine:
    judged = Record(int(row.accepted), int(row.refused), int(row.reported), int(row.unaccepted))
    allowed = allowance(policy, judged)
    is_tightened = allowed != Allowance(policy.a_day, policy.a_month)
    state = "suspended" if row.suspended is not None else "tightened" if is_tightened else "free"
    return InviterLine(
        ref=row.ref,
        code=row.code,
        by_hand=int(row.by_hand),
        by_mail=int(row.by_mail),
        by_link=int(row.by_link),
        record=judged,
        allowed=allowed,
        state="closed" if row.closed is not None else state,
        why=row.suspended_for or "",
        has_appeal=bool(row.has_appeal),
    )


def _week(row: Any | None, start: int) -> Week:
    counts = {name: int(row._mapping[name]) if row else 0 for name in ("made", "accepted", "refused", "reported")}
    return Week(start=start, **counts)


def _invitation(row: Any) -> InvitationLine:
    return InvitationLine(
        ref=row.ref,
        way=row.way,
        asked=row.asked,
        answered=row.answered,
        answer=row.answer or "",
        report=row.report or "",
    )


def _acts(conn: Connection, contact_ref: bytes) -> Iterable[Act]:
    for row in invitation_desk.entries_about(conn, contact_ref, _HISTORY):
        body = json.loads(row.body)
        who = {"staff": "an officer", "member": "the member"}.get(row.actor.partition(":")[0], "the rules")
        said = {name: str(body.get(name, "")) for name in ("why", "answer", "reason")}
        yield Act(at=row.at, kind=row.kind, who=who, **said)


def _member(conn: Connection, ref: bytes) -> MemberRow:
    row = members.by_ref(conn, ref)
    if row is None:
        raise NotFoundError("There is no such inviter.")
    return row


def _place(page: int, number: int) -> tuple[int, int]:
    """The page to show, within those there are, and how many there are."""
    pages = max(1, -(-number // PAGE))
    return min(max(1, page), pages), pages
