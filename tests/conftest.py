"""What every test may ask for: a context over a migrated store, on SQLite and on PostgreSQL in turn."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import create_engine, event

from outreach.config import Settings, load_keyring
from outreach.services.context import Context, context_of
from outreach.store import database
from outreach.store.database import Database
from outreach.store.migrate import upgrade
from tests.blank import Blanks
from tests.factories import World
from tests.postgresql import Cluster, cluster
from tests.sharing import Sharing


@pytest.fixture(scope="session", autouse=True)
def sharing() -> Iterator[Sharing]:
    """Every `Database` of this process uses what was compiled for the others before it."""
    with pytest.MonkeyPatch.context() as patch:
        shared = Sharing(create_engine)
        patch.setattr(database, "create_engine", shared.create_engine)
        yield shared


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """A command that a test runs in this process sets up logs for its own streams: not for the tests after it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Cluster, sharing: Sharing) -> str:
    name = postgresql.create()
    db = Database(postgresql.url(name))
    upgrade(db)
    sharing.learn(db.engine)
    db.dispose()
    return name


@pytest.fixture(scope="session")
def blanks(postgresql: Cluster, postgresql_template: str) -> Blanks:
    return Blanks(postgresql, postgresql_template)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, sharing: Sharing) -> Path:
    path = tmp_path_factory.mktemp("template") / "outreach.db"
    db = Database(f"sqlite:///{path}")
    upgrade(db)
    sharing.learn(db.engine)
    db.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty, migrated store of its own."""
    if request.param == "sqlite":
        path = tmp_path / "outreach.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Cluster = request.getfixturevalue("postgresql")
    blanks: Blanks = request.getfixturevalue("blanks")
    with blanks.lent() as name:
        yield server.url(name)


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of every context of this process."""
    folder = tmp_path_factory.mktemp("keys")
    load_keyring(Settings(instance=folder))
    return folder / "keys.json"


@pytest.fixture
def ctx(database_url: str, keys_file: Path, tmp_path: Path) -> Iterator[Context]:
    """A context whose clock tests may move: write seconds into `ctx.settings.clock_file`.

    No power fails here: SQLite need not wait for the disk, as the PostgreSQL of tests does not.
    """
    shutil.copy2(keys_file, tmp_path)
    settings = Settings(instance=tmp_path, database_url=database_url, clock_file=tmp_path / "clock")
    db = Database(settings.database, clock_file=settings.clock_file)
    if db.is_sqlite:
        event.listen(db.engine, "connect", _hurry)
    yield context_of(settings, load_keyring(settings), db)
    db.dispose()


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def world(ctx: Context) -> World:
    """A small organisation to act in: one sender, topics and people on demand."""
    return World(ctx)
