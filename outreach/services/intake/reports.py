"""Reports about our mails, in words: all of them for an officer, and a campaign's counts for a marketer.

Which reader it was is an officer's to see; a marketer reads how many (promise 9), small counts as "fewer than 5".
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import FEW
from outreach.domain.errors import NotFoundError
from outreach.mail.inbound.incoming import Kind
from outreach.services.campaign_content import the_campaign
from outreach.services.context import Context
from outreach.services.intake.words import DID, kind_words
from outreach.store import inbound as store
from outreach.store.audit import Entry, record

NEWEST = 100

_SHOWN = (Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE, Kind.BLOCKED, Kind.COMPLAINT, Kind.UNSUBSCRIBE, Kind.REPLY)


@dataclass(frozen=True, kw_only=True)
class ReportView:
    """A report beside its message. `words`: what it says; `server`: the server's own; instants in UTC microseconds.

    `ended`: how many consents it ended; `can_be_undone`: nobody has, and there is something to undo or to discount.
    """

    ref: bytes
    words: str
    did: str
    status: str
    server: str
    reporting: str
    by_mail: bool
    at: int
    contact: bytes
    message: bytes
    campaign: bytes | None
    campaign_name: str
    topic_name: str
    ended: int
    rested: int | None
    undone: int | None
    undone_reason: str

    @property
    def can_be_undone(self) -> bool:
        return self.undone is None


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came back of a campaign: (words, how many; None reads "fewer than 5")."""

    counts: tuple[tuple[str, int | None], ...]


def list_reports(ctx: Context, actor: Actor) -> tuple[ReportView, ...]:
    """The newest reports about anybody's mail."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return tuple(view(row) for row in store.newest(conn, NEWEST))


def see_report(ctx: Context, actor: Actor, ref: bytes) -> ReportView:
    """One report. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        row = store.find_report(conn, ref)
    if row is None:
        raise NotFoundError("There is no such report.")
    return view(row)


def reports_of(conn: Connection, contact_id: int) -> tuple[ReportView, ...]:
    """Every report about one person's mail, oldest first, for pages about them."""
    return tuple(view(row) for row in store.of_contact(conn, contact_id))


def heard_of_campaign(ctx: Context, actor: Actor, ref: bytes) -> Heard:
    """What came back of a campaign, as far as a marketer may know. Each line is always there."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        counts = store.counts_of(conn, the_campaign(conn, ref).id)
    found = ((kind_words(kind), counts.get(kind, 0)) for kind in _SHOWN)
    return Heard(counts=tuple((words, n if n >= FEW else None) for words, n in found))


def stuck_mails(ctx: Context, actor: Actor) -> int:
    """Mails that came in and could not be acted on, however often it was tried."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return store.count_failed(conn)


def take_up_again(ctx: Context, actor: Actor) -> int:
    """Try mails once more that could not be acted on. Returns how many."""
    actor.must_be(Role.OFFICER)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        count = store.try_again(conn, now)
        if count:
            record(conn, now, Entry(kind="intake.retried", actor=actor.name, body={"mails": count}))
        return count


def view(row: Row[Any]) -> ReportView:
    """A row of the store as a page shows it."""
    facts = row._mapping
    return ReportView(
        ref=facts["ref"],
        words=kind_words(facts["kind"]),
        did=DID[facts["did"]],
        status=facts["status"],
        server=facts["words"],
        reporting=facts["reporting"],
        by_mail=facts["source"] == "mail",
        at=facts["at"],
        contact=facts["contact_ref"],
        message=facts["message_ref"],
        campaign=facts["campaign_ref"],
        campaign_name=facts["campaign_name"] or "",
        topic_name=facts["topic_name"] or "",
        ended=facts["changed"],
        rested=facts["rested"],
        undone=facts["undone"],
        undone_reason=facts["undone_reason"],
    )
