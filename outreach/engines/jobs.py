"""The leader's jobs and how often each is asked: one list, whichever engine drives it.

A job asks the database what is due, so a tick that was missed only delays, and one that comes twice does nothing the
second time. That holds for two leaders as well, of which one does not know yet that its time is over:

- `seal` is fenced by the epoch: what a stale leader seals is refused (`store.audit_log.fence`).
- What reserves a place under a cap (planning, releasing, invitations) takes the planners' turn, a lock in the database
  that every planner on every machine waits for, and sees what the one before it wrote.
- All else changes rows by what they say at that instant (`… WHERE state = …`, row locks, unique keys): the second
  finds nothing left to do. So none of it needs the fence.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from outreach.domain.errors import AuditError
from outreach.pipeline.plan import begin_due, finish_campaigns, plan_next, release_waiting
from outreach.pipeline.reap import reap_dead, reap_expired
from outreach.services.campaigns import sweep_cancelled
from outreach.services.connect import process_connects
from outreach.services.connect_expiry import expire_requests
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.intake.lines import watch_lines
from outreach.services.intake.process import forget_old_mails, process_mails
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.join import process_member_requests
from outreach.services.officer.figures import count_log
from outreach.services.officer.telling import tell_dues, tell_of_approvals
from outreach.services.policies.approvals import settle_due
from outreach.services.policies.notices import tell
from outreach.services.policies.starts import begin_due as begin_policies
from outreach.services.re_permission import renew_consents
from outreach.services.relaying.looking_after import look_after_relays
from outreach.services.requests import process_requests
from outreach.services.rights.rounds import look_after_rights, process_rights_requests
from outreach.services.room.carrying import process_moves
from outreach.services.scanners import forget_touches
from outreach.services.seal import seal
from outreach.services.sessions import forget_old_sessions
from outreach.services.staff_passwords import process_staff_requests
from outreach.services.transparency.publish import publish
from outreach.services.transparency.witnesses import tell_witnesses

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """`act` is called every `seconds`, never twice at once."""

    name: str
    act: Callable[[], object]
    seconds: float


def leader_jobs(ctx: Context, epoch: int, stopping: threading.Event) -> tuple[Job, ...]:
    """What the leader of `epoch` does. The long ones look at `stopping` between their transactions."""
    return (
        Job("requests", lambda: process_requests(ctx), 0.5),
        Job("staff-requests", lambda: process_staff_requests(ctx), 0.5),
        Job("member-requests", lambda: process_member_requests(ctx), 0.5),
        Job("invitations", lambda: process_invitations(ctx), 0.5),
        Job("connects", lambda: process_connects(ctx), 0.5),
        Job("rights-requests", lambda: process_rights_requests(ctx), 0.5),
        Job("moves", lambda: process_moves(ctx), 1),
        Job("plan", lambda: _plan(ctx, stopping), 0.5),
        Job("begin-policies", lambda: begin_policies(ctx), 0.5),
        Job("tell-of-policies", lambda: tell(ctx), 1),
        Job("approvals", lambda: settle_due(ctx), 20),
        Job("tell-of-approvals", lambda: tell_of_approvals(ctx), 20),
        Job("tell-dues", lambda: tell_dues(ctx), 600),
        Job("intake", lambda: process_mails(ctx), 0.5),
        Job("watch-lines", lambda: watch_lines(ctx), 20),
        Job("relays", lambda: look_after_relays(ctx), 20),
        Job("release", lambda: release_waiting(ctx), 5),
        Job("finish", lambda: finish_campaigns(ctx), 1),
        Job("sweep-cancelled", lambda: sweep_cancelled(ctx), 1),
        Job("expire", lambda: expire(ctx), 20),
        Job("renew", lambda: renew_consents(ctx), 20),
        Job("expire-invitations", lambda: expire_invitations(ctx), 20),
        Job("expire-connects", lambda: expire_requests(ctx), 20),
        Job("rights", lambda: look_after_rights(ctx), 20),
        Job("old-mails", lambda: forget_old_mails(ctx), 3600),
        Job("old-sessions", lambda: forget_old_sessions(ctx), 3600),
        Job("old-observations", lambda: forget_touches(ctx), 600),
        Job("reap-dead", lambda: reap_dead(ctx, ctx.settings.instance / "journal"), 5),
        Job("reap-expired", lambda: reap_expired(ctx), 20),
        Job("witnesses", lambda: tell_witnesses(ctx), 20),
        Job("seal", lambda: _seal(ctx, epoch, stopping), 1),
        Job("count-log", lambda: _count(ctx, stopping), 5),
    )


def _plan(ctx: Context, stopping: threading.Event) -> None:
    begin_due(ctx)
    while not stopping.is_set() and plan_next(ctx):
        pass


def _count(ctx: Context, stopping: threading.Event) -> None:
    while not stopping.is_set() and count_log(ctx):
        pass


def _seal(ctx: Context, epoch: int, stopping: threading.Event) -> None:
    try:
        while not stopping.is_set() and seal(ctx, epoch) is not None:
            pass
        publish(ctx, epoch)
    except AuditError as error:
        log.critical("audit.stopped", reason=str(error))
