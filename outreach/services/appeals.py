"""A suspended member's appeal: what they read, what they may write, and how an officer reads and answers it."""

import json
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services import suspension
from outreach.services.context import Context
from outreach.services.invitation_desk import settle_appeal
from outreach.services.reasons import check_reason
from outreach.store import invitation_desk, members
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.members import MemberRow
from outreach.store.schema.members import appeal, member

LONGEST_APPEAL = 1000
LIFTED, KEPT = "lifted", "kept"


@dataclass(frozen=True, kw_only=True)
class OwnAppeal:
    """An appeal as its writer reads it. `answer`: lifted, kept, or "" while nobody has answered."""

    at: int
    words: str
    answered: int | None
    answer: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Whether a member's inviting is suspended. `since`: UTC microseconds, None when it is not.

    `why`: reports, refusals or officer; `reason`: the officer's words, or "". `appeals`: newest first.
    """

    since: int | None
    why: str
    reason: str
    can_appeal: bool
    appeals: tuple[OwnAppeal, ...]


@dataclass(frozen=True, kw_only=True)
class AppealView:
    """An appeal as an officer finds it, unopened: whose it is (ref and code) and when it was written."""

    ref: bytes
    member: bytes
    code: str
    at: int
    is_open: bool


def see_standing(ctx: Context, actor: Actor) -> Standing:
    """What a member is told about their own inviting."""
    member_id = actor.must_be_member()
    with ctx.db.reading() as conn:
        row = _by_id(conn, member_id)
        keys = ContactKeys(ctx.keyring, conn)
        written = invitation_desk.appeals(conn, member_id)
        is_suspended = row.suspended is not None
        return Standing(
            since=row.suspended,
            why=row.suspended_for or "",
            reason=_officers_reason(conn, row) if is_suspended else "",
            can_appeal=is_suspended and all(one.answered is not None for one in written),
            appeals=tuple(
                OwnAppeal(
                    at=one.at,
                    words=keys.text(row.contact, one.words_box) or "",
                    answered=one.answered,
                    answer=one.answer or "",
                    reason=one.reason,
                )
                for one in written
            ),
        )


def write_appeal(ctx: Context, actor: Actor, words: str) -> bytes:
    """Ask an officer to look again. Returns the appeal's ref.

    Raises InvalidInputError (field "words") unless it has 1 to 1,000 characters, ConflictError when inviting is not
    suspended or an earlier appeal waits.
    """
    member_id = actor.must_be_member()
    plain = _plain(words)
    if not 0 < len(plain) <= LONGEST_APPEAL:
        raise InvalidInputError(f"Write 1 to {LONGEST_APPEAL} characters. Nothing was sent.", field="words")
    with ctx.db.transaction() as conn:
        held = conn.execute(select(member.c.suspended).where(member.c.id == member_id).with_for_update()).scalar_one()
        now, row = ctx.db.now(conn), _by_id(conn, member_id)
        if held is None:
            raise ConflictError("Your inviting is not suspended. Nothing was sent.")
        if invitation_desk.open_appeal(conn, member_id) is not None:
            raise ConflictError("Your earlier appeal has not been answered yet. Nothing was sent.")
        ref = secrets.token_bytes(16)
        box = ContactKeys(ctx.keyring, conn).seal(row.contact, plain)
        conn.execute(insert(appeal).values(ref=ref, member=member_id, at=now, words_box=box))
        _record(conn, now, "member.appealed", actor, row, ref)
        return ref


def see_appeal(ctx: Context, actor: Actor, ref: bytes) -> AppealView:
    """An appeal an officer may read. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        found, row = _appeal(conn, ref)
        return AppealView(ref=ref, member=row.ref, code=row.code, at=found.at, is_open=found.answered is None)


def read_appeal(ctx: Context, actor: Actor, ref: bytes) -> str:
    """The member's words, for an officer; that they were read is in the log. Raises NotFoundError, also once erased."""
    actor.must_be(Role.OFFICER)
    with ctx.db.transaction() as conn:
        found, row = _appeal(conn, ref)
        words = ContactKeys(ctx.keyring, conn).text(row.contact, found.words_box)
        if words is None:
            raise NotFoundError("The words of this appeal were erased with the person.")
        _record(conn, ctx.db.now(conn), "member.appeal-read", actor, row, ref)
        return words


def answer_appeal(ctx: Context, actor: Actor, ref: bytes, answer: str, reason: str) -> None:
    """Answer an appeal: LIFTED lets the member invite again, KEPT leaves it. The member reads the reason.

    Raises NotFoundError, InvalidInputError (field "reason"), ConflictError when it was answered already.
    """
    actor.must_be(Role.OFFICER)
    if answer not in {LIFTED, KEPT}:
        raise InvalidInputError("Choose one of the two answers. Nothing was changed.", field="answer")
    said = check_reason(reason, "why", "The appeal is not answered yet.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        _, row = _appeal(conn, ref)
        settle_appeal(conn, now, row, ref, answer, said, actor)
        if answer == LIFTED:
            suspension.restore(conn, now, row, actor, said={"reason": said, "appeal": ref.hex()})


def _plain(words: str) -> str:
    """Line by line, with a space for every sign that cannot be seen and joins nothing."""
    lines = ("".join(sign if _is_plain(sign) else " " for sign in line).rstrip() for line in words.splitlines())
    return "\n".join(lines).strip()


def _is_plain(sign: str) -> bool:
    return sign.isprintable() or sign in "\u200c\u200d"  # Persian words and joined emoji need these two


def _by_id(conn: Connection, member_id: int) -> MemberRow:
    row = members.by_id(conn, member_id)
    if row is None:
        raise NotFoundError("There is no such account.")
    return row


def _appeal(conn: Connection, ref: bytes) -> tuple[MemberRow, MemberRow]:
    found = conn.execute(select(appeal).where(appeal.c.ref == ref)).one_or_none()
    if found is None:
        raise NotFoundError("There is no such appeal.")
    return found, _by_id(conn, found.member)


def _officers_reason(conn: Connection, row: MemberRow) -> str:
    """Why an officer suspended them, from the log; "" when the rules did."""
    if row.suspended_for != "officer":
        return ""
    entries = invitation_desk.entries_about(conn, row.contact_ref, ["member.suspended"])
    return str(json.loads(entries[-1].body).get("reason", "")) if entries else ""


def _record(conn: Connection, now: int, kind: str, actor: Actor, row: MemberRow, ref: bytes) -> None:
    body = {"member": row.ref.hex(), "appeal": ref.hex()}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=row.contact_ref, body=body))
