"""The check printed in the guide: it runs as it stands there, without this product, and refuses what was altered."""

import subprocess
import sys
from pathlib import Path

import pytest

from outreach.services.context import Context
from outreach.services.receipts.showing import as_text
from outreach.services.transparency.publish import publish
from tests.factories import World
from tests.services.test_receipts import issued, subscribed

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "receipts.md"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    made = tmp_path / "check.py"
    made.write_text(GUIDE.read_text().split("```python\n")[1].split("```")[0])
    return made


def run(script: Path, text: str) -> tuple[int, str]:
    receipt = script.with_name("receipt.json")
    receipt.write_text(text)
    command = [sys.executable, "-I", str(script), str(receipt)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent, check=False)
    return done.returncode, done.stdout


def test_the_guides_check_agrees_with_ours(ctx: Context, world: World, script: Path) -> None:
    subscribed(ctx, world)
    code, said = run(script, as_text(issued(ctx)["confirmed"].document))
    assert (code, said.split()[:2]) == (0, ["signed", "by"])
    publish(ctx, 1)
    made = issued(ctx)["confirmed"]
    code, said = run(script, as_text(made.document))
    assert code == 0
    assert made.document["proof"][1]["outreach:checkpoint"] in said
    signature, inclusion = made.document["proof"]
    assert said.splitlines()[0] == f"signed by {signature['verificationMethod'].rpartition('#')[2]}"
    other = {**inclusion, "outreach:index": inclusion["outreach:index"] ^ 1}
    assert run(script, as_text({**made.document, "proof": [signature, other]}))[0] != 0
    assert run(script, as_text({**made.document, "outreach:logOrigin": "elsewhere"}))[0] != 0
