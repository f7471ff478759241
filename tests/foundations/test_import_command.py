"""`outreach import`: the page's two steps, from files of any length."""

import subprocess
import sys
from pathlib import Path

import pytest

from outreach.services.context import Context
from outreach.store.schema.people import contact, suppression
from tests.factories import World
from tests.foundations.installation import ROOT, own_environment
from tests.services.people import count

PEOPLE = "address,topic,source,time,text\nalice@example.org,topic-1,fair,2025-03-03,Yes\nnobody,topic-1,fair,2025,Yes\n"


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """The installation's folder, with a file of people in it."""
    world.topic()
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


def run(ctx: Context, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "outreach", "import", str(folder / "people.csv"), *words],
        cwd=ROOT,
        env=own_environment() | {"OUTREACH_INSTANCE": str(folder), "OUTREACH_DATABASE_URL": ctx.settings.database},
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_are_looked_through_and_then_imported(ctx: Context, folder: Path) -> None:
    bars = folder / "bars.csv"
    bars.write_text("address,reason\ngone@example.org,asked\n")
    looked = run(ctx, folder, "--suppressions", str(bars))
    assert looked.returncode == 0
    assert "consents to be granted: 1" in looked.stdout
    assert "(rows 3)" in looked.stdout
    assert count(ctx, contact) == count(ctx, suppression) == 0
    done = run(ctx, folder, "--suppressions", str(bars), "--apply")
    assert done.returncode == 0
    assert "consents granted: 1" in done.stdout
    assert count(ctx, contact) == count(ctx, suppression) == 1


def test_what_was_not_looked_through_and_files_without_an_answer_about_bars_are_refused(
    ctx: Context, folder: Path
) -> None:
    for words in (("--no-suppressions", "--apply"), ()):
        refused = run(ctx, folder, *words)
        assert refused.returncode == 2
        assert refused.stderr.startswith("outreach: ")
    assert count(ctx, contact) == 0
