"""Moves an installation to another database: every row, in one transaction, then compared and replayed.

For an administrator, from the command line, while nothing else runs (engines/standstill.py). What is compared is what
the target gives back after its commit, so a copy that was damaged on the way, or since, is told from a good one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Table, make_url

from outreach.domain.audit import Edge
from outreach.domain.errors import ConflictError, OutreachError, SettingsError
from outreach.services.context import Context
from outreach.services.verify import verify
from outreach.store import copying
from outreach.store.audit_log import newest_point
from outreach.store.bulk import analyse
from outreach.store.database import Database
from outreach.store.migrate import upgrade

Say = Callable[[str], None]
"""Takes one line for whoever watches."""


@dataclass(frozen=True)
class Compared:
    """What both stores were found to hold. `differing`: names of tables, and "audit log", that are not as they were."""

    tables: int
    rows: int
    root: bytes
    differing: tuple[str, ...]

    @property
    def is_verified(self) -> bool:
        return not self.differing

    def line(self) -> str:
        """How it ended, in one line."""
        if self.differing:
            return f"store copy: NOT verified, differing: {', '.join(self.differing)}"
        return f"store copy: {self.tables} tables, {self.rows} rows, root {self.root.hex()[:16]} – verified"


@contextmanager
def copy_target(ctx: Context, url: str) -> Iterator[Context]:
    """The target as a context: reachable, at the newest version, and without a row.

    Raises SettingsError, and ConflictError when it is the source or holds anything. Neither repeats the URL.
    """
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise SettingsError("target: must begin with sqlite:/// or postgresql://")
    with _saying("target: this database cannot be opened or reached"):
        named = make_url(url)
        if named.get_backend_name() == "sqlite" and named.database in {None, "", ":memory:"}:
            raise SettingsError("target: it names no file")
        if _is_same(make_url(ctx.settings.database), named):
            raise ConflictError("target: this is the store the settings name, the one to copy from")
        db = Database(url, clock_file=ctx.settings.clock_file)
    try:
        with _saying("target: this database cannot be opened or reached"), db.reading() as conn:
            _must_be_ours_and_empty(conn)
        with _saying("target: its tables cannot be made; the role must own the database, and its version be no newer"):
            upgrade(db)
        yield replace(ctx, settings=ctx.settings.model_copy(update={"database_url": url}), db=db)
    finally:
        db.dispose()


def copy_store(source: Context, target: Context, say: Say) -> Compared:
    """Copy every table, then compare. Nobody can write to the source meanwhile.

    `target`: of `copy_target`. Raises ConflictError while a message is in a worker's hands, and OutreachError when the
    copy cannot be made; the target is empty then.
    """
    with _held(source) as reading:
        waiting = copying.count_in_hand(reading)
        if waiting:
            raise ConflictError(
                f"{waiting} message{'s are' if waiting > 1 else ' is'} in a worker's hands. Start the engine, let it"
                " finish them, stop it, and copy then."
            )
        _copy(reading, target, say)
        return compare_stores(reading, target, say)


def compare_stores(reading: Connection, target: Context, say: Say) -> Compared:
    """Each table's rows, content and last id on both sides; then the log replayed on the target, and the roots."""
    differing, count = [], 0
    with _saying("the copy could not be compared: do not use the target, empty it and copy again"):
        with target.db.reading() as copied:
            for table in copying.tables():
                rows, fault = _compare_table(reading, copied, table, say)
                count += rows
                differing += [table.name] if fault else []
            root, theirs = _root(reading), _root(copied)
        say(f"  root of the log: {root.hex()[:16]} in the source, {theirs.hex()[:16]} in the target")
        if not _replay(target, say) or root != theirs:
            differing.append("audit log")
    return Compared(len(copying.tables()), count, root, tuple(differing))


def _compare_table(reading: Connection, copied: Connection, table: Table, say: Say) -> tuple[int, str]:
    """(rows in the source, what differs or "")."""
    ours, theirs = copying.digest(reading, table), copying.digest(copied, table)
    fault = ""
    if ours.rows != theirs.rows:
        fault = f"rows: {ours.rows:,} in the source, {theirs.rows:,} in the target"
    elif ours != theirs:
        fault = f"rows: {ours.rows:,} on both sides, with other content"
    elif copying.keeps_last_id(copied, table):
        given, goes_on_from = copying.last_id(reading, table), copying.last_id(copied, table)
        if given != goes_on_from:
            fault = f"the last id is {given} in the source, {goes_on_from} in the target"
    say(f"  {table.name}: {f'DIFFERENT, {fault}' if fault else f'the same, rows: {ours.rows:,}, sha256 {ours.sha256}'}")
    return ours.rows, fault


def _copy(reading: Connection, target: Context, say: Say) -> None:
    with (
        _saying("the target went away as it was to keep the copy; look whether it holds rows before you try again"),
        target.db.transaction() as writing,
    ):
        try:
            _fill(reading, writing, say)
        except OutreachError:
            writing.invalidate()  # closed, it takes everything back, even where it broke and could not be asked to
            raise


def _fill(reading: Connection, writing: Connection, say: Say) -> None:
    with _saying("target: others use it; nothing was copied"):
        copying.hold_still(writing)
        _must_be_ours_and_empty(writing)
    for table in copying.tables():
        with _saying(f"{table.name}: the target did not take its rows, and is still empty"):
            count = copying.put(writing, table, _read(reading, table))
            copying.go_on_from(writing, table, copying.last_id(reading, table))
            analyse(writing, table)
        say(f"  {table.name}: copied, rows: {count:,}")


def _read(reading: Connection, table: Table) -> Iterator[Sequence[Any]]:
    with _saying(f"{table.name}: its rows cannot be read in the source; the target is still empty"):
        yield from copying.slices(reading, table)


@contextmanager
def _held(source: Context) -> Iterator[Connection]:
    """The source, as it is now and stays until the end of this block."""
    with ExitStack() as held:
        with _saying("the source is in use and cannot be held still; stop whatever uses it"):
            reading = held.enter_context(source.db.transaction())
            copying.hold_still(reading)
        yield reading


def _replay(target: Context, say: Say) -> bool:
    verdict = verify(target)
    for line in verdict.lines():
        say(f"  {line}")
    if not verdict.is_clean:
        say("  (`audit verify` on the source says whether this was so before)")
    return verdict.is_clean


def _root(connection: Connection) -> bytes:
    newest = newest_point(connection)
    return newest.root if newest else Edge().root


def _must_be_ours_and_empty(connection: Connection) -> None:
    foreign = copying.foreign_tables(connection)
    if foreign:
        raise ConflictError(f"target: it holds tables that are not Outreach's, such as {foreign[0]}")
    filled = copying.filled_tables(connection)
    if filled:
        raise ConflictError(f"target: it is not empty: there are rows in {filled[0]}")


def _is_same(one: URL, other: URL) -> bool:
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        return Path(one.database or "").resolve() == Path(other.database or "").resolve()
    return (one.host, one.port or 5432, one.database, one.query) == (
        other.host,
        other.port or 5432,
        other.database,
        other.query,
    )


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """What a driver says may hold a row's values or the URL with its password, so only its kind is told."""
    try:
        yield
    except (*copying.REFUSALS, CommandError, ValueError) as error:
        raise OutreachError(f"{what} ({type(error).__name__})") from None
