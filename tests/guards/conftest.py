"""The house as it stands after sixty days, with one member of staff of each role, and what a crawl of it found."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from outreach.app import create_app
from outreach.services.context import Context
from tests.guards import living
from tests.guards.crawl import Visit, crawl
from tests.guards.letters import recipients
from tests.guards.store import Private
from tests.guards.visitors import hire


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder all processes of this run see."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "guards"


@pytest.fixture(scope="session")
def lived(shared: Path) -> Path:
    """Where the sixty days lie. Read only: act in a copy."""
    return living.once(shared / "lived", living.live_in_a_process)


@pytest.fixture(scope="module")
def house(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A copy of the lived house for this module's tests to act in."""
    ctx = living.open_copy(lived, tmp_path_factory.mktemp("house") / "instance")
    hire(ctx)
    yield ctx
    ctx.db.dispose()


@pytest.fixture(scope="module")
def site(house: Context) -> Flask:
    """The application over it, answering errors as it does in earnest."""
    return create_app(house)


@pytest.fixture(scope="module")
def private(house: Context, lived: Path) -> Private:
    """The addresses and names that must stand nowhere."""
    return Private(house, recipients(lived / "instance" / "mailbox"))


@pytest.fixture(scope="session")
def visits(shared: Path, lived: Path) -> list[Visit]:
    """Every page, as everybody met it."""

    def walk(folder: Path) -> None:
        ctx = living.open_copy(lived, folder / "instance")
        hire(ctx)
        (folder / "visits").write_bytes(pickle.dumps(crawl(ctx)))
        ctx.db.dispose()

    found: list[Visit] = pickle.loads((living.once(shared / "crawl", walk) / "visits").read_bytes())
    return found
