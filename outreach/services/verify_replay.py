"""Replays the log: consents and messages, rebuilt from entries alone, must be what the tables say."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from outreach.domain.consent import GIVING, LIVE, Event, State, transition
from outreach.domain.errors import ConflictError
from outreach.domain.message import FINAL
from outreach.services.findings import Findings
from outreach.store import audit_replay

_GIVING = frozenset(f"consent.{event}" for event in GIVING)
_PASSING = frozenset({"deferred", "unknown"})
"""Outcomes after which a message may still come to another."""


@dataclass
class Replayed:
    """How much was compared."""

    contacts: int = 0
    consents: int = 0
    messages: int = 0
    events: int = 0


@dataclass
class _Standing:
    """Where the log leaves one person and topic, and at which entry."""

    state: str = State.NONE
    entry: int | None = None
    text: str | None = None


@dataclass
class _Range:
    """What the entries about a range of contacts add up to."""

    erased: dict[bytes, int] = field(default_factory=dict)
    consents: dict[tuple[bytes, bytes], _Standing] = field(default_factory=dict)
    events: dict[bytes, tuple[Any, dict[str, Any]]] = field(default_factory=dict)
    messages: dict[bytes, list[tuple[Any, dict[str, Any]]]] = field(default_factory=dict)


def check_replay(conn: Connection, findings: Findings) -> Replayed:
    """Compare contact by contact, in ranges of refs, so that memory does not grow with the log."""
    done = Replayed()
    for row in audit_replay.replayed_without_contact(conn):
        findings.add(f"{row.kind} names no contact", row.position)
    for after, upto, entries in audit_replay.replayed_entries(conn):
        findings.must_hurry()
        done.contacts += len({row.contact for row in entries})
        try:
            known = _gather(entries, findings)
            _check_consents(audit_replay.consents(conn, after, upto), known, findings, done)
            _check_events(conn, audit_replay.consent_events(conn, after, upto), known, findings, done)
            _check_messages(audit_replay.messages(conn, after, upto), known, findings, done)
        except (AttributeError, TypeError):  # SQLite lets a column hold a value of another type
            where = f"after {after.hex()}" if after else "from the first"
            findings.add(f"a table about contacts {where} on holds a value that cannot be read; they were not compared")
    if (held := audit_replay.count_consent_events(conn)) != done.events:
        findings.add(f"{held - done.events} consent events of erased people have no entry in the log")
    return done


def _gather(entries: Iterable[Any], findings: Findings) -> _Range:
    known = _Range()
    for row in entries:
        body = read_body(row, findings)
        if row.kind == "contact.erased":
            known.erased[row.contact] = row.id
            continue
        if row.contact in known.erased:
            findings.add(f"{row.kind} comes after the same contact was erased", row.position)
        if row.kind.startswith("message."):
            known.messages.setdefault(row.message or b"", []).append((row, body))
        else:
            _follow(row, body, known, findings)
    return known


def read_body(row: Any, findings: Findings) -> dict[str, Any]:
    """What an entry says; a finding, and nothing, when it cannot be read."""
    try:
        body = json.loads(row.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        findings.add("its body is not readable", row.position)
        return {}
    return body


def _follow(row: Any, body: dict[str, Any], known: _Range, findings: Findings) -> None:
    """One consent entry: it must start where the last one ended, and the machine must allow it."""
    standing = known.consents.setdefault((row.contact, row.topic or b""), _Standing())
    before, after = str(body.get("from")), str(body.get("to"))
    if before != standing.state:
        findings.add(f"{row.kind} starts from {before}, but the log had come to {standing.state}", row.position)
    if not _allowed(row.kind.partition(".")[2], before, after):
        findings.add(f"{row.kind} cannot lead from {before} to {after}", row.position)
    standing.state, standing.entry = after, row.position
    if row.kind in _GIVING:
        standing.text = body.get("text")
    try:
        known.events[bytes.fromhex(str(body.get("event")))] = (row, body)
    except ValueError:
        findings.add(f"{row.kind} names no consent event", row.position)


def _allowed(event: str, before: str, after: str) -> bool:
    try:
        return transition(State(before), Event(event), State(after)) == after
    except (ConflictError, ValueError):
        return False


def _check_consents(rows: Iterable[Any], known: _Range, findings: Findings, done: Replayed) -> None:
    for row in rows:
        done.consents += 1
        standing = known.consents.pop((row.contact, row.topic), _Standing())
        whose = f"for contact {row.contact.hex()} and topic {row.topic.hex()}"
        if row.contact in known.erased:
            findings.add(f"a consent is kept {whose}, who was erased", standing.entry)
        elif row.state != standing.state:
            findings.add(f"the log comes to {standing.state} {whose}, the table says {row.state}", standing.entry)
        elif row.state in LIVE and (row.text.hex() if row.text else None) != standing.text:
            findings.add(f"the table names another consent text than was agreed to {whose}", standing.entry)
    for (contact, topic), standing in known.consents.items():
        if standing.state != State.NONE and contact not in known.erased:
            whose = f"for contact {contact.hex()} and topic {topic.hex()}"
            findings.add(f"the log comes to {standing.state} {whose}, the table has no row", standing.entry)


def _check_events(conn: Connection, rows: Iterable[Any], known: _Range, findings: Findings, done: Replayed) -> None:
    for row in rows:
        _check_event(row, known, findings, done)
    for row in audit_replay.consent_events_named(conn, list(known.events)):
        if row.contact is None:
            _check_event(row, known, findings, done)
    for entry, _ in known.events.values():
        findings.add(f"{entry.kind}: its consent event is missing from the table, or another person's", entry.position)


def _check_event(row: Any, known: _Range, findings: Findings, done: Replayed) -> None:
    done.events += 1
    entry, body = known.events.pop(row.ref, (None, {}))
    if entry is None:
        findings.add(f"the consent event {row.ref.hex()} ({row.event}) has no entry in the log")
        return
    stored = (row.event, row.from_state, row.to_state, row.text.hex() if row.text else None, row.topic, row.at)
    logged = (entry.kind.partition(".")[2], body.get("from"), body.get("to"), body.get("text"), entry.topic, entry.at)
    if stored != logged or row.contact not in {None, entry.contact}:
        findings.add(f"{entry.kind}: its consent event in the table was changed", entry.position)


def _check_messages(rows: Iterable[Any], known: _Range, findings: Findings, done: Replayed) -> None:
    for row in rows:
        done.messages += 1
        _check_message(row, known.messages.pop(row.ref, []), findings)
    for entries in known.messages.values():
        entry = entries[-1][0]
        if entry.contact not in known.erased:
            findings.add(f"{entry.kind}: the message is missing from the table, or another person's", entry.position)


def _check_message(row: Any, entries: list[tuple[Any, dict[str, Any]]], findings: Findings) -> None:
    """The entries of a message: any number that pass, then one that ends it and agrees with its row."""
    name = f"message {row.ref.hex()}"
    for entry, _ in entries[:-1]:
        if entry.kind.partition(".")[2] not in _PASSING:
            findings.add(f"{name} was settled more than once", entry.position)
    if not entries:
        if row.state in FINAL:
            findings.add(f"{name} is {row.state}, but no entry in the log says so")
        return
    last, body = entries[-1]
    said = last.kind.partition(".")[2]
    if row.state not in FINAL:
        if said not in _PASSING:
            findings.add(f"the log says {name} was {said}, the table says {row.state}", last.position)
    elif said != row.state:
        findings.add(f"the log says {name} was {said}, the table says {row.state}", last.position)
    elif body.get("reason") != row.reason:
        findings.add(f"{name} was {said} for another reason than the table says", last.position)
    elif said == "sent" and body.get("attempt", row.attempts) != row.attempts:
        findings.add(f"{name} took another number of attempts than the table says", last.position)
