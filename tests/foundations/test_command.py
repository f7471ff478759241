"""`bin/outreach` from any folder: the checkout's own instance, or the one that is named from where one stands."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.foundations.installation import ROOT, own_environment

COMMAND = ROOT / "bin" / "outreach"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that has modules of our names, and nothing to do with us."""
    folder = tmp_path / "else where"
    folder.mkdir()
    for name in ("outreach.py", "click.py", "wsgi.py"):
        (folder / name).write_text("raise SystemExit('not ours')")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose Python says where it was started, and with which words."""
    folder = tmp_path / "a check out"
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\npwd\necho "$PYTHONPATH"\nfor word in "$@"; do echo "$word"; done\nexit 7\n')
    python.chmod(0o755)
    (folder / "bin").mkdir()
    shutil.copy(COMMAND, folder / "bin" / "outreach")
    return folder


def ask(command: Path, *words: str, at: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [command, *words], cwd=at, env=own_environment() | environment, capture_output=True, text=True, check=False
    )


def test_it_runs_in_its_checkout_and_passes_words_and_verdict_on(checkout: Path, elsewhere: Path) -> None:
    ended = ask(checkout / "bin" / "outreach", "audit", "verify", "two words", at=elsewhere, PYTHONPATH="")
    assert ended.stdout.splitlines() == [str(checkout), str(checkout), "-m", "outreach", "audit", "verify", "two words"]
    assert ended.returncode == 7


def test_an_instance_that_is_named_is_found_from_where_one_stands(checkout: Path, elsewhere: Path) -> None:
    ended = ask(checkout / "bin" / "outreach", "upgrade", at=elsewhere, OUTREACH_INSTANCE="instance")
    assert ended.stdout.splitlines()[0] == str(elsewhere)


def test_a_link_to_it_does_the_same(checkout: Path, elsewhere: Path) -> None:
    link = elsewhere / "outreach"
    link.symlink_to(checkout / "bin" / "outreach")
    assert ask(link, "upgrade", at=elsewhere).stdout.splitlines()[0] == str(checkout)


def test_without_an_environment_it_says_what_makes_one(checkout: Path, elsewhere: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    ended = ask(checkout / "bin" / "outreach", "upgrade", at=elsewhere)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert f"make -C {checkout} venv" in line


def test_the_real_one_works_where_others_have_modules_of_our_names(elsewhere: Path) -> None:
    ended = ask(COMMAND, "upgrade", at=elsewhere, OUTREACH_INSTANCE="instance")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert {"keys.json", "outreach.db"} <= {path.name for path in (elsewhere / "instance").iterdir()}
    ended = ask(COMMAND, "audit", "verify", at=elsewhere, OUTREACH_INSTANCE="instance")
    assert ended.returncode == 0, ended.stdout + ended.stderr
