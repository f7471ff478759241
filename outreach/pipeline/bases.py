"""The second decision about what no campaign sends: each such message needs a live basis of its own kind (promise 3).

A confirmation's is an open request, that of the question whether a consent shall go on, besides, that
consent and the rule of campaigns; an invitation's, its inviter's own act and the rule of `domain/invitation.py`; that
of a notice about a topic, a consent its reader still lives by (any: the link it brings stops everything too), or their
own press, where it is a receipt; about an invitation, the connection it led to; about a person's request under the law,
that request, whatever is barred (GDPR 12(3)); that of an answer, the conversation its reader wrote in, whatever they
agreed to, unless a bar stands, or they stopped its mails and wrote nothing since; that of a mail between two people,
their connection while its reader has not muted it; of the warning that such a mail is held, that it still is; of
the word that one failed, its failure; every other goes to a working member of staff, or a member who wants to be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, text

from outreach.domain.eligibility import Defer, Reason, Withhold
from outreach.domain.invitation import decide
from outreach.domain.policies import Name
from outreach.domain.soft_opt_in import too_old
from outreach.services.invitation_rule import ended_by_time
from outreach.services.re_permission import ABOUT, is_on
from outreach.store import invitation_facts, policies
from outreach.store.decide import load_rule
from outreach.store.messages import Settled
from outreach.store.planning import judge_messages


@dataclass
class Based:
    """What may go, what may not, and what not yet: (message id, due in UTC microseconds)."""

    ready: list[int] = field(default_factory=list)
    withheld: list[Settled] = field(default_factory=list)
    deferred: list[tuple[int, int]] = field(default_factory=list)


_SYSTEM = text(
    """
    SELECT x.id, f.about, CASE
      WHEN ck.contact IS NULL THEN 'erased'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'deceased'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'deceased'
      WHEN x.origin = 'notice' AND EXISTS (SELECT 1 FROM rights_mail r WHERE r.message = x.id) THEN NULL
      WHEN x.origin = 'reply' AND EXISTS (SELECT 1 FROM relayed r JOIN relay_address a ON a.id = r.address
        JOIN connection n ON n.id = a.connection WHERE r.message = x.id AND n.ended IS NOT NULL) THEN 'connection_ended'
      WHEN x.origin = 'reply' AND EXISTS (SELECT 1 FROM relayed r JOIN relay_address a ON a.id = r.address
        JOIN connection_side d ON d.connection = a.connection AND d.contact = x.contact AND d.muted IS NOT NULL
        WHERE r.message = x.id) THEN 'muted'
      WHEN x.origin = 'reply' AND EXISTS (SELECT 1 FROM conversation_post a
        JOIN conversation_post s ON s.conversation = a.conversation AND s.kind = 'note' AND s.staff IS NULL
        WHERE a.message = x.id AND a.kind = 'answer' AND NOT EXISTS (SELECT 1 FROM conversation_post p
          WHERE p.conversation = a.conversation AND p.kind = 'theirs' AND p.id > s.id)) THEN 'conversation_ended'
      WHEN x.origin = 'notice' AND EXISTS (SELECT 1 FROM relayed r WHERE r.warning = x.id
        AND r.state <> 'held' AND NOT (r.state = 'done' AND r.outcome = 'failed')) THEN 'held_settled'
      WHEN x.origin NOT IN ('confirmation', 'reply') AND x.topic IS NULL AND x.invitation IS NULL
        AND EXISTS (SELECT 1 FROM staff f WHERE f.contact = c.id AND f.disabled IS NULL) THEN NULL
      WHEN x.origin NOT IN ('confirmation', 'reply') AND x.topic IS NULL AND x.invitation IS NULL
        AND NOT (x.origin = 'notice' AND EXISTS (SELECT 1 FROM member m WHERE m.contact = c.id AND m.closed IS NULL
          AND (m.notify = 1 OR EXISTS (SELECT 1 FROM policy_told p WHERE p.contact = c.id AND p.message = x.id))))
        AND NOT EXISTS (SELECT 1 FROM relayed r WHERE r.warning = x.id) THEN 'staff_ended'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'never'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'never'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'restricted'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'restricted'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'complaint'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'complaint'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'imported'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'imported'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'bounce'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'bounce'
      WHEN x.origin = 'reply' AND EXISTS (SELECT 1 FROM conversation_post a
        JOIN conversation v ON v.id = a.conversation AND v.contact = c.id
        JOIN conversation_post p ON p.conversation = v.id AND p.kind = 'theirs'
        WHERE a.message = x.id AND a.kind = 'answer') THEN NULL
      WHEN x.origin = 'reply' AND EXISTS (SELECT 1 FROM relayed r JOIN relay_address a ON a.id = r.address
        JOIN connection n ON n.id = a.connection AND n.ended IS NULL WHERE r.message = x.id) THEN NULL
      WHEN x.origin = 'reply' THEN 'conversation_ended'
      WHEN x.origin = 'notice' AND x.invitation IS NOT NULL AND EXISTS (SELECT 1 FROM invitation i
        JOIN connection n ON n.invitation = i.id AND n.ended IS NULL AND c.id IN (n.low, n.high)
        WHERE i.id = x.invitation AND i.answer = 'accepted') THEN NULL
      WHEN x.origin = 'notice' AND x.invitation IS NOT NULL THEN 'invitation_ended'
      WHEN x.origin = 'notice' AND x.topic IS NULL THEN NULL
      WHEN x.origin = 'notice' AND EXISTS (SELECT 1 FROM receipt_mail r WHERE r.message = x.id) THEN NULL
      WHEN x.origin = 'notice' AND EXISTS (SELECT 1 FROM consent cs WHERE cs.contact = c.id
        AND cs.state IN ('granted', 'paused') AND (cs.expires IS NULL OR cs.expires > :now)
        AND (cs.soft_from IS NULL OR cs.soft_from > :too_old)) THEN NULL
      WHEN x.origin = 'notice' THEN 'no_consent'
      WHEN f.id IS NULL OR f.answered IS NOT NULL OR f.expires <= :now THEN 'request_ended'
    END AS reason
    FROM message x JOIN contact c ON c.id = x.contact JOIN mailbox mb ON mb.id = c.mailbox
    LEFT JOIN contact_key ck ON ck.contact = c.id LEFT JOIN confirmation f ON f.id = x.confirmation
    WHERE x.id IN :ids
    """
).bindparams(bindparam("ids", expanding=True))


def judge_system(conn: Connection, now: int, ids: Sequence[int]) -> Based:
    """Confirmations, notices and tests."""
    based = Based()
    renewals: list[int] = []
    if not ids:
        return based
    oldest = too_old(policies.value_at(conn, Name.SOFT_OPT_IN, now), now)
    for row in conn.execute(_SYSTEM, {"ids": list(ids), "now": now, "too_old": oldest}):
        if row.reason is not None:
            based.withheld.append(Settled(row.id, "withheld", row.reason))
        elif row.about == ABOUT:
            renewals.append(row.id)
        else:
            based.ready.append(row.id)
    _judge_renewals(conn, now, renewals, based)
    return based


def _judge_renewals(conn: Connection, now: int, ids: Sequence[int], based: Based) -> None:
    """Questions whether a consent shall go on: while an officer lets us ask, and by the rule of campaigns' mail."""
    if not ids or (rule := load_rule(conn, now)).is_settling:
        return
    wanted = is_on(conn, now)
    for judged in judge_messages(conn, rule, ids, now):
        if judged.reason is not None or not wanted:
            based.withheld.append(Settled(judged.id, "withheld", judged.reason or Reason.REQUEST_ENDED))
        elif judged.due > now:
            based.deferred.append((judged.id, judged.due))
        else:
            based.ready.append(judged.id)


def judge_invitations(conn: Connection, now: int, ids: Sequence[int]) -> Based:
    """Mails of invitations, by the rule that planned them, none counted against itself.

    A wait that would outlast the invitation ends it, so that nobody hears of it after its time.
    """
    based = Based()
    for one, (facts, expires) in sorted(invitation_facts.of_messages(conn, ids, now).items()):
        match ended_by_time(decide(facts, now), expires):
            case Withhold(reason):
                based.withheld.append(Settled(one, "withheld", reason))
            case Defer(until):
                based.deferred.append((one, until))
            case _:
                based.ready.append(one)
    return based
