"""How one contact stood at any past moment, replayed from the log as it was written by then. No address is read.

Consents and mails follow from entries alone, so it answers for the erased too. Bars stand on keys of the address, which
erasing destroys: of the erased they are told by the log's own entries only.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.consent import GIVING
from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.domain.frequency import SECOND
from outreach.domain.policies import CAPS, caps_of
from outreach.services.bars import BarView, bars_on
from outreach.services.context import Context
from outreach.store.policies import values_at
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.people import contact, mailbox

_GIVING = frozenset(f"consent.{event}" for event in GIVING)
WEEK, MONTH = 7 * 86_400 * SECOND, 30 * 86_400 * SECOND


@dataclass(frozen=True, kw_only=True)
class ConsentThen:
    """A consent as it stood. `wording`: the text agreed to, empty where none was; `cap`: its promise (n, seconds).

    `soft_from`: of the purchase it stood on, where it was none, but held to the promise of the text.
    """

    topic: bytes
    topic_name: str
    state: str
    since: int
    wording: str
    version: int | None
    cap: tuple[int, int] | None
    entry: int
    soft_from: int | None


@dataclass(frozen=True, kw_only=True)
class CapThen:
    """A cap of the organisation's that was in force."""

    scope: str
    n: int
    window: int


@dataclass(frozen=True, kw_only=True)
class StateAsOf:
    """One contact at `at` (UTC microseconds). `mails`: (state, reason) → how many had come to that; `open`: not yet.

    `week`, `month`: accepted in the 7 and 30 days before; `entries`: how many of the log were replayed, `newest`:
    the id of the last of them.
    """

    contact: bytes
    at: int
    is_erased: bool
    consents: tuple[ConsentThen, ...]
    bars: tuple[BarView, ...]
    caps: tuple[CapThen, ...]
    mails: tuple[tuple[str, str, int], ...]
    open: int
    week: int
    month: int
    entries: int
    newest: int | None


def state_as_of(ctx: Context, actor: Actor, ref: bytes, at: int) -> StateAsOf:
    """How the contact `ref` stood at `at`. Writes nothing. Raises NotFoundError, InvalidInputError for the future."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        if at >= ctx.db.now(conn) + SECOND:
            raise InvalidInputError("That moment has not come yet.", field="at")
        rows = _entries(conn, ref, at)
        person = conn.execute(
            select(contact.c.id, contact.c.address_key, mailbox.c.id.label("mailbox"), mailbox.c.mailbox_key)
            .join(mailbox, mailbox.c.id == contact.c.mailbox)
            .where(contact.c.ref == ref)
        ).one_or_none()
        if person is None and not rows:
            raise NotFoundError("Neither a contact nor an entry of the log has this reference.")
        ends = _ends(rows)
        sent = [end.at for end in ends.values() if end.kind == "message.sent"]
        counts = Counter((end.kind.partition(".")[2], _reason(end)) for end in ends.values())
        return StateAsOf(
            contact=ref,
            at=at,
            is_erased=any(row.kind == "contact.erased" for row in rows),
            consents=tuple(_consents(conn, rows)),
            bars=tuple(_bars(conn, person, at)),
            caps=tuple(_caps(conn, at)),
            mails=tuple((state, reason, n) for (state, reason), n in counts.most_common()),
            open=0 if person is None else _open(conn, person, at, set(ends)),
            week=sum(one > at - WEEK for one in sent),
            month=sum(one > at - MONTH for one in sent),
            entries=len(rows),
            newest=rows[-1].id if rows else None,
        )


def _entries(conn: Connection, ref: bytes, at: int) -> Sequence[Any]:
    query = select(audit_entry).where(audit_entry.c.contact == ref, audit_entry.c.at <= at)
    return conn.execute(query.order_by(audit_entry.c.id)).all()


def _ends(rows: Iterable[Any]) -> dict[bytes, Any]:
    """The last entry of each message that says what it came to."""
    ends = {}
    for row in rows:
        if row.kind in {"message.sent", "message.withheld", "message.failed", "message.unknown"} and row.message:
            ends[row.message] = row
    return ends


def _reason(row: Any) -> str:
    return json.loads(row.body).get("reason") or ""


def _consents(conn: Connection, rows: Iterable[Any]) -> list[ConsentThen]:
    standing: dict[bytes, dict[str, Any]] = {}
    for row in rows:
        if row.kind == "contact.erased":
            standing.clear()
        if not row.kind.startswith("consent.") or not row.topic:
            continue
        body = json.loads(row.body)
        one = standing.setdefault(row.topic, {"state": "none", "text": None})
        if body.get("to") != one["state"] or row.kind in _GIVING:
            one["since"] = row.at
        one["state"], one["entry"] = str(body.get("to")), row.id
        one.setdefault("since", row.at)
        if row.kind in _GIVING:
            one["text"], one["soft_from"] = body.get("text"), body.get("dated")
    names = {
        row.ref: row.name for row in conn.execute(select(topic.c.ref, topic.c.name).where(topic.c.ref.in_(standing)))
    }
    texts = _texts(conn, [one["text"] for one in standing.values() if one["text"]])
    return [_consent(ref, names.get(ref, ""), one, texts.get(one["text"])) for ref, one in standing.items()]


def _consent(ref: bytes, name: str, one: dict[str, Any], words: Any | None) -> ConsentThen:
    return ConsentThen(
        topic=ref,
        topic_name=name,
        state=one["state"],
        since=one["since"],
        wording=words.wording if words else "",
        version=words.version if words else None,
        cap=(words.cap_n, words.cap_window) if words else None,
        entry=one["entry"],
        soft_from=one.get("soft_from"),
    )


def _texts(conn: Connection, refs: Sequence[str]) -> dict[str | None, Any]:
    found = conn.execute(select(consent_text).where(consent_text.c.ref.in_([bytes.fromhex(ref) for ref in refs])))
    return {row.ref.hex(): row for row in found}


def _bars(conn: Connection, person: Any | None, at: int) -> list[BarView]:
    if person is None:
        return []
    bars = bars_on(conn, (person.address_key, person.mailbox_key))
    return [bar for bar in bars if bar.since <= at and (bar.lifted is None or bar.lifted > at)]


def _caps(conn: Connection, at: int) -> list[CapThen]:
    values = values_at(conn, at, *CAPS)
    return [
        CapThen(scope=scope, n=cap.n, window=cap.window)
        for name, scope in CAPS.items()
        for cap in caps_of(values[name])
    ]


def _open(conn: Connection, person: Any, at: int, ended: set[bytes]) -> int:
    """Mails that were planned by then and had come to no end."""
    query = select(message.c.ref).where(
        message.c.mailbox == person.mailbox, message.c.contact == person.id, message.c.planned <= at
    )
    return sum(ref not in ended for ref in conn.execute(query).scalars())
