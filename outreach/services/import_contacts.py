"""Brings people and bars from another system: bars first, then rows with evidence; a rehearsal before each import.

Nobody is revived: whoever withdrew or is barred stays so. Rows without evidence are counted, not stored.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain.actors import Actor, Role
from outreach.domain.consent import Event, State
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.import_rows import Barred, Given, Refusal, Refused, read_bars, read_people
from outreach.services.public_text import House, preferred_locales, read_house
from outreach.store import consents, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.newcomers import Newcomer, ensure_contacts, find_all
from outreach.store.schema.audit import audit_entry
from outreach.translations import LOCALES

_SLICE = 500
_DAY = 86_400_000_000
_MOST_NUMBERS = 50
_REHEARSAL_LASTS = _DAY


@dataclass(frozen=True)
class Import:
    """Two files as uploaded. `suppressions` None: the officer says there are none (`no_suppressions`)."""

    rows: bytes = field(repr=False)
    suppressions: bytes | None = field(default=None, repr=False)
    no_suppressions: bool = False

    @property
    def digest(self) -> str:
        """What a rehearsal and its import must share."""
        bars = self.suppressions or b""
        return hashlib.sha256(len(bars).to_bytes(8, "big") + bars + self.rows).hexdigest()


@dataclass
class Report:
    """What would happen, or what happened. `refused`: reason → row numbers, of which the first 50 are named."""

    rows: int = 0
    granted: int = 0
    new_people: int = 0
    barred: int = 0
    refused: dict[Refusal, list[int]] = field(default_factory=lambda: defaultdict(list))
    refused_bars: list[int] = field(default_factory=list)
    digest: str = ""
    is_rehearsal: bool = True

    def reasons(self) -> list[tuple[str, int, list[int]]]:
        """(reason, how many rows, the numbers of the first 50), most frequent first."""
        found = [(why.value, len(numbers), numbers[:_MOST_NUMBERS]) for why, numbers in self.refused.items()]
        return sorted(found, key=lambda reason: -reason[1])


def rehearse_import(ctx: Context, actor: Actor, files: Import) -> Report:
    """Say what importing these files would do; writes only that it was rehearsed. Raises InvalidInputError."""
    _check(actor, files)
    with ctx.db.reading() as conn:
        report = _Import(ctx, actor, files, conn, ctx.db.now(conn)).rehearse(conn)
    with ctx.db.transaction() as conn:
        body = {"digest": files.digest, **_counts(report)}
        record(conn, ctx.db.now(conn), Entry(kind="import.rehearsed", actor=actor.name, body=body))
    return report


def apply_import(ctx: Context, actor: Actor, files: Import) -> Report:
    """Import what was rehearsed, in slices of 500 rows: a crash leaves whole slices, and doing it again adds the rest.

    Raises InvalidInputError, and ConflictError when exactly these files were not rehearsed within a day.
    """
    _check(actor, files)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        if files.digest not in _rehearsed(conn, actor, now - _REHEARSAL_LASTS):
            raise ConflictError(
                "These are not the files you looked through. Nothing was imported; rehearse them first."
            )
        importing = _Import(ctx, actor, files, conn, now)
    report = importing.run()
    with ctx.db.transaction() as conn:
        body = {"digest": files.digest, **_counts(report)}
        record(conn, ctx.db.now(conn), Entry(kind="import.applied", actor=actor.name, body=body))
    return report


def _check(actor: Actor, files: Import) -> None:
    actor.must_be(Role.OFFICER)
    if not files.rows:
        raise InvalidInputError("Choose the file of people.", field="rows")
    if not files.suppressions and not files.no_suppressions:
        raise InvalidInputError(
            "First the people who must not be written to: choose that file, or say that there are none.",
            field="suppressions",
        )


def _rehearsed(conn: Connection, actor: Actor, since: int) -> set[str]:
    """Digests of the files this officer looked through since then."""
    query = select(audit_entry.c.body).where(
        audit_entry.c.kind == "import.rehearsed", audit_entry.c.at >= since, audit_entry.c.actor == actor.name
    )
    return {json.loads(body)["digest"] for body in conn.execute(query).scalars()}


def _counts(report: Report) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "granted": report.granted,
        "barred": report.barred,
        "refused": {why.name.lower(): len(numbers) for why, numbers in report.refused.items()},
    }


class _Import:
    """One run over both files."""

    def __init__(self, ctx: Context, actor: Actor, files: Import, conn: Connection, now: int) -> None:
        self.ctx, self.actor, self.files, self.now = ctx, actor, files, now
        self.house: House = read_house(conn)
        topics = consents.open_topics(conn)
        self.topics: dict[str, Row[Any]] = {topic.slug: topic for topic in topics}
        self.texts = consents.all_texts(conn, [topic.id for topic in topics])
        self.seen: set[tuple[bytes, str]] = set()
        self.new_bars: set[bytes] = set()
        self.new_people: set[bytes] = set()

    def rehearse(self, conn: Connection) -> Report:
        report = Report(digest=self.files.digest)
        for bars in self._bars(report):
            self._note_bars(bars)
        for people in self._people(report):
            self._sort(conn, people, report)
        report.new_people = len(self.new_people)
        return report

    def run(self) -> Report:
        report = Report(digest=self.files.digest, is_rehearsal=False)
        for bars in self._bars(report):
            with self.ctx.db.transaction() as conn:
                self._bar(conn, bars)
        for people in self._people(report):
            with self.ctx.db.transaction() as conn:
                self._store(conn, self._sort(conn, people, report))
        report.new_people = len(self.new_people)
        return report

    def _bars(self, report: Report) -> Iterable[list[Barred]]:
        usable: list[Barred] = []
        for row in read_bars(self.files.suppressions) if self.files.suppressions else ():
            if isinstance(row, Refused):
                report.refused_bars.append(row.number)
            else:
                usable.append(row)
        report.barred = len(usable)
        return _slices(usable)

    def _people(self, report: Report) -> Iterable[list[Given]]:
        usable: list[Given] = []
        for row in read_people(self.files.rows, self.house.locale, self.house.timezone, LOCALES, self.now):
            report.rows += 1
            why = row.why if isinstance(row, Refused) else self._fault(row)
            if why is not None:
                report.refused[why].append(row.number)
            elif isinstance(row, Given):
                usable.append(row)
        return _slices(usable)

    def _fault(self, row: Given) -> Refusal | None:
        topic = self.topics.get(row.topic)
        if topic is None:
            return Refusal.NO_TOPIC
        if topic.expires_days is not None and row.given + topic.expires_days * _DAY <= self.now:
            return Refusal.EXPIRED
        here = (self._address_key(row), row.topic)
        if here in self.seen:
            return Refusal.TWICE
        self.seen.add(here)
        return None

    def _address_key(self, row: Given | Barred) -> bytes:
        return self.ctx.keyring.blind("address", row.address.exact)

    def _mailbox_key(self, row: Given | Barred) -> bytes:
        return self.ctx.keyring.blind("mailbox", row.address.mailbox)

    def _note_bars(self, bars: Sequence[Barred]) -> None:
        self.new_bars |= {self._mailbox_key(bar) for bar in bars}

    def _bar(self, conn: Connection, bars: Sequence[Barred]) -> None:
        """Bar a slice of addresses, and withdraw what their owners had agreed to."""
        now = self.ctx.db.now(conn)
        rows = {self._mailbox_key(bar): bar for bar in bars}
        suppressions.put(
            conn,
            now,
            [suppressions.Bar(key, "mailbox", "imported", "officer", bar.reason) for key, bar in rows.items()],
        )
        people = [person.id for person in find_all(conn, [self._address_key(bar) for bar in bars]).values()]
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

    def _sort(self, conn: Connection, people: Sequence[Given], report: Report) -> list[Given]:
        """Those of a slice who may be granted; the others are counted by reason."""
        keys = {row.number: (self._address_key(row), self._mailbox_key(row)) for row in people}
        barred = {bar.key for bar in suppressions.live(conn, {key for pair in keys.values() for key in pair})}
        known = find_all(conn, [address for address, _ in keys.values()])
        states = {
            (held.contact, held.topic): held.state
            for held in consents.held(conn, [person.id for person in known.values()])
        }
        good = []
        for row in people:
            address, mailbox = keys[row.number]
            person = known.get(address)
            state = states.get((person.id, self.topics[row.topic].id), "none") if person else "none"
            if {address, mailbox} & (barred | self.new_bars):
                report.refused[Refusal.BARRED].append(row.number)
            elif state in {"withdrawn", "expired"}:
                report.refused[Refusal.ASKED_NOT_TO].append(row.number)
            elif state in {"granted", "paused"}:
                report.refused[Refusal.ALREADY].append(row.number)
            else:
                good.append(row)
                if person is None:
                    self.new_people.add(address)
        report.granted += len(good)
        return good

    def _store(self, conn: Connection, people: Sequence[Given]) -> None:
        if not people:
            return
        now = self.ctx.db.now(conn)
        keys = ContactKeys(self.ctx.keyring, conn)
        newcomers = [Newcomer(row.address, row.locale, row.timezone, row.fields) for row in people]
        known = ensure_contacts(conn, self.ctx.keyring, keys, newcomers, now=now)
        changes = [self._change(row, known[self._address_key(row)].id) for row in people]
        apply_changes(conn, self.ctx, now, actor=self.actor, changes=changes)

    def _change(self, row: Given, contact_id: int) -> Change:
        text = self._text(row)
        return Change(
            contact=contact_id,
            topic=self.topics[row.topic].id,
            event=Event.IMPORTED,
            text=text.id,
            agreed=row.given,
            evidence={
                "source": row.source,
                "given": row.given,
                "wording": row.text,
                "is_our_text": text.wording == row.text,
                "import": self.files.digest,
                "row": row.number,
                "actor": self.actor.name,
            },
        )

    def _text(self, row: Given) -> Row[Any]:
        """The published text these words are, with its promise; for other words the tightest promise we ever made."""
        texts = self.texts[self.topics[row.topic].id]
        same = [text for text in texts if text.wording == row.text]
        wanted = preferred_locales(row.locale, self.house)
        rank = {locale: place for place, locale in reversed(list(enumerate(wanted)))}
        return min(
            same or texts, key=lambda text: (text.cap_n / text.cap_window, rank.get(text.locale, 9), -text.version)
        )


def _slices(rows: list[Any]) -> Iterable[list[Any]]:
    iterator = iter(rows)
    while part := list(islice(iterator, _SLICE)):
        yield part
