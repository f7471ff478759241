"""The case of 2007, just as `make acceptance-autoinvite` plays it."""

import subprocess
import sys

from tests.acceptance.product import ROOT


def test_no_click_frame_form_or_scanner_sends_an_invitation_or_shows_an_address() -> None:
    command = [sys.executable, "-m", "tests.acceptance.autoinvite"]  # a browser of its own wants a process of its own
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(played.stdout)
    assert played.returncode == 0, played.stderr[-4000:]
    assert " sent=0 exposed=0 " in played.stdout
