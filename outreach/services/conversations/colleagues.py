"""Who on the staff takes part in conversations, and what colleagues call them."""

from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotAllowedError
from outreach.services.context import Context
from outreach.services.sessions import roles_of
from outreach.store import staff as store
from outreach.store.boxes import ContactKeys

ANSWERS = (Role.MARKETER, Role.ADMINISTRATOR)
READS = (*ANSWERS, Role.OFFICER)


@dataclass(frozen=True)
class Colleague:
    """A member of staff. `answers`: whether conversations can be given to them."""

    id: int
    ref: bytes
    name: str
    answers: bool


def must_read(actor: Actor) -> int:
    """The id of a member of staff who may look. Raises NotAllowedError."""
    actor.must_be(*READS)
    return _staff_id(actor)


def must_answer(actor: Actor) -> int:
    """The id of a member of staff who may act. Raises NotAllowedError."""
    actor.must_be(*ANSWERS)
    return _staff_id(actor)


def colleagues(conn: Connection, ctx: Context) -> dict[int, Colleague]:
    """Everybody who ever worked here, by id."""
    rows = store.everybody(conn)
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(row.contact for row in rows)
    found = {}
    for row in rows:
        name = str(keys.facts(row.contact, row.fields_box).get("name") or "a colleague")
        answers = row.disabled is None and bool(roles_of(row.roles).intersection(ANSWERS))
        found[row.id] = Colleague(row.id, row.ref, name, answers)
    return found


def _staff_id(actor: Actor) -> int:
    if actor.staff_id is None:
        raise NotAllowedError("Sign in as a member of staff first.")
    return actor.staff_id
