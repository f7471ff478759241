"""The receipt of one consent event: what it says, and what the log's entries add up to for it.

It holds no address: its subject is the contact's random reference, the same that the log uses. It carries the log's
entry about the event, word for word, so that a proof of inclusion can be checked against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outreach.domain.actors import OWNER
from outreach.domain.audit import leaf_hash, verify_inclusion
from outreach.domain.consent import GIVING, LIVE, Event, State

VERSION = 2
"""Of the document; see `Receipt`."""

EVENTS = frozenset(Event) - {Event.REQUESTED, Event.DECLINED, Event.LAPSED}
"""Events that grant, change or withdraw a consent. The others are about a question whose answer was not yes."""


class How(StrEnum):
    """What the event rests on."""

    CONFIRMED = "double-opt-in"  # asked for, then confirmed by the press of a button
    IMPORTED = "import"  # evidence brought from another system
    PURCHASE = "purchase"  # a purchase or an inquiry, with its evidence: no consent
    LINK = "link-in-a-mail"
    UNDO = "undo"  # within the hour, in the browser that acted
    STAFF = "staff"  # told to somebody who works there
    TIME = "time"  # a consent's or a pause's end
    COMPLAINT = "complaint"
    ROOM = "fresh-link"  # by the owner, in their own room, behind a link just mailed to their address


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Who answered for the data when it happened. `country`: ISO 3166-1 alpha-2, or empty."""

    name: str
    address: str
    contact: str
    country: str


@dataclass(frozen=True, kw_only=True)
class Words:
    """The consent text agreed to, with its promise: at most `cap_n` mails in any `cap_window` seconds.

    `ref`, `sha256` (of the wording): hexadecimal; `published`: UTC microseconds.
    """

    ref: str
    locale: str
    version: int
    title: str
    gets: str
    wording: str
    sha256: str
    sender: str
    published: int
    kinds: tuple[str, ...]
    cap_n: int
    cap_window: int
    ratio_k: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a receipt says. Instants are UTC microseconds; `id` (the event's), `subject`, `topic`: hexadecimal refs.

    `own`: the person's own lower cap (n, seconds); `site`: where its keys are published; `log`: the log's name;
    `entry`: the entry about the event, exactly as hashed. `is_soft`: it stood on a purchase, held to the promise of
    `words`. `version`: of the document; in the first, rights were exercised at the site, not at their own page.
    """

    site: str
    id: str
    subject: str
    at: int
    event: Event
    before: State
    state: State
    how: How
    controller: Controller
    topic: str
    topic_name: str
    purpose: str
    retention_days: int
    words: Words | None
    own: tuple[int, int] | None
    expires: int | None
    paused_until: int | None
    log: str
    entry: str
    is_soft: bool = False
    version: int = VERSION

    @property
    def title(self) -> str:
        """What the person knows the topic as."""
        return self.words.title if self.words else self.topic_name


@dataclass(frozen=True)
class Inclusion:
    """That an entry stands at `index` (from 0) in the log: `path` to the root in `checkpoint`, a signed note."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def shows(self, entry: str, size: int, root: bytes) -> bool:
        """Whether `entry` is in the tree of `size` entries under `root` (RFC 9162 §2.1.3.2)."""
        return verify_inclusion(leaf_hash(entry.encode()), self.index, size, self.path, root)


def how(event: Event, actor: str) -> How:
    """What an event rests on. `actor`: as the log names who acted."""
    named = {Event.CONFIRMED: How.CONFIRMED, Event.IMPORTED: How.IMPORTED, Event.COMPLAINED: How.COMPLAINT}
    named |= {Event.SOFT: How.PURCHASE}
    if event in named:
        return named[event]
    if actor == OWNER.name:
        return How.ROOM
    if actor == "engine":
        return How.TIME
    if actor.startswith("staff:") or actor == "console":
        return How.STAFF
    return How.UNDO if event in {Event.RESTORED, Event.RESUMED, Event.UNLIMITED} else How.LINK


@dataclass(frozen=True)
class Standing:
    """What a consent's events add up to beside its state: own cap, the end of a pause, and of the consent."""

    own: tuple[int, int] | None = None
    paused_until: int | None = None
    expires: int | None = None
    is_soft: bool = False


def standing(told: Sequence[tuple[Event, Mapping[str, Any]]]) -> Standing:
    """After these events of one consent, as the bodies of the log's entries tell them, oldest first."""
    own: tuple[int, int] | None = None
    until: int | None = None
    expires: int | None = None
    is_soft = False
    for event, body in told:
        if event in {Event.LIMITED, Event.UNLIMITED}:
            own = (body["own"][0], body["own"][1]) if body.get("own") else None
        if event in GIVING:
            is_soft = event == Event.SOFT
            own = own if body["from"] in LIVE else None
            expires = body.get("expires")
        if event == Event.PAUSED:
            until = body.get("until")
        elif body["to"] == State.GRANTED:
            until = None
        if event == Event.EXPIRED:
            expires = None
    state = told[-1][1]["to"] if told else State.NONE
    if state not in LIVE:
        return Standing(is_soft=is_soft)
    return Standing(own, until if state == State.PAUSED else None, expires, is_soft)
