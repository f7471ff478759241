"""Short cuts of the tests of moving a store: live in one, copy it, listen, and look into both."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.tokens import Purpose
from outreach.engines.leader import leading
from outreach.mail.transport import Parcel
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.send import Worker
from outreach.services.confirm import Client, grant, view_confirmation
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.services.store_copy import Compared, copy_store, copy_target
from outreach.store import copying
from outreach.store.contacts import find_by_address
from outreach.store.database import Database
from outreach.store.requests import open_confirmation
from tests.pipeline.conftest import ScriptedRelay
from tests.services.people import form


@dataclass
class Told:
    """Keeps the lines it is told; before the first that begins with `at`, it does `act`."""

    at: str = ""
    act: Callable[[], object] | None = None
    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        if self.act is not None and line.strip().startswith(self.at):
            act, self.act = self.act, None
            act()
        self.lines.append(line)


def moved(ctx: Context, url: str, told: Told | None = None) -> Compared:
    """Copy the store of `ctx` to `url`, as the command does."""
    with copy_target(ctx, url) as target:
        return copy_store(ctx, target, told or Told())


def opened(ctx: Context, url: str) -> Context:
    """`ctx` after its administrator has set `database_url`. Whoever asks disposes of it."""
    settings = ctx.settings.model_copy(update={"database_url": url})
    return replace(ctx, settings=settings, db=Database(url, clock_file=settings.clock_file))


def contents(conn: Connection) -> dict[str, copying.Digest]:
    return {table.name: copying.digest(conn, table) for table in copying.tables()}


def is_empty(url: str) -> bool:
    db = Database(url)
    with db.reading() as conn:
        filled = copying.filled_tables(conn)
    db.dispose()
    return not filled


def send(ctx: Context) -> list[Parcel]:
    """A worker's rounds until nothing is due; what went out."""
    relay = ScriptedRelay()
    express, bulk = Worker(ctx, relay, "express"), Worker(ctx, relay, "bulk")
    journal = WorkerJournal(bulk.journals, bulk.name)
    while express.round(journal) or bulk.round(journal):
        pass
    journal.close()
    return relay.sent


def sign_up(ctx: Context, address: str, slug: str) -> int:
    """Somebody asks, is mailed, says yes, and the log is sealed. Returns their contact's id."""
    submit_sign_up(ctx, form(address, slug))
    assert process_requests(ctx) == 1
    assert [parcel.rcpt_to for parcel in send(ctx)] == [address]
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = find_by_address(conn, ctx.keyring, addresses.parse(address))
        assert person is not None
        question = open_confirmation(conn, person.id, now)
        assert question is not None
        token = ctx.tokens.issue(Purpose.CONFIRM, question.ref, now)
    topics = [topic.ref for topic in view_confirmation(ctx, token).topics]
    answered = grant(ctx, token, topics, Client("192.0.2.7", "Firefox"), button="Yes", is_human=True)
    assert answered.view.answer == "confirmed"
    seal_all(ctx)
    return person.id


def seal_all(ctx: Context) -> None:
    """What the leader does every second or so."""
    with leading(ctx) as leadership:
        assert leadership is not None
        assert seal(ctx, leadership.epoch) is not None
