"""The house after its sixty days moves from SQLite to PostgreSQL by the command, and life goes on there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from outreach.domain.actors import Actor, Role
from outreach.pipeline.plan import begin_due, plan_next
from outreach.services.campaigns import NewCampaign, Timing, Words, create_campaign, edit_words, schedule_campaign
from outreach.services.context import Context
from outreach.services.verify import verify
from outreach.store import copying
from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import topic
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact
from tests.foundations.installation import Installation
from tests.guards import living
from tests.postgresql import Cluster
from tests.services.moving import contents, moved, opened, seal_all, send, sign_up
from tests.tampering import loosen


@dataclass
class Move:
    """The two stores after the command, what the source held then, and what was printed."""

    source: Context
    target: Context
    held: dict[str, copying.Digest]
    printed: list[str]
    code: int


@pytest.fixture(scope="module")
def empty_url(postgresql: Cluster) -> Iterator[str]:
    """A PostgreSQL database without tables."""
    name = postgresql.create()
    yield postgresql.url(name)
    postgresql.drop(name)


@pytest.fixture(scope="module")
def move(lived: Path, empty_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """What `store copy` made of the lived house."""
    folder = tmp_path_factory.mktemp("moving")
    source = living.open_copy(lived, folder / "instance")
    ended = Installation(folder).ask("store", "copy", empty_url)
    target = opened(source, empty_url)
    with source.db.reading() as conn:
        held = contents(conn)
    yield Move(source, target, held, (ended.stdout + ended.stderr).splitlines(), ended.returncode)
    source.db.dispose()
    target.db.dispose()


def addresses_of(ctx: Context) -> dict[int, tuple[str | None, object]]:
    with ctx.db.reading() as conn:
        rows = conn.execute(select(contact.c.id, contact.c.address_box, contact.c.fields_box)).all()
        keys = ContactKeys(ctx.keyring, conn)
        keys.load(row.id for row in rows)
        return {row.id: (keys.text(row.id, row.address_box), keys.facts(row.id, row.fields_box)) for row in rows}


def test_the_command_says_what_it_moved_and_what_to_do_next(move: Move) -> None:
    assert move.code == 0, move.printed
    before = move.held
    with move.target.db.reading() as copied:
        assert contents(copied) == before
    rows = sum(one.rows for one in before.values())
    assert move.printed[-1].startswith(f"store copy: {len(copying.tables())} tables, {rows} rows, root ")
    assert move.printed[-1].endswith(" – verified")
    assert "set database_url" in move.printed[-2]
    assert "  audit verify: all is well" in move.printed
    for name in before:
        assert any(line.startswith(f"  {name}: the same, ") for line in move.printed)


def test_a_second_copy_over_the_first_is_refused(move: Move, empty_url: str) -> None:
    again = Installation(move.source.settings.instance.parent).ask("store", "copy", empty_url)
    assert again.returncode == 2
    assert again.stderr == "outreach: target: it is not empty: there are rows in attempt\n"


def test_every_box_opens_to_what_it_held(move: Move) -> None:
    before = addresses_of(move.source)
    assert addresses_of(move.target) == before
    assert sum(address is not None for address, _ in before.values()) > 100


def test_a_log_that_does_not_hold_is_not_called_verified(lived: Path, postgresql: Cluster, tmp_path: Path) -> None:
    source = living.open_copy(lived, tmp_path / "instance")
    loosen(source, "UPDATE audit_entry SET actor = 'nobody' WHERE id = 7")
    source.db.dispose()
    name = postgresql.create()
    ended = Installation(tmp_path).ask("store", "copy", postgresql.url(name))
    postgresql.drop(name)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "store copy: NOT verified, differing: audit log"
    assert "Do not use the target" in ended.stdout


@pytest.fixture
def ctx(lived: Path, postgresql: Cluster, tmp_path: Path) -> Iterator[Context]:
    """A moved house to act in."""
    source = living.open_copy(lived, tmp_path / "instance")
    name = postgresql.create()
    assert moved(source, postgresql.url(name)).is_verified
    source.db.dispose()
    ctx = opened(source, postgresql.url(name))
    yield ctx
    ctx.db.dispose()
    postgresql.drop(name)


def test_life_goes_on_in_the_new_store(ctx: Context) -> None:
    with ctx.db.reading() as conn:
        newest = {table: conn.execute(select(func.max(table.c.id))).scalar_one() for table in (contact, message)}
        slug = conn.execute(select(topic.c.slug).where(topic.c.closed.is_(None)).order_by(topic.c.id)).scalars().first()
    assert slug is not None
    send(ctx)  # what was due already
    joined = sign_up(ctx, "after.the.move@example.org", slug)
    assert joined > newest[contact]
    schedule_campaign(ctx, _marketer(ctx), _draft(ctx, slug), Timing())
    begin_due(ctx)
    while plan_next(ctx):
        pass
    assert "after.the.move@example.org" in [parcel.rcpt_to for parcel in send(ctx)]
    seal_all(ctx)
    with ctx.db.reading() as conn:
        mine = conn.execute(select(func.min(message.c.id)).where(message.c.contact == joined)).scalar_one()
    assert mine > newest[message]
    assert verify(ctx).is_clean


def _marketer(ctx: Context) -> Actor:
    with ctx.db.reading() as conn:
        row = conn.execute(select(staff.c.id, staff.c.ref).order_by(staff.c.id)).first()
    assert row is not None
    return Actor(f"staff:{row.ref.hex()}", frozenset(Role), row.id)


def _draft(ctx: Context, slug: str) -> bytes:
    with ctx.db.reading() as conn:
        about = conn.execute(select(topic.c.ref).where(topic.c.slug == slug)).scalar_one()
    ref = create_campaign(
        ctx, _marketer(ctx), NewCampaign(name="From the new store", topic=about, kind="informational")
    )
    words = Words(name="From the new store", subject="We moved", preheader="", body="Dear {{ first_name }}")
    edit_words(ctx, _marketer(ctx), ref, words)
    return ref
