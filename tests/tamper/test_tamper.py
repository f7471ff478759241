"""`make tamper` in short: on SQLite every deed, on PostgreSQL those that its own ways of keeping rows could hide."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Cluster
from tests.tamper.cases import Case, cases
from tests.tamper.life import House, live
from tests.tamper.play import play
from tests.tamper.stores import Stores

EVERY = tuple(cases())
ON_BOTH = {
    "flip one letter of an entry",
    "delete an entry, sign everything anew",
    "swap two entries, sign everything anew",
    "insert an entry, sign everything anew",
    "cut the log off with its checkpoints",
    "roll back to a backup and live on",
    "move a row out and back",
    "drop every trigger and restore it",
    "change the counts of campaigns",
    "write a consent of long ago at the end",
}


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tamper")
    yield live(Stores(folder, None), folder)


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tamper")
    stores = Stores(folder, postgresql)
    yield live(stores, folder)
    stores.close()


@pytest.mark.parametrize("deed", EVERY, ids=lambda deed: deed.name)
def test_a_deed_is_found_on_sqlite(on_sqlite: House, deed: Case, tmp_path: Path) -> None:
    (outcome,) = play(on_sqlite, [deed], tmp_path)
    assert outcome.missed == (), outcome.line()


@pytest.mark.parametrize("deed", [one for one in EVERY if one.name in ON_BOTH], ids=lambda deed: deed.name)
def test_a_deed_is_found_on_postgresql(on_postgresql: House, deed: Case, tmp_path: Path) -> None:
    (outcome,) = play(on_postgresql, [deed], tmp_path)
    assert outcome.missed == (), outcome.line()


def test_the_short_form_knows_its_deeds() -> None:
    assert {one.name for one in EVERY} >= ON_BOTH
    assert len({one.name for one in EVERY}) == len(EVERY)
