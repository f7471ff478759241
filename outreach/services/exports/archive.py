"""An export as a ZIP made while it is read: what is in memory at once is a piece of one file.

Last comes the manifest, a note signed by the log's key: what was exported, and the SHA-256 of every file.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, cast

MANIFEST = "manifest.note"
_PIECE = 1 << 16


class _Sink:
    """What the ZIP was written into since it was last emptied."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, octets: bytes) -> int:
        self._pieces.append(bytes(octets))
        self.size += len(octets)
        return len(octets)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return taken


class Archive:
    """One export on its way. Every method yields octets of the ZIP, in their order; `made`: UTC microseconds."""

    def __init__(self, made: int) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", zipfile.ZIP_DEFLATED)
        self._date = datetime.fromtimestamp(made // 1_000_000, UTC).timetuple()[:6]
        self._digests: list[tuple[str, str]] = []

    def file(self, path: str, parts: Iterable[bytes], *, packed: bool = True) -> Iterator[bytes]:
        """Add a file. `packed`: it is worth compressing, as hashes are not."""
        digest = hashlib.sha256()
        info = zipfile.ZipInfo(path, (self._date[0], *self._date[1:]))
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            for part in parts:
                digest.update(part)
                file.write(part)
                if self._sink.size >= _PIECE:
                    yield self._sink.take()
        self._digests.append((path, digest.hexdigest()))
        yield self._sink.take()

    def close(self, facts: Mapping[str, str], sign: Callable[[str], str]) -> Iterator[bytes]:
        """Add the manifest and end the ZIP. `sign`: a text → the note of it."""
        lines = ["outreach export 1", *(f"{name} {value}" for name, value in facts.items())]
        lines += [f"file {digest} {path}" for path, digest in self._digests]
        yield from self.file(MANIFEST, [sign("\n".join(lines) + "\n").encode()])
        self._zip.close()
        yield self._sink.take()
