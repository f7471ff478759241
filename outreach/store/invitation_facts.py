"""What the rule of `domain/invitation.py` looks at, loaded set-wise: before a mail is planned, and at its hand-off."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.engine import Row

from outreach.domain.frequency import Cap, Past
from outreach.domain.invitation import Facts, Policy, Way
from outreach.domain.message import COUNTED
from outreach.store import invitations, suppressions
from outreach.store.decide import Rule, load_rule

_COUNTED = ", ".join(f"'{state}'" for state in sorted(COUNTED))

_CANDIDATE = "(SELECT CAST(:contact AS BIGINT) AS contact, CAST(:invitation AS BIGINT) AS invitation, 0 AS id)"
_MESSAGES = "(SELECT contact, invitation, id FROM message WHERE id IN :ids)"

_FACTS = """
    SELECT x.id AS self, c.mailbox, c.address_key, mb.mailbox_key, c.timezone, c.quiet_from, c.quiet_to,
      c.own_total_n, c.own_total_window, c.ceiling_n, c.ceiling_window, ck.contact AS has_key,
      i.way, i.asked, i.expires, i.answered, m.suspended, m.closed, mk.contact AS inviter_has_key,
      mc.mailbox AS inviter_mailbox, l.id AS link, l.closed AS link_closed, l.expires AS link_expires,
      EXISTS (SELECT 1 FROM invitation o WHERE o.member = i.member AND o.mailbox = c.mailbox AND o.id <> i.id
        AND NOT (o.way = 'link' AND COALESCE(o.answer, '') = 'expired')) AS is_before,
      EXISTS (SELECT 1 FROM connection n JOIN contact a ON a.id = n.high WHERE n.low = m.contact AND n.ended IS NULL
        AND a.mailbox = c.mailbox)
      OR EXISTS (SELECT 1 FROM connection n JOIN contact a ON a.id = n.low WHERE n.high = m.contact AND n.ended IS NULL
        AND a.mailbox = c.mailbox) AS is_connected
    FROM {candidates} x
    JOIN invitation i ON i.id = x.invitation
    JOIN member m ON m.id = i.member
    JOIN contact mc ON mc.id = m.contact
    JOIN contact c ON c.id = x.contact
    JOIN mailbox mb ON mb.id = c.mailbox
    LEFT JOIN contact_key ck ON ck.contact = c.id
    LEFT JOIN contact_key mk ON mk.contact = mc.id
    LEFT JOIN connect_link l ON l.id = i.link
"""
_OF_CANDIDATE = text(_FACTS.format(candidates=_CANDIDATE))
_OF_MESSAGES = text(_FACTS.format(candidates=_MESSAGES)).bindparams(bindparam("ids", expanding=True))

_LEDGER = text(
    f"""
    SELECT id, mailbox, origin, kind, topic, planned, counted, state FROM message
    WHERE mailbox IN :mailboxes AND state IN ({_COUNTED})
    """
).bindparams(bindparam("mailboxes", expanding=True))


def of_candidate(conn: Connection, invitation_id: int, contact_id: int, now: int) -> Facts:
    """The facts about inviting this contact now, no message existing yet."""
    params = {"contact": contact_id, "invitation": invitation_id}
    facts = _facts(conn, list(conn.execute(_OF_CANDIDATE, params)), now)
    return facts[0][0]


def of_messages(conn: Connection, ids: Collection[int], now: int) -> dict[int, tuple[Facts, int]]:
    """By id of an invitation's message: the facts, not counting the message itself, and when the invitation ends."""
    if not ids:
        return {}
    return _facts(conn, list(conn.execute(_OF_MESSAGES, {"ids": list(ids)})), now)


def _facts(conn: Connection, rows: Collection[Row[Any]], now: int) -> dict[int, tuple[Facts, int]]:
    rule, policy = load_rule(conn, now), invitations.policy_at(conn, now)
    mailboxes = sorted({row.mailbox for row in rows})
    ledgers: dict[int, list[Row[Any]]] = {mailbox: [] for mailbox in mailboxes}
    for past in conn.execute(_LEDGER, {"mailboxes": mailboxes}):
        ledgers[past.mailbox].append(past)
    bars: dict[bytes, set[str]] = {}
    for bar in suppressions.live(conn, {key for row in rows for key in (row.address_key, row.mailbox_key)}):
        bars.setdefault(bar.key, set()).add(bar.kind)
    return {row.self: (_of(row, rule, policy, ledgers[row.mailbox], bars, now), row.expires) for row in rows}


def _of(
    row: Row[Any],
    rule: Rule,
    policy: Policy,
    ledger: Collection[Row[Any]],
    bars: Mapping[bytes, set[str]],
    now: int,
) -> Facts:
    own = () if row.own_total_n is None else (Cap(row.own_total_n, row.own_total_window),)
    ceiling = () if row.ceiling_n is None else (Cap(row.ceiling_n, row.ceiling_window),)
    return Facts(
        has_key=row.has_key is not None,
        bars=frozenset(bars.get(row.address_key, set()) | bars.get(row.mailbox_key, set())),
        is_open=row.answered is None and row.expires > now,
        is_inviter_active=row.suspended is None and row.closed is None and row.inviter_has_key is not None,
        may_mail=_may_mail(row, policy),
        is_own=row.mailbox == row.inviter_mailbox,
        is_before=bool(row.is_before),
        is_connected=bool(row.is_connected),
        ledger=tuple(
            Past(past.origin, past.kind, past.topic, past.planned, past.counted, past.state == "sent")
            for past in ledger
            if past.id != row.self
        ),
        recipient=policy.recipient,
        promotional=rule.caps.promotional,
        total=(*rule.caps.total, *ceiling, *own),
        zone=row.timezone,
        **_quiet(row, rule),
    )


def _quiet(row: Row[Any], rule: Rule) -> dict[str, int]:
    """The person's quiet hours. A question asked through a connect link knows none: its reader waits for it."""
    if row.way == Way.LINK:
        return {}
    return {
        "quiet_from": rule.quiet_from if row.quiet_from is None else row.quiet_from,
        "quiet_to": rule.quiet_to if row.quiet_to is None else row.quiet_to,
    }


def _may_mail(row: Row[Any], policy: Policy) -> bool:
    """By mail while the policy says so; through a connect link if it was live when the visitor asked."""
    if row.way == Way.MAIL:
        return policy.by_mail
    if row.way != Way.LINK or row.link is None:
        return False
    ends = (row.link_closed, row.link_expires)
    return all(end is None or end > row.asked for end in ends)
