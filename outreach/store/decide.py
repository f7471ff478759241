"""The eligibility rule of `domain/eligibility.py` as one SQL expression, for whole slices at a time.

`Rule.judged` makes a query of it. Candidates come either from a campaign's audience (planning, dry run) or from
messages that exist already (waiting ones, and the second decision at hand-off, which leaves the message itself out).
The rule asks of each candidate in turn, by index, and no further than the first no: so a slice costs the same beside a
thousand messages and beside a hundred million, and no database can choose a plan that does worse.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.eligibility import BARS, GATES
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.message import COUNTED
from outreach.domain.policies import CAPS, Name, caps_of
from outreach.domain.soft_opt_in import FOR_EVER, too_old
from outreach.store import policies

GATE_LIST = ", ".join(f"'{reason}'" for reason in sorted(GATES))
_COUNTED_LIST = ", ".join(f"'{state}'" for state in sorted(COUNTED))
_CAPPED = "(m.kind <> 'service' OR m.origin = 'invitation')"
_PROMOTIONAL = "(m.kind = 'promotional' OR m.origin = 'invitation')"
_OF_TOPIC = "(m.topic = k.topic AND m.origin IN ('campaign', 'confirmation'))"

_PERSON = """
  c.id AS contact, c.mailbox, c.provider, c.timezone AS zone, c.address_key,
  COALESCE(c.quiet_from, {quiet_from}) AS quiet_from, COALESCE(c.quiet_to, {quiet_to}) AS quiet_to,
  ck.contact AS has_key, c.rest_until, c.own_total_n, c.own_total_window, c.ceiling_n, c.ceiling_window,
  cs.state AS consent_state, cs.expires, cs.kinds, cs.cap_n, cs.cap_window, cs.own_n, cs.own_window, cs.ratio_k,
  cs.soft_from"""


@dataclass(frozen=True)
class Candidates:
    """Whom the rule is asked about: a query, and a cheap condition that holds at least for everybody barred."""

    query: str
    suspect: str


_MAILBOX_KEY = "(SELECT mb.mailbox_key FROM mailbox mb WHERE mb.id = k.mailbox)"
_LIVE = "FROM suppression s WHERE s.lifted IS NULL AND s.key"

AUDIENCE = Candidates(
    "SELECT"
    + _PERSON
    + """,
  cs.topic, CAST(:kind AS TEXT) AS kind, CAST(0 AS BIGINT) AS self, CAST(:now + 1 AS BIGINT) AS reserved
FROM contact c
JOIN consent cs ON cs.contact = c.id AND cs.topic = :topic
LEFT JOIN contact_key ck ON ck.contact = c.id
WHERE cs.state NOT IN ('none', 'pending') AND c.mailbox > :after AND c.mailbox <= :upto {segment}""",
    # The whole slice against the bars at once, in this order, before anybody is looked at.
    "k.contact IN (SELECT b.id FROM contact b CROSS JOIN suppression s "
    "WHERE b.mailbox > :after AND b.mailbox <= :upto AND s.lifted IS NULL AND s.key = b.address_key) "
    "OR k.mailbox IN (SELECT b.id FROM mailbox b CROSS JOIN suppression s "
    "WHERE b.id > :after AND b.id <= :upto AND s.lifted IS NULL AND s.key = b.mailbox_key)",
)
"""Candidates of a campaign by whole mailboxes, (`after`, `upto`]: two spellings of one never meet across slices."""

MESSAGES = Candidates(
    "SELECT"
    + _PERSON
    + """,
  x.topic, x.kind, x.id AS self, x.planned AS reserved
FROM message x
JOIN contact c ON c.id = x.contact
LEFT JOIN contact_key ck ON ck.contact = c.id
LEFT JOIN consent cs ON cs.contact = x.contact AND cs.topic = x.topic
WHERE {chosen}""",
    f"EXISTS (SELECT 1 {_LIVE} = k.address_key) OR EXISTS (SELECT 1 {_LIVE} = {_MAILBOX_KEY})",
)
"""Candidates that are messages already; `chosen` is a condition on `x`."""


@dataclass(frozen=True)
class Caps:
    """The organisation's caps in force."""

    promotional: tuple[Cap, ...]
    total: tuple[Cap, ...]


@dataclass(frozen=True)
class Rule:
    """The policy of one moment, ready to be put into SQL. Quiet hours in minutes after local midnight.

    `ratio`: informational mails before each promotional one, where a text promises fewer. `is_settling`: caps began of
    which the surplus is still to be withheld; until then nothing planned may be judged again. `too_old`: a purchase up
    to then carries no mail.
    """

    caps: Caps
    quiet_from: int
    quiet_to: int
    ratio: int = 0
    is_settling: bool = False
    too_old: int = FOR_EVER

    def judged(self, candidates: Candidates, **parts: str) -> str:
        """A query for (contact, mailbox, provider, topic, kind, self, zone, quiet_from, quiet_to, reason).

        `reason` is null where the mail may go as soon as the person's quiet hours allow. Parameters are those of
        `candidates`, `now` (UTC microseconds) and this rule's `too_old`.
        """
        chosen = candidates.query.format(quiet_from=self.quiet_from, quiet_to=self.quiet_to, **parts)
        return f"""SELECT k.contact, k.mailbox, k.provider, k.topic, k.kind, k.self, k.zone, k.quiet_from, k.quiet_to,
  CASE WHEN k.has_key IS NULL THEN 'erased'
    ELSE COALESCE(CASE WHEN {candidates.suspect} THEN {_BARRED} END, {_UNASKED}, {self._too_often()}) END AS reason
FROM ({chosen}) k"""

    def _too_often(self) -> str:
        """The first limit that is reached, by one pass over the mailbox's messages."""
        used = {
            "promise": _counts(_OF_TOPIC, "k.cap_window"),
            "own": _counts(_OF_TOPIC, "k.own_window"),
            "own_total": _counts(_CAPPED, "k.own_total_window"),
            "ceiling": _counts(_CAPPED, "k.ceiling_window"),
        }
        used |= {f"total{i}": _counts(_CAPPED, one.window) for i, one in enumerate(self.caps.total)}
        used |= {f"promo{i}": _counts(_PROMOTIONAL, one.window) for i, one in enumerate(self.caps.promotional)}
        columns = ", ".join(f"{count} AS {name}" for name, count in used.items())
        return f"""(SELECT {self._limits()}
    FROM (SELECT {columns}, {_LAST_OFFER} AS last_offer, {_LAST_GIVEN} AS last_given FROM message m
      WHERE m.mailbox = k.mailbox AND m.id <> k.self AND m.state IN ({_COUNTED_LIST})) l)"""

    def _limits(self) -> str:
        whens = [
            "WHEN l.promise + 1 > k.cap_n THEN 'cap_promise'",
            "WHEN l.own + 1 > k.own_n THEN 'cap_own'",
            "WHEN k.kind <> 'service' AND l.own_total + 1 > k.own_total_n THEN 'cap_own'",
            "WHEN k.kind <> 'service' AND l.ceiling + 1 > k.ceiling_n THEN 'cap_total'",
        ]
        whens += [
            f"WHEN k.kind <> 'service' AND l.total{i} + 1 > {one.n} THEN 'cap_total'"
            for i, one in enumerate(self.caps.total)
        ]
        whens += [
            f"WHEN k.kind = 'promotional' AND l.promo{i} + 1 > {one.n} THEN 'cap_promotional'"
            for i, one in enumerate(self.caps.promotional)
        ]
        least = (
            f"CASE WHEN k.ratio_k < {self.ratio} THEN {self.ratio} ELSE k.ratio_k END" if self.ratio else "k.ratio_k"
        )
        # Where one is enough, or none was given, the pass over the mailbox has said so already.
        too_few = f"COALESCE(l.last_given, 0) <= COALESCE(l.last_offer, 0) OR ({least} > 1 AND {_GIVEN} < {least})"
        whens.append(f"WHEN k.kind = 'promotional' AND {least} > 0 AND ({too_few}) THEN 'ratio'")
        return "CASE " + "\n      ".join(whens) + " END"


_RANKS = " ".join(f"WHEN '{bar}' THEN {rank}" for rank, bar in enumerate(BARS))
_NAMES = " ".join(f"WHEN {rank} THEN '{bar}'" for rank, bar in enumerate(BARS))
_BARRED = f"""(SELECT CASE MIN(CASE s.kind {_RANKS} END) {_NAMES} END
    {_LIVE} IN (k.address_key, {_MAILBOX_KEY}))"""

_UNASKED = """CASE
    WHEN k.consent_state IS NULL OR k.consent_state NOT IN ('granted', 'withdrawn', 'expired', 'paused')
      OR k.cap_n IS NULL OR k.cap_window IS NULL OR k.kinds IS NULL OR k.ratio_k IS NULL THEN 'no_consent'
    WHEN k.consent_state = 'withdrawn' THEN 'withdrawn'
    WHEN k.consent_state = 'expired' OR k.expires <= :now OR k.soft_from <= :too_old THEN 'expired'
    WHEN k.consent_state = 'paused' THEN 'paused'
    WHEN ',' || k.kinds || ',' NOT LIKE '%,' || k.kind || ',%' THEN 'kind'
    WHEN k.rest_until > :now THEN 'resting' END"""

_LAST_OFFER = f"""MAX(m.planned) FILTER (WHERE {_OF_TOPIC} AND m.kind = 'promotional' AND m.planned < k.reserved)"""
_GIFT = f"{_OF_TOPIC} AND m.kind = 'informational' AND m.state = 'sent'"
_LAST_GIVEN = f"MAX(m.counted) FILTER (WHERE {_GIFT})"
_GIVEN = f"""(SELECT COUNT(*) FROM message m WHERE m.mailbox = k.mailbox AND m.id <> k.self AND {_GIFT}
        AND m.counted > COALESCE(l.last_offer, 0))"""


def _counts(which: str, window: str | int) -> str:
    """How many messages take a place of this cap now: they reserve, or were counted within the window."""
    if isinstance(window, int):
        is_set, opened = "", f":now - {window * SECOND}"
    else:
        is_set, opened = f"{window} IS NOT NULL AND ", f":now - CAST({window} AS BIGINT) * {SECOND}"
    return f"COUNT(*) FILTER (WHERE {is_set}(m.counted IS NULL OR m.counted > {opened}) AND {which})"


_READ = (*CAPS, Name.QUIET_HOURS, Name.GIVE_RATIO, Name.SOFT_OPT_IN)


def load_rule(connection: Connection, now: int) -> Rule:
    """The policy in force at `now`, UTC microseconds."""
    found = policies.versions(connection, *_READ)
    held = {name: policies.in_force([one for one in found if one.name == name], now) for name in _READ}
    values = {name: one.value if one else policies.default(connection, name) for name, one in held.items()}
    quiet = values[Name.QUIET_HOURS]
    return Rule(
        Caps(caps_of(values[Name.CAP_PROMOTIONAL]), caps_of(values[Name.CAP_TOTAL])),
        quiet["from"],
        quiet["to"],
        values[Name.GIVE_RATIO]["least"],
        any(one is not None and one.begun is None for name, one in held.items() if name in CAPS),
        too_old(values[Name.SOFT_OPT_IN], now),
    )
