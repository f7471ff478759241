"""The case of 2007, as `make acceptance-autoinvite` plays it."""

from pathlib import Path

from tests.acceptance.autoinvite import play


def test_no_click_frame_form_or_scanner_sends_an_invitation_or_shows_an_address(tmp_path: Path) -> None:
    tally = play(tmp_path / "house")
    print(tally.line())
    tally.must_be_clean()
