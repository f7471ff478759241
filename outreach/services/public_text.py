"""What anybody may read: who we are, the topics one can sign up for, and the promise each makes, in one's language."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.store import consents
from outreach.store.schema.organisation import controller


@dataclass(frozen=True)
class House:
    """The controller, as printed on recipients' pages."""

    name: str = "Outreach"
    postal_address: str = ""
    privacy_contact: str = ""
    locale: str = "en"
    timezone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A topic in the words of one published text. `ref`: the topic's; windows in seconds."""

    topic: int
    ref: bytes
    slug: str
    text: int
    text_ref: bytes
    locale: str
    version: int
    title: str
    gets: str
    wording: str
    sender_name: str
    kinds: tuple[str, ...]
    cap_n: int
    cap_window: int
    ratio_k: int

    @property
    def name(self) -> str:
        """The topic's name outside: hexadecimal."""
        return self.ref.hex()

    @property
    def sells(self) -> bool:
        return "promotional" in self.kinds


@dataclass(frozen=True)
class Offer:
    """What can be signed up for. `chosen` is the topic the page is about; `ceiling`: (n, seconds) over everything."""

    house: House
    chosen: Promise | None
    topics: tuple[Promise, ...]
    ceiling: tuple[int, int]

    @property
    def others(self) -> tuple[Promise, ...]:
        return tuple(topic for topic in self.topics if topic != self.chosen)


def read_house(conn: Connection) -> House:
    """The controller; before set-up, the product's own name."""
    row = conn.execute(_HOUSE).one_or_none()
    return House() if row is None else House(*row)


_HOUSE = select(
    controller.c.name,
    controller.c.postal_address,
    controller.c.privacy_contact,
    controller.c.locale,
    controller.c.timezone,
)


def see_house(ctx: Context) -> House:
    """`read_house` for a page's head."""
    with ctx.db.looking() as conn:
        return read_house(conn)


def preferred_locales(wanted: str, house: House) -> tuple[str, ...]:
    """Where to look for a text: in the person's language, then the controller's, then English."""
    return tuple(dict.fromkeys((wanted, house.locale, "en")))


class TopicFacts(NamedTuple):
    """What a promise says of its topic, where a row holds more than a topic."""

    id: int
    ref: bytes
    slug: str


def promise_of(topic: Row[Any] | TopicFacts, text: Row[Any]) -> Promise:
    """A topic and one of its texts as a reader sees them."""
    return Promise(
        topic=topic.id,
        ref=topic.ref,
        slug=topic.slug,
        text=text.id,
        text_ref=text.ref,
        locale=text.locale,
        version=text.version,
        title=text.title,
        gets=text.gets,
        wording=text.wording,
        sender_name=text.sender_name,
        kinds=tuple(text.kinds.split(",")),
        cap_n=text.cap_n,
        cap_window=text.cap_window,
        ratio_k=text.ratio_k,
    )


def offered(conn: Connection, house: House, locale: str, refs: Collection[bytes] | None = None) -> list[Promise]:
    """The open topics (all, or those of `refs`) with their present text in the best language we have."""
    topics = consents.open_topics(conn, refs)
    texts = consents.current_texts(conn, [topic.id for topic in topics], preferred_locales(locale, house))
    return [promise_of(topic, texts[topic.id]) for topic in topics]


def see_offer(ctx: Context, locale: str, slug: str = "") -> Offer:
    """The public start page, or one topic's sign-up page. Raises NotFoundError for a topic that is not open."""
    with ctx.db.reading() as conn:
        house = read_house(conn)
        topics = tuple(offered(conn, house, locale))
        chosen = next((topic for topic in topics if topic.slug == slug), None)
        if slug and chosen is None:
            raise NotFoundError("There is no such sign-up page. It may have been closed.")
        return Offer(house, chosen, topics, consents.total_ceiling(conn, ctx.db.now(conn)))
