"""Brings people and bars from another system: bars first, then rows with evidence; a rehearsal before each import.

Nobody is revived: whoever withdrew or is barred stays so. Rows without evidence are counted, not stored.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.context import Context
from outreach.services.import_report import Report
from outreach.services.import_slices import Intake
from outreach.store.audit import Entry, record
from outreach.store.bulk import analyse
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import consent
from outreach.store.schema.people import contact

_REHEARSAL_LASTS = 86_400_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Import:
    """Two files as they came: octets, or open files that can be read from the beginning again.

    `suppressions` None or empty: the officer says there are none (`no_suppressions`).
    """

    rows: bytes | BinaryIO = field(repr=False)
    suppressions: bytes | BinaryIO | None = field(default=None, repr=False)
    no_suppressions: bool = False

    @cached_property
    def digest(self) -> str:
        """What a rehearsal and its import must share: hex SHA-256 of both, read once."""
        seen = hashlib.sha256(self.bars_size.to_bytes(8, "big"))
        for file in (self.bars_file, self.rows_file):
            file.seek(0)
            while block := file.read(_BLOCK):
                seen.update(block)
        return seen.hexdigest()

    @cached_property
    def rows_file(self) -> BinaryIO:
        return _opened(self.rows)

    @cached_property
    def bars_file(self) -> BinaryIO:
        return _opened(self.suppressions or b"")

    @property
    def rows_size(self) -> int:
        """Octets."""
        return self.rows_file.seek(0, io.SEEK_END)

    @property
    def bars_size(self) -> int:
        """Octets."""
        return self.bars_file.seek(0, io.SEEK_END)


def rehearse_import(ctx: Context, actor: Actor, files: Import) -> Report:
    """Say what importing these files would do; writes only that it was rehearsed. Raises InvalidInputError."""
    _check(actor, files)
    report = Report(digest=files.digest)
    intake = Intake(ctx, actor, files.digest, report)
    if files.bars_size:
        for bars in intake.bars(files.bars_file):
            intake.note_bars(bars)
    for people in intake.people(files.rows_file):
        with ctx.db.reading() as conn:
            intake.rehearse(conn, people)
    _note(ctx, actor, report)
    return report


def apply_import(ctx: Context, actor: Actor, files: Import) -> Report:
    """Import what was rehearsed, a slice a transaction: a crash leaves whole slices, and doing it again adds the rest.

    Raises InvalidInputError, and ConflictError when exactly these files were not rehearsed within a day.
    """
    _check(actor, files)
    with ctx.db.reading() as conn:
        if files.digest not in _rehearsed(conn, actor, ctx.db.now(conn) - _REHEARSAL_LASTS):
            raise ConflictError(
                "These are not the files you looked through. Nothing was imported; rehearse them first."
            )
    report = Report(digest=files.digest, is_rehearsal=False)
    intake = Intake(ctx, actor, files.digest, report)
    if files.bars_size:
        for bars in intake.bars(files.bars_file):
            with ctx.db.transaction() as conn:
                intake.bar(conn, bars)
    for people in intake.people(files.rows_file):
        with ctx.db.transaction() as conn:
            intake.store(conn, people)
    with ctx.db.transaction() as conn:
        analyse(conn, contact, consent)
    _note(ctx, actor, report)
    return report


def _check(actor: Actor, files: Import) -> None:
    actor.must_be(Role.OFFICER)
    if not files.rows_size:
        raise InvalidInputError("Choose the file of people.", field="rows")
    if not files.bars_size and not files.no_suppressions:
        raise InvalidInputError(
            "First the people who must not be written to: choose that file, or say that there are none.",
            field="suppressions",
        )


def _rehearsed(conn: Connection, actor: Actor, since: int) -> set[str]:
    """Digests of the files this officer looked through since then."""
    query = select(audit_entry.c.body).where(
        audit_entry.c.kind == "import.rehearsed", audit_entry.c.at >= since, audit_entry.c.actor == actor.name
    )
    return {json.loads(body)["digest"] for body in conn.execute(query).scalars()}


def _note(ctx: Context, actor: Actor, report: Report) -> None:
    kind = "import.rehearsed" if report.is_rehearsal else "import.applied"
    body = {"digest": report.digest, **report.counts()}
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), Entry(kind=kind, actor=actor.name, body=body))


def _opened(source: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source
