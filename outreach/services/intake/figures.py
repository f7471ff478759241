"""How many of our mails come back and are complained about: by topic, provider and campaign, against the known lines.

Mailbox providers count complaints by what reached the inbox: below 0.10 % is wanted, 0.30 % is never to be reached
(Gmail and Yahoo, sender guidelines of 2024). For mails that come back none publishes a line; the policy
Name.LINES has ours.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.policies import Name
from outreach.mail.inbound.incoming import Kind
from outreach.services.context import Context
from outreach.services.policies.versions import current
from outreach.store import inbound as store
from outreach.store import log_figures, tally
from outreach.store.log_figures import DAY
from outreach.store.messages import PROVIDERS
from outreach.store.schema.consents import topic

WANTED, NEVER = 10, 30
"""Complaints in 10,000 mails: the providers' two lines."""

DAYS = 30
MOST_CAMPAIGNS = 20
_SCALE = 10_000
_BOUNCES = (Kind.HARD_BOUNCE.value, Kind.SOFT_BOUNCE.value)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What came back. `ref`: of the topic or campaign, None for a provider's. `sent`: mails a server took; `tried`:
    those and the ones it would not take.
    """

    name: str
    ref: bytes | None
    sent: int
    tried: int
    bounced: int
    refused: int
    complained: int

    @property
    def complaints(self) -> float | None:
        """In 10,000 that were taken; None where none was."""
        return self.complained * _SCALE / self.sent if self.sent else None

    @property
    def bounces(self) -> float | None:
        """In 10,000 that were handed over; None where none was."""
        return self.bounced * _SCALE / self.tried if self.tried else None

    def is_above(self, lines: Mapping[str, int]) -> str:
        """Which line of the policy it is above: "complaints", "bounces", or "". Below `least` mails nothing is said."""
        if self.tried < lines["least"]:
            return ""
        return next((one for one in ("complaints", "bounces") if (getattr(self, one) or 0) > lines[one]), "")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rates over DAYS days, UTC, today included; a campaign's over its whole life. `lines`: the policy in force."""

    topics: tuple[Rate, ...]
    providers: tuple[Rate, ...]
    campaigns: tuple[Rate, ...]
    lines: Mapping[str, int]


def see_rates(ctx: Context, actor: Actor) -> Rates:
    """How our mail fares, for an officer."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        topics, providers = rates(conn, (now // DAY - DAYS + 1) * DAY, now)
        found = store.campaigns_since(conn, now - DAYS * DAY, MOST_CAMPAIGNS)
        campaigns = tuple(campaign_rate(conn, row.id, row.name, row.ref) for row in found)
        return Rates(topics=topics, providers=providers, campaigns=campaigns, lines=current(conn, Name.LINES, now))


def rates(conn: Connection, since: int, now: int) -> tuple[tuple[Rate, ...], tuple[Rate, ...]]:
    """(by topic, by provider) of what was sent and reported since the day of `since`, those with nothing left out."""
    sent: Counter[tuple[str, bytes | str]] = Counter()
    refused: Counter[tuple[str, bytes | str]] = Counter()
    days = (since // DAY, now // DAY + 1)
    for kind, ref, reason, provider, n in log_figures.sums(conn, *days, ("message.sent", "message.failed")):
        if kind == "message.sent" or reason in tally.REFUSED:
            counter = sent if kind == "message.sent" else refused
            counter["topic", ref] += n
            counter["provider", provider] += n
    told: dict[tuple[str, bytes | str], Counter[str]] = {}
    for row in store.counts_since(conn, since):
        for name in (("topic", row.topic or b""), ("provider", row.provider)):
            told.setdefault(name, Counter())[row.kind] += row.n
    topics = [(row.ref, row.name) for row in conn.execute(select(topic.c.ref, topic.c.name).order_by(topic.c.name))]

    def of(name: str, ref: bytes | None, key: tuple[str, bytes | str]) -> Rate:
        return _rate(name, ref, sent[key], refused[key], told.get(key, {}))

    by_topic = [of(name, ref, ("topic", ref)) for ref, name in topics]
    by_provider = [of(one, None, ("provider", one)) for one in PROVIDERS]
    return tuple(filter(_says_something, by_topic)), tuple(filter(_says_something, by_provider))


def campaign_rate(conn: Connection, campaign_id: int, name: str, ref: bytes, since: int = 0) -> Rate:
    """Of one campaign, over its life or since then."""
    sent, refused = tally.sent_since(conn, campaign_id, since), tally.refused_since(conn, campaign_id, since)
    return _rate(name, ref, sent, refused, store.counts_of(conn, campaign_id, since))


def _rate(name: str, ref: bytes | None, sent: int, refused: int, kinds: Mapping[str, int]) -> Rate:
    return Rate(
        name=name,
        ref=ref,
        sent=sent,
        tried=sent + refused,
        bounced=sum(kinds.get(kind, 0) for kind in _BOUNCES),
        refused=kinds.get(Kind.BLOCKED, 0),
        complained=kinds.get(Kind.COMPLAINT, 0),
    )


def _says_something(rate: Rate) -> bool:
    return any((rate.sent, rate.bounced, rate.refused, rate.complained))
