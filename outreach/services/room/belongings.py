"""What goes along to another address besides consents: account, connections, invitations to answer, conversations.

A stranger who owns the new address by a slip of the keyboard could say yes to mail and wait three days. What opens an
account and old letters asks for more: the code that the room of the old address showed to whoever asked, typed on the
page of the new one. So one person has read both mailboxes; it is mailed to neither, and no page tells whether there is
anything that it takes along.

Two accounts are never made one. Where the new address has one of its own, both stay as they are, with their
connections and what they have to answer; conversations, which no account holds, go along. And whom the old address was
shown does not see the new one: its owner shows it, or does not.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import ENGINE
from outreach.services import connections
from outreach.services.context import Context
from outreach.services.sessions import MEMBERS, end_sessions
from outreach.store import belongings as store
from outreach.store import consents, invitees, members, requests
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""None that is read as another."""
_LENGTH = 10


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What went along. `account`: moved, stayed (the new address has one) or none; the rest, how many."""

    account: str = "none"
    connections: int = 0
    invitations: int = 0
    conversations: int = 0


def new_code() -> str:
    """Ten characters at random, of 2**49 such: seven days of guessing, however fast, find none."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def shown(code: str) -> str:
    """A code in two halves, as people read it."""
    half = _LENGTH // 2
    return f"{code[:half]}-{code[half:]}" if code else ""


def is_code(code: str, typed: str) -> bool:
    """Whether this was typed, whatever stands between the characters."""
    said = "".join(one for one in typed.lower() if one.isalnum())
    return bool(code) and hmac.compare_digest(said.encode(), code.encode())


def lock(conn: Connection, old: int, new: int) -> bool:
    """Lock whom a change touches, in the one order: people, then members. False: somebody connected with them just now,
    so that it has to wait.
    """
    people = store.partners(conn, [old, new])
    consents.lock_contacts(conn, people)
    if not store.partners(conn, [old, new]) <= people:
        return False
    accounts = (members.by_contact(conn, one) for one in (old, new))
    mine = {row.id for row in accounts if row is not None}
    invitees.lock_members(conn, mine | invitees.inviters_of(conn, old))
    return True


def take_along(conn: Connection, ctx: Context, now: int, move: bytes, old: Person, new: Person) -> Taken:
    """Take everything of `old` to `new`, inside the caller's transaction, who called `lock`. `move`: a ref."""
    keys = ContactKeys(ctx.keyring, conn)
    account = members.by_contact(conn, old.id)
    state = "none" if account is None or account.closed is not None else "moved"
    if state == "moved" and store.account_in_the_way(conn, old.id, new.id):
        state = "stayed"
    talks = store.take_conversations(conn, keys, old.id, new.id)
    _note(conn, now, move, old, new, "conversation", talks)
    if state == "stayed":
        body = {"move": move.hex(), "why": "both addresses have an account"}
        record(
            conn, now, *(Entry(kind="member.kept", actor=ENGINE.name, contact=one.ref, body=body) for one in (old, new))
        )
        return Taken(account=state, conversations=len(talks))
    if account is not None and state == "moved":
        _take_account(conn, now, keys, move, account, old, new)
    for row in store.twice_connected(conn, old.id, new.id):
        connections.end_row(conn, now, row, by=new.id, actor=ENGINE, why="one person at two addresses")
    for ref in store.hide_address(conn, now, old.id):
        body = {"connection": ref.hex(), "what": "address"}
        record(conn, now, Entry(kind="disclosure.taken-back", actor=ENGINE.name, contact=old.ref, body=body))
    live = store.take_connections(conn, keys, old.id, new.id)
    _note(conn, now, move, old, new, "connection", live)
    waiting = store.take_invitations(conn, old.id, new.id)
    _note(conn, now, move, old, new, "invitation", waiting)
    return Taken(account=state, connections=len(live), invitations=len(waiting), conversations=len(talks))


def _take_account(
    conn: Connection, now: int, keys: ContactKeys, move: bytes, row: members.MemberRow, old: Person, new: Person
) -> None:
    """Sessions end, and a link to choose a password that is on its way to the old address opens nothing any more."""
    sessions = end_sessions(conn, now, row.id, MEMBERS)
    pending = requests.open_confirmation(conn, old.id, now, about="account")
    if pending is not None:
        requests.change_confirmation(conn, pending.id, answered=now, answer="expired", evidence_box=None)
    store.take_account(conn, keys, row, new.id)
    body = {"move": move.hex(), "member": row.ref.hex(), "sessions": sessions}
    record(
        conn, now, *(Entry(kind="member.moved", actor=ENGINE.name, contact=one.ref, body=body) for one in (old, new))
    )


def _note(conn: Connection, now: int, move: bytes, old: Person, new: Person, what: str, refs: list[bytes]) -> None:
    """An entry of each of them. Of whom they are with it names nobody: they are not told."""
    for ref in refs:
        _tell(conn, now, f"{what}.moved", {"move": move.hex(), what: ref.hex()}, old, new)


def _tell(conn: Connection, now: int, kind: str, body: dict[str, Any], old: Person, new: Person) -> None:
    """An entry for either address."""
    record(conn, now, *(Entry(kind=kind, actor=ENGINE.name, contact=one.ref, body=body) for one in (old, new)))
