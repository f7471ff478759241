"""What a member sees of writing to somebody they are connected with: the address, their mails, and what waits."""

from dataclasses import dataclass, field

from outreach.domain.actors import Actor
from outreach.domain.errors import NotFoundError
from outreach.mail.cleaning import Doubt
from outreach.services.context import Context
from outreach.services.members import must_be_open
from outreach.services.relaying.held import doubts_of
from outreach.store import connections
from outreach.store import relaying as store
from outreach.store.boxes import ContactKeys

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class OwnMail:
    """A mail of one's own. Instants in UTC microseconds.

    `state`: "taken"; "held", waiting for one's decision until `until`; "dropped"; or "failed", it could not be
    delivered. Of what the other side has muted it tells nothing.
    """

    ref: bytes
    received: int
    octets: int
    state: str
    until: int | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Correspondence:
    """`write_to`: the address at which the other side is reached, empty while there is none. `mine`: newest first.

    `waiting`: mails of theirs kept while the connection is muted; `first_goes`: when the first of them is erased.
    """

    write_to: str = field(default="", repr=False)
    mine: tuple[OwnMail, ...] = ()
    waiting: int = 0
    first_goes: int | None = None


def correspondence(ctx: Context, actor: Actor, ref: bytes) -> Correspondence:
    """Of one of the member's connections. Raises NotFoundError for anybody else's."""
    with ctx.db.reading() as conn:
        me = must_be_open(conn, actor)
        row = connections.by_ref(conn, ref)
        if row is None or me.contact not in {row.low, row.high}:
            raise NotFoundError("There is no such connection.")
        address = store.to_write_to(conn, row.id, me.contact)
        if row.ended is not None or address is None or not ctx.settings.mail_in:
            return Correspondence()
        keys = ContactKeys(ctx.keyring, conn)
        waiting = store.unfinished(conn, row.id, states=["waiting"], reader=me.contact)
        return Correspondence(
            write_to=f"{address.local_part}@{ctx.settings.mail_in}",
            mine=tuple(_own(keys, one) for one in store.written(conn, row.id, me.contact, _SHOWN)),
            waiting=len(waiting),
            first_goes=min((one.until for one in waiting), default=None),
        )


def _own(keys: ContactKeys, row: store.RelayedRow) -> OwnMail:
    """`expired` is what waited for a reader who had muted it: to its writer it was taken, as every other."""
    if row.state == "held":
        until, doubts = row.until, doubts_of(keys, row)
        return OwnMail(ref=row.ref, received=row.received, octets=row.octets, state="held", until=until, doubts=doubts)
    state = row.outcome if row.outcome in {"dropped", "failed"} else "taken"
    return OwnMail(ref=row.ref, received=row.received, octets=row.octets, state=state)
