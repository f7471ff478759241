"""`instance/erasures.txt`: who was erased, as refs and keyed hashes, kept outside the database for restores.

Append-only, one line an erasure, on disk before the erasure is committed. A line twice means the same as once.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from outreach.domain.errors import SettingsError
from outreach.services.context import Context

_TAIL_BYTES = 1_000_000


@dataclass(frozen=True)
class Erased:
    """One line. `contact`: the person's ref, 16 bytes; `address_key`: 32 bytes, where an address is barred since.

    `at`: when it was decided; `until`: how long proof is kept for claims, 0 for none. UTC microseconds.
    """

    at: int
    contact: bytes
    address_key: bytes | None = None
    until: int = 0

    def line(self) -> str:
        key = self.address_key.hex() if self.address_key is not None else "-"
        return f"{self.at} {self.contact.hex()} {key} {self.until}\n"

    @classmethod
    def read(cls, line: str) -> "Erased":
        """Raises ValueError for what is no such line."""
        at, contact, key, until = line.split()
        if len(contact) != 32 or (key != "-" and len(key) != 64):
            raise ValueError("not a line of erasures.txt")
        return cls(int(at), bytes.fromhex(contact), None if key == "-" else bytes.fromhex(key), int(until))


def erasures_path(ctx: Context) -> Path:
    return ctx.settings.instance / "erasures.txt"


def append(ctx: Context, erased: Iterable[Erased]) -> None:
    """Write the lines and wait until they are on disk. A line torn by a power cut is ended first."""
    lines = "".join(one.line() for one in erased)
    if not lines:
        return
    path = erasures_path(ctx)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                lines = "\n" + lines
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())


def every_erasure(ctx: Context) -> Iterator[Erased]:
    """All lines, oldest first. Raises SettingsError, naming the line, for one that cannot be read but the last."""
    path = erasures_path(ctx)
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            yield Erased.read(line)
        except ValueError:
            if line and number < len(lines) and not _is_torn(line):
                raise SettingsError(f"erasures.txt: line {number} cannot be read; restore the file first") from None


def newest(ctx: Context) -> tuple[int, set[bytes]]:
    """When the last line is from (0 for none), and the refs in the file's last million bytes."""
    path = erasures_path(ctx)
    if not path.exists():
        return 0, set()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    read = []
    for line in lines:
        try:
            read.append(Erased.read(line))
        except ValueError:  # the first may be cut by where we began to read, the last by a power cut
            continue
    return max((one.at for one in read), default=0), {one.contact for one in read}


def _is_torn(line: str) -> bool:
    """Whether a power cut left this beginning of a line, which `append` then ended."""
    return all(letter in "0123456789abcdef -" for letter in line)
