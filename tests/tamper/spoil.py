"""What can be done to an export on its way to whoever checks it."""

import zipfile
from collections.abc import Callable
from pathlib import Path

_SUMMARY = "summary.html"


def flip_in_file(path: Path) -> None:
    """One letter of the page people read."""
    _again(path, lambda name, octets: octets.replace(b"log", b"lag", 1) if name == _SUMMARY else octets)


def drop_file(path: Path) -> None:
    """The page is not there any more."""
    _again(path, lambda name, octets: None if name == _SUMMARY else octets)


def put_file(path: Path) -> None:
    """A page nobody signed."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.html", "<p>All is well.</p>")


def _again(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, octets in files.items():
            changed = change(name, octets)
            if changed is not None:
                archive.writestr(name, changed)
