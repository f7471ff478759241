"""Sixty days in an export, made and checked by the commands: intact, what the tables say, nobody's address in it."""

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from outreach.services.context import Context
from outreach.services.verify import verify
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from tests.foundations.installation import ROOT, Installation
from tests.guards import living
from tests.guards.pages import ADDRESS
from tests.guards.store import Private
from tests.guards.test_addresses import PUBLIC

VERIFY = ROOT / "bin" / "outreach-verify"
REASON = "The yearly look at the log by the board"


@pytest.fixture(scope="module")
def exported(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `outreach audit export` makes of the lived house, with the folder it lies in."""
    folder = tmp_path_factory.mktemp("exported")
    living.open_copy(lived, folder / "instance").db.dispose()
    target = folder / "log.zip"
    done = Installation(folder).ask("audit", "export", str(target), "--reason", REASON)
    assert done.returncode == 0, done.stderr
    assert "Check it with" in done.stdout
    return target


@pytest.fixture
def kept(lived: Path, tmp_path: Path) -> Iterator[Context]:
    """The house itself, just as it was lived in."""
    ctx = living.open_copy(lived, tmp_path / "instance")
    yield ctx
    ctx.db.dispose()


def test_sixty_days_are_intact_and_say_what_the_tables_say(exported: Path, kept: Context) -> None:
    checkpoints = exported.parent / "instance" / "checkpoints.txt"
    command = [str(VERIFY), str(exported), "--witnessed", str(checkpoints), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:2000] + done.stderr
    said = json.loads(done.stdout)
    assert (said["verdict"], said["witnessed"]) == ("intact", said["size"])
    with kept.db.reading() as conn:
        states = select(consent.c.state, func.count()).where(consent.c.state != "none").group_by(consent.c.state)
        consents = {row[0]: row[1] for row in conn.execute(states)}
        final = message.c.state.in_(["sent", "withheld", "failed", "unknown"])
        counted = select(message.c.state, func.count()).where(final).group_by(message.c.state)
        ended = {row[0]: row[1] for row in conn.execute(counted)}
    told = {state: n for state, n in said["story"]["consents"].items() if state != "none"}
    assert told == consents
    assert said["story"]["messages"] == ended


def test_the_verifier_speaks_plainly(exported: Path) -> None:
    done = subprocess.run([str(VERIFY), str(exported)], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "intact"
    assert any("no witnessed checkpoint was given" in line for line in lines)


def test_no_file_of_an_export_holds_an_address_or_a_name(exported: Path, private: Private) -> None:
    with zipfile.ZipFile(io.BytesIO(exported.read_bytes())) as archive:
        for name in archive.namelist():
            if name == "outreach_verify.py" or name.startswith("tile/0/"):
                continue  # our program, and hashes
            text = archive.read(name).decode(errors="replace")
            assert set(ADDRESS.findall(text)) - PUBLIC == set(), name
            assert private.found_in(text) == [], name


def test_the_tables_of_sixty_days_agree_with_tally_and_log(kept: Context) -> None:
    verdict = verify(kept)
    assert verdict.is_clean, verdict.lines()
