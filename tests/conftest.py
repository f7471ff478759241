"""What every test may ask for: a context over a migrated store, on SQLite and on PostgreSQL in turn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from outreach.config import Settings, load_keyring
from outreach.services.context import Context, context_of
from outreach.store.database import Database
from outreach.store.migrate import upgrade
from tests.factories import World
from tests.postgresql import Cluster, cluster


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Cluster) -> str:
    name = postgresql.create()
    db = Database(postgresql.url(name))
    upgrade(db)
    db.dispose()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "outreach.db"
    db = Database(f"sqlite:///{path}")
    upgrade(db)
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
    template = request.getfixturevalue("postgresql_template")
    server: Cluster = request.getfixturevalue("postgresql")
    name = server.create(template)
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def ctx(database_url: str, tmp_path: Path) -> Iterator[Context]:
    """A context whose clock tests may move: write seconds into `ctx.settings.clock_file`."""
    settings = Settings(instance=tmp_path, database_url=database_url, clock_file=tmp_path / "clock")
    keyring = load_keyring(settings)
    db = Database(settings.database, clock_file=settings.clock_file)
    yield context_of(settings, keyring, db)
    db.dispose()


@pytest.fixture
def world(ctx: Context) -> World:
    """A small organisation to act in: one sender, topics and people on demand."""
    return World(ctx)
