"""Judges and stores the rows of an import a slice at a time: who may be granted, who is refused and why.

What a slice changes is one transaction, so a crash leaves whole slices and doing it again adds the rest. It is short
enough that the web does not feel it on SQLite, where one writes at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.actors import Actor
from outreach.domain.consent import Event, State
from outreach.domain.policies import Name
from outreach.domain.soft_opt_in import Soft, stands_on, too_old
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.import_report import Report
from outreach.services.import_rows import Barred, Given, Refusal, Refused, read_bars, read_people
from outreach.services.public_text import House, preferred_locales, read_house
from outreach.store import consents, policies, suppressions
from outreach.store.boxes import ContactKeys
from outreach.store.newcomers import Newcomer, add_contacts, find_all
from outreach.translations import LOCALES

SLICE = 500
"""Rows a transaction."""

T = TypeVar("T")
_DAY = 86_400_000_000
_STANDS = {"withdrawn": Refusal.ASKED_NOT_TO, "expired": Refusal.ASKED_NOT_TO}
_STANDS |= {"granted": Refusal.ALREADY, "paused": Refusal.ALREADY}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A row that can be used, and the keyed hashes of its address: 32 bytes each."""

    row: Given
    topic: Row[Any]
    address_key: bytes
    mailbox_key: bytes


class KeySet:
    """Keyed hashes that came by, told apart by 16 of their bytes: some 30 MB for a million, where a set takes 130."""

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def add(self, key: bytes) -> bool:
        """Whether it is new."""
        bucket = self._buckets[key[0] << 8 | key[1]]
        if key[2:16] in bucket:
            return False
        bucket += key[2:16]
        return True

    def __contains__(self, key: bytes) -> bool:
        return key[2:16] in self._buckets.get(key[0] << 8 | key[1], b"")


class Intake:
    """One run over both files, for `actor`; `digest` names the files in the evidence. `now`: UTC microseconds."""

    def __init__(self, ctx: Context, actor: Actor, digest: str, report: Report) -> None:
        self.ctx, self.actor, self.digest, self.report = ctx, actor, digest, report
        with ctx.db.reading() as conn:
            self.now = ctx.db.now(conn)
            self.house: House = read_house(conn)
            self.soft = policies.value_at(conn, Name.SOFT_OPT_IN, self.now)
            topics = consents.open_topics(conn)
            self.texts = consents.all_texts(conn, [topic.id for topic in topics])
        self.topics: dict[str, Row[Any]] = {topic.slug: topic for topic in topics}
        self.published = {(text.topic, text.wording) for texts in self.texts.values() for text in texts}
        self.chosen: dict[tuple[int, str | None, str], Row[Any]] = {}
        self.seen: defaultdict[int, KeySet] = defaultdict(KeySet)
        self.new_bars, self.new_people = KeySet(), KeySet()

    def bars(self, file: BinaryIO) -> Iterator[list[Barred]]:
        """The usable rows of the file of bars in slices; the others are counted."""
        return _slices(self._usable_bars(file))

    def people(self, file: BinaryIO) -> Iterator[list[Arrival]]:
        """The usable rows of the file of people in slices; the others are counted by reason."""
        return _slices(self._usable_people(file))

    def note_bars(self, bars: Sequence[Barred]) -> None:
        """Remember whom the import would bar."""
        for bar in bars:
            self.new_bars.add(self._mailbox_key(bar))

    def rehearse(self, conn: Connection, arrivals: Sequence[Arrival]) -> None:
        """Count what storing a slice would do."""
        welcome = self._unbarred(conn, arrivals)
        known = find_all(conn, {one.address_key for one in welcome})
        ids = {key: person.id for key, person in known.items()}
        self._count(self._judge(conn, welcome, ids), known.keys())

    def bar(self, conn: Connection, bars: Sequence[Barred]) -> None:
        """Bar a slice of addresses, and withdraw what their owners had agreed to."""
        now = self.ctx.db.now(conn)
        rows = {self._mailbox_key(bar): bar for bar in bars}
        suppressions.put(
            conn,
            now,
            [suppressions.Bar(key, "mailbox", "imported", "officer", rows[key].reason) for key in sorted(rows)],
        )
        people = [person.id for person in find_all(conn, [self._address_key(bar) for bar in bars]).values()]
        consents.lock_contacts(conn, people)
        changes = [
            Change(
                contact=held.contact,
                topic=held.topic,
                event=Event.WITHDRAWN,
                text=held.text,
                evidence={"act": "named in an imported list of people not to write to", "actor": self.actor.name},
            )
            for held in consents.held(conn, people)
            if held.state not in {State.NONE, State.PENDING}
        ]
        apply_changes(conn, self.ctx, now, actor=self.actor, changes=changes)

    def store(self, conn: Connection, arrivals: Sequence[Arrival]) -> None:
        """Grant what may be granted of a slice, making the people we do not hold yet.

        Judged under the lock on each contact: what another import or the person did meanwhile counts.
        """
        welcome = self._unbarred(conn, arrivals)
        now = self.ctx.db.now(conn)
        known = find_all(conn, {one.address_key for one in welcome})
        newcomers = {
            one.address_key: Newcomer(one.row.address, one.row.locale, one.row.timezone, one.row.fields)
            for one in reversed(welcome)  # the first row of somebody tells about them
            if one.address_key not in known
        }
        keys = ContactKeys(self.ctx.keyring, conn)
        people = known | add_contacts(conn, self.ctx.keyring, keys, newcomers, now=now)
        ids = {key: person.id for key, person in people.items()}
        consents.lock_contacts(conn, ids.values())
        good = self._judge(conn, welcome, ids)
        changes = [self._change(one, ids[one.address_key]) for one in good]
        apply_changes(conn, self.ctx, now, actor=self.actor, changes=changes, keys=keys)
        self._count(good, known.keys())

    def _usable_bars(self, file: BinaryIO) -> Iterator[Barred]:
        for row in read_bars(file):
            if isinstance(row, Refused):
                self.report.refused_bars += 1
            else:
                self.report.barred += 1
                yield row

    def _usable_people(self, file: BinaryIO) -> Iterator[Arrival]:
        for row in read_people(file, self.house.locale, self.house.timezone, LOCALES, self.now):
            self.report.rows += 1
            found = row.why if isinstance(row, Refused) else self._arrival(row)
            if isinstance(found, Arrival):
                yield found
            else:
                self.report.refuse(row.number, found)

    def _arrival(self, row: Given) -> Arrival | Refusal:
        topic = self.topics.get(row.topic)
        if topic is None:
            return Refusal.NO_TOPIC
        if row.bought and not self.soft["on"]:
            return Refusal.NOT_ALLOWED
        if topic.expires_days is not None and row.given + topic.expires_days * _DAY <= self.now:
            return Refusal.EXPIRED
        soft = self._soft(row)
        if soft is not None and (soft.ends <= self.now or soft.at <= too_old(self.soft, self.now)):
            return Refusal.EXPIRED
        address_key = self._address_key(row)
        if not self.seen[topic.id].add(address_key):
            return Refusal.TWICE
        return Arrival(row, topic, address_key, self._mailbox_key(row))

    def _soft(self, row: Given) -> Soft | None:
        return stands_on(self.soft, row.bought.ground, row.given) if row.bought else None

    def _address_key(self, row: Given | Barred) -> bytes:
        return self.ctx.keyring.blind("address", row.address.exact)

    def _mailbox_key(self, row: Given | Barred) -> bytes:
        return self.ctx.keyring.blind("mailbox", row.address.mailbox)

    def _unbarred(self, conn: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
        keys = {key for one in arrivals for key in (one.address_key, one.mailbox_key)}
        barred = {bar.key for bar in suppressions.live(conn, keys)}
        welcome = []
        for one in arrivals:
            if one.address_key in barred or one.mailbox_key in barred or one.mailbox_key in self.new_bars:
                self.report.refuse(one.row.number, Refusal.BARRED)
            else:
                welcome.append(one)
        return welcome

    def _judge(self, conn: Connection, arrivals: Sequence[Arrival], ids: Mapping[bytes, int]) -> list[Arrival]:
        """Those who may be granted as things stand; the others are counted by reason."""
        known = {(held.contact, held.topic): held for held in consents.held(conn, ids.values())}
        good = []
        for one in arrivals:
            why = _refused(one.row, known.get((ids.get(one.address_key, 0), one.topic.id)))
            if why is None:
                good.append(one)
            else:
                self.report.refuse(one.row.number, why)
        return good

    def _count(self, good: Sequence[Arrival], known: Iterable[bytes]) -> None:
        self.report.granted += len(good)
        self.report.soft += sum(one.row.bought is not None for one in good)
        fresh = {one.address_key for one in good}.difference(known)
        self.report.new_people += sum(self.new_people.add(key) for key in fresh)

    def _change(self, one: Arrival, contact_id: int) -> Change:
        row, text = one.row, self._text(one)
        evidence: dict[str, Any] = {"source": row.source, "given": row.given}
        if row.bought is None:
            evidence |= {"wording": row.text, "is_our_text": text.wording == row.text}
        else:
            evidence |= {"ground": str(row.bought.ground), "bought": row.bought.what}
            evidence |= {"objecting": row.bought.objecting, "similar": "own similar products"}
        return Change(
            contact=contact_id,
            topic=one.topic.id,
            event=Event.SOFT if row.bought else Event.IMPORTED,
            text=text.id,
            agreed=row.given,
            soft=self._soft(row),
            evidence={**evidence, "import": self.digest, "row": row.number, "actor": self.actor.name},
        )

    def _text(self, one: Arrival) -> Row[Any]:
        """The published text these words are, with its promise; for other words the tightest promise we ever made."""
        topic, words = one.topic.id, one.row.text
        case = (topic, words if (topic, words) in self.published else None, one.row.locale)
        if case not in self.chosen:
            same = [text for text in self.texts[topic] if text.wording == words]
            wanted = preferred_locales(one.row.locale, self.house)
            rank = {locale: place for place, locale in enumerate(wanted)}
            self.chosen[case] = min(
                same or self.texts[topic],
                key=lambda text: (text.cap_n / text.cap_window, rank.get(text.locale, 9), -text.version),
            )
        return self.chosen[case]


def _refused(row: Given, held: consents.Held | None) -> Refusal | None:
    """Why a row brings this person nothing. A later purchase takes the place of an earlier one, and of no consent."""
    if held is None:
        return None
    is_renewed = row.bought is not None and held.soft_from is not None and held.soft_from < row.given
    return None if is_renewed and held.state != State.WITHDRAWN else _STANDS.get(held.state)


def _slices(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while part := list(islice(iterator, SLICE)):
        yield part
