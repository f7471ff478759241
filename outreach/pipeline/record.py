"""Records: what the relay said becomes each message's state, its attempt and its audit entry, together."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, update

from outreach.domain.message import GIVE_UP_AFTER, retry_delay
from outreach.domain.pacing import try_again
from outreach.mail.transport import Outcome, Result
from outreach.pipeline.claim import LEASE
from outreach.pipeline.pacing import learn
from outreach.services.context import Context
from outreach.services.intake.bounces import take_reports, told_by_relay
from outreach.store.audit import Entry, record
from outreach.store.inbound import Told
from outreach.store.messages import Ended, Facts, Settled, add_attempts, let_go, release, settle
from outreach.store.schema.campaigns import message

_SENDABLE_ONCE_MORE = 2


def keep_evidence(ctx: Context, evidence: dict[int, bytes]) -> None:
    """Keep boxed confirmations as they are about to be sent, by message id: part of the proof of double opt-in."""
    if evidence:
        with ctx.db.transaction() as conn:
            rows = [{"mid": message_id, "box": box} for message_id, box in evidence.items()]
            conn.execute(
                update(message).where(message.c.id == bindparam("mid")).values(body_box=bindparam("box")), rows
            )


def record_outcomes(ctx: Context, worker: str, facts: Mapping[int, Facts], outcomes: Sequence[Outcome]) -> None:
    """Write what became of the batch `worker` committed to, all of it, set-wise, in one transaction.

    `facts` holds each message of `outcomes` as it was when the attempt was committed.
    """
    if not outcomes:
        return
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ends = {one.message_id: _settled(one, facts[one.message_id], now) for one in outcomes}
        written = settle(conn, now, [end for end in ends.values() if end is not None], "attempted", facts, worker)
        rooms = learn(ctx, conn, now, outcomes, {one: facts[one].provider for one in facts})
        for outcome in outcomes:
            one = facts[outcome.message_id]
            if ends[one.id] is None and _again(conn, now, outcome, one, worker, rooms.get(one.id)):
                written.add(one.id)
        mine = [one for one in outcomes if one.message_id in written]
        add_attempts(conn, [_ended(one, facts[one.message_id], worker, now) for one in mine])
        take_reports(conn, now, [told for one in mine if (told := _told(one, ends[one.message_id]))])
        let_go(conn, worker)


def _ended(outcome: Outcome, facts: Facts, worker: str, now: int) -> Ended:
    name = "put back" if outcome.result is Result.PUT_BACK else str(outcome.result)
    begun = (facts.lease or now + LEASE) - LEASE
    end = (worker, now, name, outcome.code, outcome.reply[:500], outcome.relay or None)
    return Ended(facts.id, facts.attempts, begun, *end)


def _told(outcome: Outcome, settled: Settled | None) -> Told | None:
    """What its relay's last word says of the message; None while it is tried on, and where it arrived."""
    if settled is None or settled.state != "failed":
        return None
    return told_by_relay(outcome.message_id, settled.reason, outcome.code, outcome.enhanced, outcome.reply)


def _settled(outcome: Outcome, facts: Facts, now: int) -> Settled | None:
    """The final state this outcome leads to; None when the message will be tried again."""
    match outcome.result:
        case Result.SENT:
            return Settled(outcome.message_id, "sent", counted=now, code=outcome.code)
        case Result.FAILED:
            reason = "address" if outcome.bad_address else "refused" if outcome.code is not None else "unsendable"
            return Settled(outcome.message_id, "failed", reason, code=outcome.code)
        case Result.UNKNOWN if _is_simply_asked(facts) and facts.attempts < _SENDABLE_ONCE_MORE:
            return None  # a confirmation is simply sent once more
        case Result.UNKNOWN:
            return Settled(outcome.message_id, "unknown", "no_reply", counted=facts.lease)
        case Result.DEFERRED if now - (facts.first_attempt or now) >= GIVE_UP_AFTER:
            return Settled(outcome.message_id, "failed", "gave_up", code=outcome.code)
    return None


def _is_simply_asked(facts: Facts) -> bool:
    """Whether it is a confirmation that no cap counts; one that belongs to a topic asks whether a consent goes on."""
    return facts.origin == "confirmation" and facts.topic is None


def _again(conn: Connection, now: int, outcome: Outcome, facts: Facts, worker: str, room: int | None) -> bool:
    """Back into the queue. False when the message is not in our hands any more.

    `room`: when its relay may go on, where the provider only asked for a slower pace.
    """
    if outcome.result is Result.PUT_BACK:
        return bool(release(conn, [facts.id], worker, begun=False))
    if room is not None:
        due = try_again(room, now, facts.attempts)
    else:
        due = now + retry_delay(facts.attempts, reached=outcome.code is not None)
    if not release(conn, [facts.id], worker, begun=True, due=due):
        return False
    if outcome.code is not None or outcome.result is Result.UNKNOWN:
        kind = "unknown" if outcome.result is Result.UNKNOWN else "deferred"
        body = {"attempt": facts.attempts, "code": outcome.code, "due": due}
        entry = Entry(kind=f"message.{kind}", actor="engine", contact=facts.contact, topic=facts.topic,
                      campaign=facts.campaign, message=facts.ref, body=body)  # fmt: skip
        record(conn, now, entry)
    return True
