"""One of a thousand is erased, end to end: no trace in database, files, letters, logs, nor after a restore."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.logs import configure_logs
from outreach.mail import maildir
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services.confirm import Client, grant
from outreach.services.contact_history import contact_history
from outreach.services.context import Context
from outreach.services.conversations import answering, handling
from outreach.services.rights.claims import end_holds, list_holds, release_hold, reveal_hold
from outreach.services.rights.erasures_file import every_erasure
from outreach.services.rights.restored import is_behind, reapply, remember
from outreach.services.rights.room import ask, see_room
from outreach.services.rights.rounds import look_after_rights
from outreach.services.seal import checkpoint_file, seal
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.services.verify import verify
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_address
from outreach.store.database import Database
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.requests import open_confirmation
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.people import contact, contact_key, suppression
from outreach.store.schema.rights import rights_request
from tests.factories import DAY, World
from tests.pipeline.conftest import Line
from tests.postgresql import Cluster
from tests.services.connecting import connected, everything, handed
from tests.services.conversations.writing import opened, worker, writes
from tests.services.owning import OFFICER, WHY, asks_for_link, fresh_link
from tests.services.people import count, form, link, topic_ref

THOUSAND = 1000
ANNA = "annelore.quistgaard@example.org"
NAME = "Annelore Quistgaard"
NEEDLES = ("annelore", "quistgaard")
HOUR_AND_A_BIT = 1.1


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All the product logged, at its most talkative."""
    configure_logs("debug")
    return lambda: "".join(capfd.readouterr())


class House:
    """Somewhere Anna did everything a person can do; `fill` puts 999 others beside her."""

    def __init__(self, world: World) -> None:
        self.world, self.ctx, self.line = world, world.ctx, Line(world)
        folder = self.ctx.settings.demo_mailbox
        assert folder is not None
        self.folder: Path = folder
        maildir.prepare(folder)
        self.line.relay.script = self._deliver

    def _deliver(self, parcel: Parcel) -> Outcome:
        maildir.keep(self.folder, parcel.mail_from, [parcel.rcpt_to], parcel.data)
        return Outcome(parcel.message_id, Result.SENT, code=250)

    def fill(self) -> None:
        others = [
            Newcomer(addresses.parse(f"person{n}@example.net"), "en", "UTC", {"name": f"Person {n}"})
            for n in range(THOUSAND - 1)
        ]
        with self.ctx.db.transaction() as conn:
            keys = ContactKeys(self.ctx.keyring, conn)
            ensure_contacts(conn, self.ctx.keyring, keys, others, now=self.world.now)

    def live(self, *, connects: bool = True) -> Person:
        """Anna signs up, confirms, is mailed, joins, invites, connects, asks what is held.

        The bench's short cut to a connection writes rows and no entries, which verifying notices.
        """
        topic, _ = self.world.topic()
        anna = self.world.person(ANNA, name=NAME)
        submit_sign_up(self.ctx, form(ANNA))
        process_requests(self.ctx)
        self.line.rounds()
        with self.ctx.db.reading() as conn:
            question = open_confirmation(conn, anna.id, self.line.now())
        assert question is not None
        from outreach.domain.tokens import Purpose

        token = link(self.ctx, Purpose.CONFIRM, question.ref)
        client = Client(ip="192.0.2.9", browser="Firefox")
        grant(self.ctx, token, {topic_ref(self.ctx)}, client, button="Yes", is_human=True)
        self.line.campaign(topic, author=self.world.staff())
        self.line.plan()
        self.line.rounds()
        member = self.world.member(ANNA, name=NAME)
        handed(self.ctx, member)
        if connects:
            connected(self.ctx, self.world.member("bob@example.org", name="Bob"), anna)
        contact_history(self.ctx, Actor("staff:1", frozenset({Role.OFFICER}), staff_id=1), anna.ref)
        asks_for_link(self.ctx, ANNA)
        self._talk(anna)
        ask(self.ctx, fresh_link(self.ctx, anna), "access")
        self.line.rounds()
        self.seal()
        return anna

    def _talk(self, anna: Person) -> None:
        """She writes to us, is answered by mail, and a colleague notes something about her."""
        ref = writes(self.ctx, anna, f"I am {NAME}, {ANNA}")
        robin = worker(self.world)
        answering.answer(self.ctx, robin, ref, f"Dear {NAME}, thank you.", seen=opened(self.ctx, robin, ref).seen)
        handling.add_note(self.ctx, robin, ref, f"{NAME} rang")

    def seal(self) -> None:
        while seal(self.ctx, 0):
            pass

    def erase(self, anna: Person) -> None:
        """She presses; the last mail leaves; an hour passes; the engine looks."""
        ask(self.ctx, fresh_link(self.ctx, anna), "erasure")
        submit_sign_up(self.ctx, form(ANNA))  # somebody types her address meanwhile
        self.line.rounds()
        look_after_rights(self.ctx)
        assert self.is_known(), "not within the hour"
        self.line.pass_hours(self.line.hours + HOUR_AND_A_BIT)
        look_after_rights(self.ctx)
        self.seal()

    def is_known(self) -> bool:
        with self.ctx.db.reading() as conn:
            return find_by_address(conn, self.ctx.keyring, addresses.parse(ANNA)) is not None

    def letters(self) -> int:
        return len(maildir.find(self.folder, ANNA, 100))


@pytest.fixture
def house(world: World) -> House:
    return House(world)


def traces(ctx: Context) -> list[str]:
    """Where a needle stands in the clear: rows, and every file of the instance folder."""
    found = []
    for table, rows in everything(ctx).items():
        text = "\n".join(rows).casefold()
        found += [f"table {table}: {needle}" for needle in NEEDLES if needle in text]
    if ctx.db.is_sqlite:
        with ctx.db.engine.connect() as conn:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            conn.exec_driver_sql("BEGIN")
    for path in ctx.settings.instance.rglob("*"):
        octets = path.read_bytes().lower() if path.is_file() else b""
        found += [f"{path.name}: {needle}" for needle in NEEDLES if needle.encode() in octets]
    return found


def test_no_trace_is_left_of_one_of_a_thousand(house: House, logged: Callable[[], str]) -> None:
    house.fill()
    anna = house.live()
    assert count(house.ctx, contact_key) > THOUSAND
    assert any("new" not in trace for trace in traces(house.ctx)), "what is looked for can be found"
    assert house.letters() >= 4
    house.erase(anna)
    assert traces(house.ctx) == []
    assert house.letters() == 0
    assert [needle for needle in NEEDLES if needle in logged().casefold()] == []


def test_the_log_still_verifies(house: House) -> None:
    house.erase(house.live(connects=False))
    verdict = verify(house.ctx)
    assert verdict.is_clean, list(verdict.lines())
    assert verdict.size > 20


def test_what_stays_is_a_keyed_hash_and_everybody_else(house: House) -> None:
    anna = house.live()
    kept = count(house.ctx, contact_key)
    house.erase(anna)
    assert count(house.ctx, contact_key) == kept - 1
    assert not house.is_known()
    with house.ctx.db.reading() as conn:
        bar = conn.execute(select(suppression)).one()
        row = conn.execute(select(contact).where(contact.c.id == anna.id)).one()
        asked = conn.execute(select(rights_request).where(rights_request.c.kind == "erasure")).one()
    assert (bar.kind, bar.lift, bar.lifted) == ("erased", "owner", None)
    assert bar.key == house.ctx.keyring.blind("address", ANNA)
    assert (row.address_box, row.fields_box) == (None, None)
    assert (asked.state, asked.words_box) == ("done", None)
    (line,) = [one for one in every_erasure(house.ctx) if one.contact == anna.ref]
    assert (line.address_key, line.until) == (bar.key, asked.claims_until)
    assert count(house.ctx, request, request.c.settled.is_(None)) == 0


def test_from_the_press_on_only_the_one_mail_that_tells_of_it_goes(house: House) -> None:
    anna = house.live()
    house.line.campaign(1, author=house.world.staff())
    house.line.plan()
    before = house.letters()
    ask(house.ctx, fresh_link(house.ctx, anna), "erasure")
    house.line.rounds()
    assert house.letters() == before + 1
    (newest, *_) = maildir.find(house.folder, ANNA, 100)
    assert newest.subject == "You are being erased"
    query = select(message.c.reason).where(message.c.contact == anna.id, message.c.state == "withheld")
    with house.ctx.db.reading() as conn:
        assert set(conn.execute(query).scalars()) == {"erased"}


def test_proof_is_kept_for_claims_until_the_day_she_was_told_and_no_longer(house: House) -> None:
    anna = house.live()
    house.erase(anna)
    (hold,) = list_holds(house.ctx, OFFICER)
    assert hold.contact == anna.ref
    proof = reveal_hold(house.ctx, OFFICER, hold.ref, WHY)
    assert proof["you"]["address"] == ANNA
    assert proof["events"][-1]["event"] == "confirmed"
    assert proof["mails"][0]["subject"].startswith("Please confirm")
    house.line.pass_hours(house.line.hours + 366 * 24)
    assert end_holds(house.ctx) == 1
    assert list_holds(house.ctx, OFFICER) == []


def test_proof_is_kept_no_longer_than_without_the_erasure(house: House) -> None:
    """A year from when the consent ended, not from the erasure."""
    anna = house.live()
    token = fresh_link(house.ctx, anna)
    ask(house.ctx, token, "objection")
    ended = house.line.now()
    house.line.pass_hours(100 * 24)
    assert see_room(house.ctx, fresh_link(house.ctx, anna)).claims_until == pytest.approx(ended + 365 * DAY, abs=DAY)
    house.line.pass_hours(366 * 24)
    assert see_room(house.ctx, fresh_link(house.ctx, anna)).claims_until is None


def test_an_officer_may_let_proof_go_early(house: House) -> None:
    house.erase(house.live())
    (hold,) = list_holds(house.ctx, OFFICER)
    release_hold(house.ctx, OFFICER, hold.ref, "the topic ended without a claim")
    assert list_holds(house.ctx, OFFICER) == []


def test_she_can_come_back_by_her_own_double_opt_in(house: House) -> None:
    house.erase(house.live())
    submit_sign_up(house.ctx, form(ANNA))
    process_requests(house.ctx)
    house.line.rounds()
    assert house.letters() == 1


def test_a_restored_backup_erases_her_again_before_anything_is_sent(
    house: House, database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    anna = house.live()
    ctx = house.ctx
    backup = _backup(ctx, database_url, request, tmp_path)
    house.erase(anna)
    erased_since = _count_of_people(ctx)
    house.line.pass_hours(0.1)
    away = ctx.settings.model_copy(update={"instance": tmp_path / "worker"})
    away.instance.mkdir()
    remember(replace(ctx, settings=away))
    restored = replace(ctx, db=Database(backup, clock_file=ctx.settings.clock_file))
    try:
        assert _count_of_people(restored) == erased_since + 1
        assert is_behind(restored)
        assert not is_behind(ctx)
        assert is_behind(replace(restored, settings=away)), "a worker elsewhere remembers how large the log was"
        assert not is_behind(replace(ctx, settings=away))
        house.ctx = restored
        bench = _line_over(house, restored)
        asks_for_link(restored, "bob@example.org")
        assert bench.rounds() == 0, "nothing is sent while the database is behind"
        done = reapply(restored)
        assert (done.erased, done.barred) == (1, 1)
        assert not is_behind(restored) and not is_behind(replace(restored, settings=away))
        assert _count_of_people(restored) == erased_since
        again = reapply(restored)
        assert (again.erased, again.barred) == (0, 0)
        assert _line_over(house, restored).rounds() > 0
        assert [trace for trace in traces(restored) if not trace.startswith("outreach.db")] == []
        (hold,) = list_holds(restored, OFFICER)
        assert hold.contact == anna.ref
    finally:
        restored.db.dispose()


def test_a_database_that_holds_the_newest_checkpoint_is_not_behind(house: House) -> None:
    assert not is_behind(house.ctx)
    house.live()
    assert checkpoint_file(house.ctx).exists()
    assert not is_behind(house.ctx)


def _line_over(house: House, ctx: Context) -> Line:
    house.world.ctx = ctx
    return Line(house.world)


def _count_of_people(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(contact_key)).scalar_one())


def _backup(ctx: Context, url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A copy of the database as it is now; its URL."""
    ctx.db.dispose()
    if ctx.db.is_sqlite:
        with ctx.db.engine.connect() as conn:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            conn.exec_driver_sql("BEGIN")
        ctx.db.dispose()
        copy = tmp_path.parent / f"{tmp_path.name}-backup.db"
        shutil.copy(tmp_path / "outreach.db", copy)
        request.addfinalizer(lambda: copy.unlink(missing_ok=True))
        return f"sqlite:///{copy}"
    server: Cluster = request.getfixturevalue("postgresql")
    name = server.create(urlsplit(url).path.removeprefix("/"))
    request.addfinalizer(lambda: server.drop(name))
    return server.url(name)
