"""The shared inbox: which conversations wait and for how long, and one of them, opened by a press the log keeps.

No list opens a box. What people wrote is shown for an hour to a member of staff who pressed, and each such opening is
an entry; looking again within the hour is not another. Addresses are masked in everything that is shown.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.conversations import Mark, waited
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.services.context import Context
from outreach.services.conversations.colleagues import Colleague, colleagues, must_read
from outreach.services.conversations.posting import file_name, note
from outreach.store import consents, suppressions
from outreach.store import conversations as store
from outreach.store import public_answers as topics_store
from outreach.store.boxes import ContactKeys

PAGE = 50
OPEN_FOR = 3_600_000_000
"""Microseconds a member of staff may read on after opening a conversation."""

TABS = ("waiting", "mine", "unassigned", "open", "closed")


class NotOpenError(ConflictError):
    """Read before it was opened, or more than an hour after."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A conversation in the list. `waits`: "waiting 3 days", or ""; instants in UTC microseconds."""

    ref: bytes
    code: str
    topic: str
    campaign: str
    via: str
    opened: int
    closed: int | None
    waits: str
    mark: str
    tags: tuple[str, ...]
    staff: str
    is_held: bool


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """A page of it. `counts`: by tab; `topics`: hexadecimal ref → name; `tags`: those in use."""

    lines: tuple[Line, ...]
    counts: dict[str, int]
    topics: dict[str, str]
    tags: tuple[str, ...]
    page: int
    pages: int


@dataclass(frozen=True)
class FileView:
    """A file that came with a post; `is_kept`: it can be downloaded."""

    ref: bytes
    name: str
    octets: int
    is_kept: bool


@dataclass(frozen=True, kw_only=True)
class PostView:
    """One thing said or noted. `author`: a colleague's name, or ""; a note of nobody's: the person stopped the mails of
    this conversation; `mail`: what became of an answer's mail; `is_unproved`: it bears their address, and nobody
    vouches that it is theirs."""

    kind: str
    at: int
    author: str
    subject: str
    text: str
    quoted: str
    is_cut: bool
    is_foreign: bool
    is_unproved: bool
    mail: str
    files: tuple[FileView, ...]


@dataclass(frozen=True, kw_only=True)
class ConversationView:
    """One conversation. Without `is_read` nothing personal is in it: no name, masked address, post or tag.

    `name`: as the person gave it; `seen`: names what was said last, for whoever answers; `readers`: colleagues who have
    it open, with when they opened it; `can_mail`: nothing bars mail to the person, nor did they stop the mails of
    it.
    """

    ref: bytes
    code: str
    topic: str
    campaign: str
    campaign_ref: str
    via: str
    opened: int
    waits: str
    answered: int | None
    closed: int | None
    mark: str
    tags: tuple[str, ...]
    staff: Colleague | None
    is_mine: bool
    is_held: bool
    can_mail: bool
    is_read: bool
    name: str
    masked: str
    seen: str
    posts: tuple[PostView, ...]
    readers: tuple[tuple[str, int], ...]
    choices: tuple[Colleague, ...]


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """What a list is narrowed to: hexadecimal refs, a tag, a mark; "" for anything."""

    topic: str = ""
    campaign: str = ""
    tag: str = ""
    mark: str = ""


EVERYTHING = Narrowed()


def see_inbox(ctx: Context, actor: Actor, which: str = "waiting", to: Narrowed = EVERYTHING, page: int = 1) -> Inbox:
    """A page of one tab, what waits longest first. Raises NotFoundError for a tab there is not."""
    staff_id = must_read(actor)
    if which not in TABS:
        raise NotFoundError("There is no such list of conversations.")
    mark = to.mark if to.mark in set(Mark) else ""
    chosen: dict[str, Any] = {"topic": _ref(to.topic), "campaign": _ref(to.campaign), "tag": to.tag, "mark": mark}
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        wanted = store.Wanted(which=which, staff=staff_id, **chosen)
        pages = max(1, -(-store.count(conn, wanted) // PAGE))
        page = min(max(1, page), pages)
        rows = store.listed(conn, wanted, offset=(page - 1) * PAGE, limit=PAGE)
        staff, tags = colleagues(conn, ctx), store.tags(conn, [row.id for row in rows])
        return Inbox(
            lines=tuple(_line(row, now, staff, tags[row.id]) for row in rows),
            counts={tab: store.count(conn, store.Wanted(which=tab, staff=staff_id, **chosen)) for tab in TABS},
            topics={row.ref.hex(): row.name for row in topics_store.topics(conn)},
            tags=tuple(store.used_tags(conn)),
            page=page,
            pages=pages,
        )


def see_conversation(ctx: Context, actor: Actor, ref: bytes) -> ConversationView:
    """One of them; its words only within an hour of opening it. Changes nothing. Raises NotFoundError."""
    staff_id = must_read(actor)
    with ctx.db.reading() as conn:
        row = found(store.by_ref(conn, ref))
        now = ctx.db.now(conn)
        return _view(conn, ctx, now, row, staff_id)


def open_conversation(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Open one to read it: the log keeps that it was, once an hour for each reader. Raises NotFoundError."""
    staff_id = must_read(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = found(store.by_ref(conn, ref, lock=True))
        if staff_id not in store.openings(conn, row.id, now - OPEN_FOR):
            store.note_opening(conn, now, row.id, staff_id)
            note(conn, now, actor.name, row, "conversation.read")


def read_file(ctx: Context, actor: Actor, ref: bytes, file_ref: bytes) -> tuple[str, bytes]:
    """(name, octets) of a file in a conversation one has open. Raises NotFoundError, NotOpenError."""
    staff_id = must_read(actor)
    with ctx.db.reading() as conn:
        row = found(store.by_ref(conn, ref))
        if staff_id not in store.openings(conn, row.id, ctx.db.now(conn) - OPEN_FOR):
            raise NotOpenError("Open the conversation first.")
        one = store.file(conn, row.id, file_ref)
        keys = ContactKeys(ctx.keyring, conn)
        content = keys.text(row.contact, one.content_box) if one is not None else None
        if one is None or content is None:
            raise NotFoundError("This file is not kept.")
        name = addresses.scrub(keys.text(row.contact, one.name_box) or "")
        return file_name(name), b64decode(content)


def found(row: store.ConversationRow | None) -> store.ConversationRow:
    """`row`. Raises NotFoundError where there is none."""
    if row is None:
        raise NotFoundError("There is no such conversation.")
    return row


def _ref(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


def _line(row: store.ConversationRow, now: int, staff: Mapping[int, Colleague], tags: Sequence[str]) -> Line:
    return Line(
        ref=row.ref,
        code=row.code,
        topic=row.topic_name or "",
        campaign=row.campaign_name or "",
        via=row.via,
        opened=row.opened,
        closed=row.closed,
        waits=_waits(row, now),
        mark=row.mark or "",
        tags=tuple(tags),
        staff=staff[row.staff].name if row.staff is not None else "",
        is_held=row.is_held,
    )


def _waits(row: store.ConversationRow, now: int) -> str:
    return waited(row.waiting, now) if row.closed is None and row.waiting is not None else ""


def _view(conn: Connection, ctx: Context, now: int, row: store.ConversationRow, staff_id: int) -> ConversationView:
    staff = colleagues(conn, ctx)
    openings = store.openings(conn, row.id, now - OPEN_FOR)
    is_read = row.is_held and staff_id in openings
    keys = ContactKeys(ctx.keyring, conn)
    exact = keys.text(row.contact, row.address_box) if is_read else None
    last = store.last_spoken(conn, row.id)
    return ConversationView(
        ref=row.ref,
        code=row.code,
        topic=row.topic_name or "",
        campaign=row.campaign_name or "",
        campaign_ref=row.campaign_ref.hex() if row.campaign_ref else "",
        via=row.via,
        opened=row.opened,
        waits=_waits(row, now),
        answered=row.answered,
        closed=row.closed,
        mark=row.mark or "",
        tags=tuple(store.tags(conn, [row.id])[row.id]),
        staff=staff.get(row.staff),
        is_mine=row.staff == staff_id,
        is_held=row.is_held,
        can_mail=row.is_held
        and store.stopped(conn, row.id) is None
        and not suppressions.live(conn, consents.bar_keys(conn, row.contact)),
        is_read=is_read,
        name=addresses.scrub(str(keys.facts(row.contact, row.fields_box).get("name", ""))) if is_read else "",
        masked=addresses.mask(exact) if exact else "",
        seen=last.ref.hex() if last is not None else "",
        posts=_posts(conn, keys, row, staff) if is_read else (),
        readers=tuple((staff[one].name, at) for one, at in sorted(openings.items()) if one != staff_id),
        choices=tuple(sorted((one for one in staff.values() if one.answers), key=lambda one: one.name)),
    )


def _posts(
    conn: Connection, keys: ContactKeys, row: store.ConversationRow, staff: Mapping[int, Colleague]
) -> tuple[PostView, ...]:
    files: dict[int, list[FileView]] = {}
    for one in store.files(conn, [row.id]):
        name = addresses.scrub(keys.text(row.contact, one.name_box) or "")
        files.setdefault(one.post, []).append(FileView(one.ref, name, one.octets, one.is_kept))
    return tuple(
        _post(post, keys.facts(row.contact, post.words_box), staff, files.get(post.id, []))
        for post in store.posts(conn, [row.id])
    )


def _post(
    post: store.PostRow, words: Mapping[str, str], staff: Mapping[int, Colleague], files: Sequence[FileView]
) -> PostView:
    shown = {name: addresses.scrub(str(words.get(name, ""))) for name in ("subject", "text", "quoted")}
    return PostView(
        kind=post.kind,
        at=post.at,
        author=staff[post.staff].name if post.staff is not None else "",
        is_cut=bool(words.get("cut")),
        is_foreign=bool(post.is_foreign),
        is_unproved=bool(words.get("unproved")),
        mail=post.mail_state or "",
        files=tuple(files),
        **shown,
    )
