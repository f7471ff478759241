"""An officer's own saved searches: a name for what stands in the address of the log's page."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.schema.desk import saved_search

MOST = 30
LONGEST_NAME = 60


@dataclass(frozen=True)
class Saved:
    """One saved search. `asked`: the parameters of the page, by name."""

    ref: bytes
    name: str
    asked: Mapping[str, str]


def saved_searches(ctx: Context, actor: Actor) -> list[Saved]:
    """The officer's own, by name."""
    actor.must_be(Role.OFFICER)
    query = select(saved_search).where(saved_search.c.staff == actor.staff_id).order_by(saved_search.c.name)
    with ctx.db.reading() as conn:
        return [Saved(row.ref, row.name, json.loads(row.asked)) for row in conn.execute(query)]


def save_search(ctx: Context, actor: Actor, name: str, asked: Mapping[str, str]) -> bytes:
    """Keep a search under a name; its ref. An address in the name is masked.

    Raises InvalidInputError (field "name"), and ConflictError when the officer has MOST of them.
    """
    actor.must_be(Role.OFFICER)
    said = addresses.scrub(" ".join(name.split()))
    if not 0 < len(said) <= LONGEST_NAME:
        raise InvalidInputError(f"Give the search a name of up to {LONGEST_NAME} letters.", field="name")
    wanted = {part: text for part, text in asked.items() if text}
    if not wanted:
        raise InvalidInputError("Search for something first; then it can be saved.", field="name")
    ref = secrets.token_bytes(16)
    with ctx.db.transaction() as conn:
        if _count(conn, actor) >= MOST:
            raise ConflictError(f"You have {MOST} saved searches. Forget one first.")
        now = ctx.db.now(conn)
        row = {"ref": ref, "staff": actor.staff_id, "name": said, "asked": json.dumps(wanted), "created": now}
        conn.execute(insert(saved_search).values(row))
        record(conn, now, Entry(kind="search.saved", actor=actor.name, body={"search": ref.hex(), "name": said}))
    return ref


def forget_search(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Delete one of the officer's own. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    mine = (saved_search.c.ref == ref, saved_search.c.staff == actor.staff_id)
    with ctx.db.transaction() as conn:
        if conn.execute(delete(saved_search).where(*mine)).rowcount != 1:
            raise NotFoundError("You have no such saved search.")
        body = {"search": ref.hex()}
        record(conn, ctx.db.now(conn), Entry(kind="search.forgotten", actor=actor.name, body=body))


def _count(conn: Connection, actor: Actor) -> int:
    query = select(func.count()).select_from(saved_search).where(saved_search.c.staff == actor.staff_id)
    return int(conn.execute(query).scalar_one())
