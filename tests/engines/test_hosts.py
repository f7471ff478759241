"""A machine more: it needs the keys of the first one, and says so before it does harm."""

import shutil
from pathlib import Path

import pytest

from outreach.services.context import Context
from tests.factories import World
from tests.foundations.installation import Installation


@pytest.fixture
def elsewhere(ctx: Context, tmp_path: Path) -> Installation:
    """A machine that knows the store and nothing else."""
    return Installation(tmp_path / "elsewhere", {"OUTREACH_DATABASE_URL": ctx.db.url})


@pytest.mark.parametrize("word", ["worker", "run"])
def test_nothing_starts_without_the_keys_of_a_store_that_holds_people(
    word: str, world: World, elsewhere: Installation
) -> None:
    world.person()
    ended = elsewhere.ask(word)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("outreach: keys.json: there is none here")
    assert not (elsewhere.instance / "keys.json").exists()


def test_with_the_keys_it_is_one_of_the_site(world: World, elsewhere: Installation) -> None:
    world.person()
    elsewhere.instance.mkdir(parents=True)
    shutil.copy(world.ctx.settings.instance / "keys.json", elsewhere.instance)
    ended = elsewhere.ask("audit", "verify")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_an_empty_store_gets_keys_of_its_own(elsewhere: Installation) -> None:
    ended = elsewhere.ask("upgrade")
    assert ended.returncode == 0, ended.stderr
    assert (elsewhere.instance / "keys.json").exists()
