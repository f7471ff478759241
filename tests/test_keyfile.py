"""Keys from the command line: added, distrusted, never lost, never readable by others."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from outreach.cli import main
from outreach.config import Settings, load_keyring
from outreach.domain.tokens import Purpose, TokenCompromisedError, Tokens

REF = b"r" * 16


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder with its first keys."""
    monkeypatch.setenv("OUTREACH_INSTANCE", str(tmp_path))
    load_keyring(Settings(instance=tmp_path))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def read(instance: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((instance / "keys.json").read_text())
    return found


def tokens(instance: Path) -> Tokens:
    return Tokens(load_keyring(Settings(instance=instance)).tokens)


def test_a_new_key_signs_and_old_links_go_on_working(instance: Path) -> None:
    old = tokens(instance).issue(Purpose.STOP, REF, 1)
    before = read(instance)
    done = run("rotate-tokens")
    assert done.exit_code == 0
    assert "t2 was added" in done.output
    assert "restart web and engine" in done.output
    after = read(instance)
    assert after.pop("tokens")[:-1] == before.pop("tokens")
    assert after == before
    assert tokens(instance).read(Purpose.STOP, old, 1).key == "t1"
    assert tokens(instance).issue(Purpose.STOP, REF, 1).startswith("t2.")


def test_the_file_stays_readable_by_its_owner_alone_and_nothing_is_left_beside_it(instance: Path) -> None:
    run("rotate-tokens")
    assert (instance / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in instance.iterdir()] == ["keys.json"]


def test_the_key_that_signs_is_given_up_only_with_another_in_its_place(instance: Path) -> None:
    old = tokens(instance).issue(Purpose.STOP, REF, 1)
    before = read(instance)
    refused = run("compromise", "t1")
    assert refused.exit_code == 2
    assert "--rotate" in refused.output
    assert read(instance) == before
    done = run("compromise", "t1", "--rotate")
    assert done.exit_code == 0
    assert "t2 was added" in done.output
    assert "t1 is trusted no more" in done.output
    assert "restart web and engine" in done.output
    with pytest.raises(TokenCompromisedError):
        tokens(instance).read(Purpose.STOP, old, 1)
    assert tokens(instance).issue(Purpose.STOP, REF, 1).startswith("t2.")


def test_an_older_key_can_be_given_up_by_itself(instance: Path) -> None:
    run("rotate-tokens")
    assert run("compromise", "t1").exit_code == 0
    assert [entry.get("compromised", False) for entry in read(instance)["tokens"]] == [True, False]


@pytest.mark.parametrize(("key", "said"), [("t9", "there are t1, t2"), ("t1", "marked already")])
def test_what_cannot_be_done_changes_nothing(instance: Path, key: str, said: str) -> None:
    run("compromise", "t1", "--rotate")
    before = read(instance)
    refused = run("compromise", key, "--rotate")
    assert refused.exit_code == 2
    assert said in refused.output
    assert read(instance) == before


def test_ids_are_never_used_twice(instance: Path) -> None:
    keys = read(instance)
    keys["tokens"][0]["id"] = "t2"
    (instance / "keys.json").write_text(json.dumps(keys))
    for _ in range(3):
        run("rotate-tokens")
    ids = [entry["id"] for entry in read(instance)["tokens"]]
    assert len(set(ids)) == 4


def test_two_operators_do_not_overwrite_each_other(instance: Path) -> None:
    (instance / "keys.json.new").touch()
    before = read(instance)
    refused = run("rotate-tokens")
    assert refused.exit_code == 2
    assert "another change is under way" in refused.output
    assert read(instance) == before


def test_without_a_key_file_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_INSTANCE", str(tmp_path))
    assert run("rotate-tokens").exit_code == 2
    assert list(tmp_path.iterdir()) == []
