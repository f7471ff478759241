"""The eligibility rule of `domain/eligibility.py` as one SQL CASE, a WHEN per reason, for whole slices at a time.

`Rule.verdict` yields CTEs that end in `verdict`; what uses it follows. Candidates come either from a campaign's
audience (planning, dry run) or from messages that exist already (waiting ones, and the second decision at hand-off,
which does not count the message itself).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from outreach.domain.eligibility import BARS, GATES
from outreach.domain.frequency import SECOND, Cap, quiet_until
from outreach.domain.message import COUNTED
from outreach.store.schema.organisation import cap, controller

DEFAULT_TOTAL = Cap(4, 7 * 86400)
"""The total ceiling while no officer has set one (PRODUCT.md)."""

GATE_LIST = ", ".join(f"'{reason}'" for reason in sorted(GATES))
_COUNTED_LIST = ", ".join(f"'{state}'" for state in sorted(COUNTED))
_CAPPED = "(m.kind <> 'service' OR m.origin = 'invitation')"
_PROMOTIONAL = "(m.kind = 'promotional' OR m.origin = 'invitation')"
_OF_TOPIC = "(m.origin = 'campaign' AND m.topic = k.topic)"

_PERSON = """
  c.id AS contact, c.mailbox, c.provider, c.timezone AS zone, c.address_key, mb.mailbox_key,
  COALESCE(c.quiet_from, {quiet_from}) AS quiet_from, COALESCE(c.quiet_to, {quiet_to}) AS quiet_to,
  ck.contact AS has_key, c.own_total_n, c.own_total_window, c.ceiling_n, c.ceiling_window,
  cs.state AS consent_state, cs.expires, cs.kinds, cs.cap_n, cs.cap_window, cs.own_n, cs.own_window, cs.ratio_k"""

AUDIENCE = (
    "SELECT"
    + _PERSON
    + """,
  cs.topic, CAST(:kind AS TEXT) AS kind, CAST(0 AS BIGINT) AS self, CAST(:now + 1 AS BIGINT) AS reserved
FROM consent cs
JOIN contact c ON c.id = cs.contact
JOIN mailbox mb ON mb.id = c.mailbox
LEFT JOIN contact_key ck ON ck.contact = c.id
WHERE cs.topic = :topic AND cs.state NOT IN ('none', 'pending')
  AND c.mailbox > :after AND c.mailbox <= :upto {segment}"""
)
"""Candidates of a campaign by whole mailboxes, (`after`, `upto`]: two spellings of one never meet across slices."""

MESSAGES = (
    "SELECT"
    + _PERSON
    + """,
  x.topic, x.kind, x.id AS self, x.planned AS reserved
FROM message x
JOIN contact c ON c.id = x.contact
JOIN mailbox mb ON mb.id = c.mailbox
LEFT JOIN contact_key ck ON ck.contact = c.id
LEFT JOIN consent cs ON cs.contact = x.contact AND cs.topic = x.topic
WHERE {chosen}"""
)
"""Candidates that are messages already; `chosen` is a condition on `x`."""


@dataclass(frozen=True)
class Caps:
    """The organisation's caps in force."""

    promotional: tuple[Cap, ...] = ()
    total: tuple[Cap, ...] = (DEFAULT_TOTAL,)


@dataclass(frozen=True)
class Rule:
    """The policy of one moment, ready to be put into SQL. Quiet hours in minutes after local midnight."""

    caps: Caps
    quiet_from: int
    quiet_to: int

    def verdict(
        self, connection: Connection, candidates: str, params: Mapping[str, Any], **parts: str
    ) -> tuple[str, dict[str, Any]]:
        """(the CTEs up to `verdict(contact, mailbox, provider, topic, kind, self, due, reason)`, all parameters).

        `reason` is null where the mail may go, from `due` on. `params` must hold `now`, UTC microseconds.
        """
        chosen = candidates.format(quiet_from=self.quiet_from, quiet_to=self.quiet_to, **parts)
        quiet, zones = self._quiet(connection, chosen, params)
        eligible = f"(reason IS NULL OR reason IN ({GATE_LIST}))"
        sql = f"""
WITH quiet(zone, quiet_from, quiet_to, due) AS ({quiet}),
candidate AS ({chosen}),
ledger AS ({self._ledger()}),
judged AS (
  SELECT k.*, {self._case()} AS reason, {_due()} AS due
  FROM candidate k
  LEFT JOIN ledger l ON l.contact = k.contact AND l.self = k.self
  LEFT JOIN quiet q ON q.zone = k.zone AND q.quiet_from = k.quiet_from AND q.quiet_to = k.quiet_to
),
verdict AS (
  SELECT contact, mailbox, provider, topic, kind, self, due,
    CASE WHEN self = 0 AND {eligible}
      AND ROW_NUMBER() OVER (PARTITION BY mailbox, CASE WHEN {eligible} THEN 1 ELSE 0 END ORDER BY contact) > 1
    THEN 'same_mailbox' ELSE reason END AS reason
  FROM judged
)"""
        return sql, {**params, **zones}

    def _quiet(self, connection: Connection, chosen: str, params: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """When each distinct (zone, quiet hours) among the candidates lets mail through, as rows for SQL to join."""
        found = connection.execute(text(f"SELECT DISTINCT zone, quiet_from, quiet_to FROM ({chosen}) AS k"), params)
        rows, zones = [], {}
        for i, (zone, start, end) in enumerate(found):
            zones[f"zone{i}"] = zone
            due = quiet_until(params["now"], zone, start, end)
            rows.append(f"(CAST(:zone{i} AS TEXT), {start}, {end}, CAST({due} AS BIGINT))")
        if not rows:
            return "SELECT CAST('' AS TEXT), 0, 0, CAST(0 AS BIGINT) WHERE 1 = 0", {}
        return f"VALUES {', '.join(rows)}", zones

    def _ledger(self) -> str:
        """What each candidate's mailbox has used of every cap, in one pass over its messages."""
        sums = [
            f"SUM({_counts(_OF_TOPIC, 'k.cap_window')}) AS promise",
            f"SUM({_counts(_OF_TOPIC, 'k.own_window')}) AS own",
            f"SUM({_counts(_CAPPED, 'k.own_total_window')}) AS own_total",
            f"SUM({_counts(_CAPPED, 'k.ceiling_window')}) AS ceiling",
        ]
        sums += [f"SUM({_counts(_CAPPED, one.window)}) AS total{i}" for i, one in enumerate(self.caps.total)]
        sums += [f"SUM({_counts(_PROMOTIONAL, one.window)}) AS promo{i}" for i, one in enumerate(self.caps.promotional)]
        return f"""SELECT k.contact, k.self, {", ".join(sums)}
  FROM candidate k JOIN message m ON m.mailbox = k.mailbox AND m.id <> k.self
  WHERE m.state IN ({_COUNTED_LIST}) GROUP BY k.contact, k.self"""

    def _case(self) -> str:
        whens = ["WHEN k.has_key IS NULL THEN 'erased'"]
        whens += [f"WHEN {_barred(bar)} THEN '{bar}'" for bar in BARS]
        whens += [
            "WHEN k.consent_state IS NULL OR k.consent_state NOT IN ('granted', 'withdrawn', 'expired', 'paused') "
            "OR k.cap_n IS NULL OR k.cap_window IS NULL OR k.kinds IS NULL OR k.ratio_k IS NULL THEN 'no_consent'",
            "WHEN k.consent_state = 'withdrawn' THEN 'withdrawn'",
            "WHEN k.consent_state = 'expired' OR k.expires <= :now THEN 'expired'",
            "WHEN k.consent_state = 'paused' THEN 'paused'",
            "WHEN ',' || k.kinds || ',' NOT LIKE '%,' || k.kind || ',%' THEN 'kind'",
            "WHEN COALESCE(l.promise, 0) + 1 > k.cap_n THEN 'cap_promise'",
            "WHEN COALESCE(l.own, 0) + 1 > k.own_n THEN 'cap_own'",
            "WHEN k.kind <> 'service' AND COALESCE(l.own_total, 0) + 1 > k.own_total_n THEN 'cap_own'",
            "WHEN k.kind <> 'service' AND COALESCE(l.ceiling, 0) + 1 > k.ceiling_n THEN 'cap_total'",
        ]
        whens += [
            f"WHEN k.kind <> 'service' AND COALESCE(l.total{i}, 0) + 1 > {one.n} THEN 'cap_total'"
            for i, one in enumerate(self.caps.total)
        ]
        whens += [
            f"WHEN k.kind = 'promotional' AND COALESCE(l.promo{i}, 0) + 1 > {one.n} THEN 'cap_promotional'"
            for i, one in enumerate(self.caps.promotional)
        ]
        whens.append(f"WHEN k.kind = 'promotional' AND k.ratio_k > 0 AND {_GIVEN} < k.ratio_k THEN 'ratio'")
        return "CASE " + "\n    ".join(whens) + " END"


_GIVEN = f"""(
      SELECT COUNT(*) FROM message i
      WHERE i.mailbox = k.mailbox AND i.topic = k.topic AND i.origin = 'campaign' AND i.kind = 'informational'
        AND i.state = 'sent' AND i.id <> k.self AND i.counted > COALESCE((
          SELECT MAX(p.planned) FROM message p
          WHERE p.mailbox = k.mailbox AND p.topic = k.topic AND p.origin = 'campaign' AND p.kind = 'promotional'
            AND p.state IN ({_COUNTED_LIST}) AND p.id <> k.self AND p.planned < k.reserved), 0))"""


def _counts(which: str, window: str | int) -> str:
    """1 for a message that takes a place of this cap now: it reserves, or was counted within the window."""
    opened = f":now - CAST({window} AS BIGINT) * {SECOND}" if isinstance(window, str) else f":now - {window * SECOND}"
    return f"CASE WHEN {which} AND (m.counted IS NULL OR m.counted > {opened}) THEN 1 ELSE 0 END"


def _barred(kind: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM suppression s WHERE s.kind = '{kind}' AND s.lifted IS NULL "
        "AND s.key IN (k.address_key, k.mailbox_key))"
    )


def _due() -> str:
    """Service mail knows no quiet hours; a zone nobody prepared is never assumed to be awake."""
    now = "CAST(:now AS BIGINT)"
    return f"CASE WHEN k.kind = 'service' THEN {now} ELSE COALESCE(q.due, {now} + 3600000000) END"


def load_rule(connection: Connection) -> Rule:
    """The policy in force now."""
    rows = connection.execute(
        select(cap.c.scope, cap.c.n, cap.c.window).where(cap.c.ended.is_(None)).order_by(cap.c.id)
    )
    by_scope: dict[str, list[Cap]] = {"promotional": [], "total": []}
    for row in rows:
        by_scope[row.scope].append(Cap(row.n, row.window))
    quiet = connection.execute(select(controller.c.quiet_from, controller.c.quiet_to)).one_or_none()
    caps = Caps(tuple(by_scope["promotional"]), tuple(by_scope["total"]) or (DEFAULT_TOTAL,))
    return Rule(caps, *((quiet.quiet_from, quiet.quiet_to) if quiet else (0, 0)))
