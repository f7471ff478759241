"""Mails whose outcome nobody knows, in groups that had one cause, with what is on record; and ruling on a whole group.

A ruling is final and sends nothing: a mail that is ruled lost is failed, and its campaign never goes to that person
again (promise 5). One that is left may be ruled on later.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.store import unknown
from outreach.store.audit import Entry, record
from outreach.store.unknown import MOST, Held

GAP = 15 * 60_000_000
"""Microseconds without such a failure after which the next begins another group."""

LISTED = 200
"""Mails of a group that are shown one by one."""


class Ruling(StrEnum):
    """What an officer says of a group."""

    ARRIVED = "arrived"
    LOST = "lost"
    LEFT = "left"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail of a group. `message_id`: how the relay's own log knows it; empty where its sender is not on record."""

    ref: bytes
    contact: bytes
    message_id: str
    about: str
    provider: str
    at: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Mails that failed at one relay, with the same words, without a pause. Instants in UTC microseconds.

    `key`: stands for just these mails, 16 bytes; `relay`: that they were handed to, or the sender's, or empty;
    `words`: what ended the attempts; `about`, `providers`: names and counts; `mails`: the first of them;
    `neighbours`: what became of other attempts recorded around these.
    """

    key: bytes
    relay: str
    words: str
    count: int
    first: int
    last: int
    began: int
    workers: int
    about: tuple[tuple[str, int], ...]
    providers: tuple[tuple[str, int], ...]
    mails: tuple[Mail, ...]
    neighbours: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Waiting:
    """`groups` wait for a ruling, `left` were looked at and left. `is_cut`: there are more than are read at once."""

    groups: tuple[Group, ...]
    left: tuple[Group, ...]
    is_cut: bool


def see_unknown(ctx: Context, actor: Actor) -> Waiting:
    """Every group, oldest first."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        held = unknown.held(conn)
        groups = [_view(conn, one) for one in _groups([one for one in held if not one.is_left])]
        left = [_view(conn, one) for one in _groups([one for one in held if one.is_left])]
        return Waiting(tuple(groups), tuple(left), len(held) >= MOST)


def see_group(ctx: Context, actor: Actor, key: bytes) -> Group:
    """The group `key`. Raises NotFoundError when its mails were ruled on, or others have joined them."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return _view(conn, _find(conn, key))


def rule_on_group(ctx: Context, actor: Actor, key: bytes, ruling: str, reason: str) -> int:
    """Say of all mails of a group what became of them. Returns how many.

    Raises InvalidInputError (field "ruling" or "reason"), NotFoundError as `see_group`, and ConflictError when
    somebody else ruled on them a moment ago.
    """
    actor.must_be(Role.OFFICER)
    if ruling not in set(Ruling):
        raise InvalidInputError("Say what became of these mails.", field="ruling")
    said = check_reason(reason, "how you know", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        group = _find(conn, key)
        ids = [one.id for one in group]
        body = {"ruling": ruling, "mails": len(ids), "group": key.hex(), "reason": said}
        record(conn, now, Entry(kind="unknown.ruled", actor=actor.name, body=body))
        if ruling == Ruling.LEFT:
            unknown.note_ruling(conn, now, ids, ruling)
        elif unknown.settle_ruled(conn, now, ids, ruling, actor.name, {"group": key.hex()}) != len(ids):
            raise ConflictError("Somebody else ruled on some of these mails a moment ago. Nothing was changed.")
        return len(ids)


def _find(conn: Connection, key: bytes) -> list[Held]:
    held = unknown.held(conn)
    for one in (*_groups([one for one in held if not one.is_left]), *_groups([one for one in held if one.is_left])):
        if _key(one) == key:
            return one
    raise NotFoundError("This group is not what it was: its mails were ruled on, or more came. Look at the list again.")


def _groups(held: Sequence[Held]) -> Iterator[list[Held]]:
    """Split what ended in order of time by relay and words, and wherever there is a pause."""
    open_groups: dict[tuple[str, str], list[Held]] = {}
    done: list[list[Held]] = []
    for one in held:
        group = open_groups.get((one.relay, one.reply))
        if group is not None and one.at - group[-1].at <= GAP:
            group.append(one)
            continue
        open_groups[one.relay, one.reply] = fresh = [one]
        done.append(fresh)
    yield from done


def _key(group: Sequence[Held]) -> bytes:
    return hashlib.sha256(b"".join(sorted(one.ref for one in group))).digest()[:16]


def _view(conn: Connection, group: Sequence[Held]) -> Group:
    return Group(
        key=_key(group),
        relay=group[0].relay,
        words=addresses.scrub(group[0].reply),
        count=len(group),
        first=group[0].at,
        last=group[-1].at,
        began=min(one.began for one in group),
        workers=len({one.worker for one in group if one.worker}),
        about=tuple(Counter(one.campaign or one.origin for one in group).most_common()),
        providers=tuple(Counter(one.provider for one in group).most_common()),
        mails=tuple(_mail(one) for one in group[:LISTED]),
        neighbours=tuple(unknown.neighbours(conn, [one.attempt for one in group]).items()),
    )


def _mail(one: Held) -> Mail:
    return Mail(
        ref=one.ref,
        contact=one.contact,
        message_id=f"{one.ref.hex()}@{one.domain}" if one.domain else "",
        about=one.campaign or one.origin,
        provider=one.provider,
        at=one.at,
    )
