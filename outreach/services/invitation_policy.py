"""Whether members may have invitations mailed, how many they may make, and how many one mailbox may get.

By mail is off until an officer turns it on: courts treat a mail that a member has sent to somebody who did not ask as
the organisation's own advertising, whoever typed the address (BGH I ZR 208/12, "Empfehlungs-E-Mail").
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert, select, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError
from outreach.domain.invitation import Policy
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.store.audit import Entry, record
from outreach.store.invitations import policy_now
from outreach.store.planning import take_planners_turn
from outreach.store.schema.members import invitation_policy

A_DAY = range(1, 51)
MOST_A_MONTH = 200
RECIPIENT_N = range(21)
RECIPIENT_DAYS = range(1, 367)
KEEP_DAYS = range(1, 61)
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class PolicyView:
    """The policy in force. `since`: UTC microseconds, None while it is the one the product comes with; `reason`: the
    officer's, then.
    """

    policy: Policy
    since: int | None
    reason: str


def see_policy(ctx: Context, actor: Actor) -> PolicyView:
    """The policy as it is in force, for an officer."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        query = select(invitation_policy.c.since, invitation_policy.c.reason)
        row = conn.execute(query.where(invitation_policy.c.ended.is_(None))).one_or_none()
        return PolicyView(policy_now(conn), row.since if row else None, row.reason if row else "")


def change_policy(ctx: Context, actor: Actor, policy: Policy, reason: str) -> None:
    """Put another policy in force from now on; the very next mail is decided by it.

    Raises InvalidInputError naming the field that is out of bounds, "reason" among them. Any address typed into the
    reason is masked before it is kept. Invitations already planned stay planned and are decided again when their mail
    is to be handed over: switched off or beyond a lowered cap, it does not go.
    """
    actor.must_be(Role.OFFICER)
    _check(policy)
    said = check_reason(reason, "why the rules change", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)  # no decision is half made by the old rules, and two officers do not cross
        now = ctx.db.now(conn)
        before = policy_now(conn)
        if before == policy:
            raise InvalidInputError("These are the rules in force. Nothing was changed.")
        conn.execute(update(invitation_policy).where(invitation_policy.c.ended.is_(None)).values(ended=now))
        conn.execute(insert(invitation_policy).values(**_columns(policy), since=now, reason=said))
        body = {"before": _columns(before), "after": _columns(policy), "reason": said}
        record(conn, now, Entry(kind="policy.invitations-changed", actor=actor.name, body=body))


def _columns(policy: Policy) -> dict[str, Any]:
    columns = asdict(policy)
    del columns["recipient"]
    columns["by_mail"] = int(policy.by_mail)
    return {**columns, "recipient_n": policy.recipient.n, "recipient_window": policy.recipient.window}


def _check(policy: Policy) -> None:
    days, rest = divmod(policy.recipient.window, DAY_SECONDS)
    bounds = (
        ("a_day", policy.a_day in A_DAY, "A member may make 1 to 50 invitations in 24 hours."),
        (
            "a_month",
            policy.a_day <= policy.a_month <= MOST_A_MONTH,
            f"In 30 days a member may make at least as many as in 24 hours, and at most {MOST_A_MONTH}.",
        ),
        ("recipient_n", policy.recipient.n in RECIPIENT_N, "One mailbox may get 0 to 20 invitations."),
        ("recipient_days", days in RECIPIENT_DAYS and not rest, "The window is 1 to 366 whole days."),
        ("keep_days", policy.keep_days in KEEP_DAYS, "An unanswered address is kept 1 to 60 days."),
    )
    for field, holds, words in bounds:
        if not holds:
            raise InvalidInputError(f"{words} Nothing was changed.", field)
