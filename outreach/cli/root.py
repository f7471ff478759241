"""What every command shares: the group they belong to, an open store, and errors of ours in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import inspect, select
from sqlalchemy.exc import ArgumentError, OperationalError

from outreach.config import Settings, load_settings
from outreach.domain.errors import OutreachError, SettingsError
from outreach.logs import configure_logs
from outreach.services.context import Context, open_context
from outreach.store.database import Database
from outreach.store.migrate import is_current, upgrade
from outreach.store.schema.people import contact

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def plainly() -> Iterator[None]:
    """Our own errors are one line, not a trace."""
    try:
        yield
    except OutreachError as error:
        click.echo(f"outreach: {error}", err=True)
        sys.exit(2)


def open_store(*, migrate: bool = False) -> Context:
    """The store the settings name. Raises OutreachError where it is older than the program, unless it may `migrate`."""
    settings = load_settings()
    configure_logs(settings.log_level)
    ctx = _open(settings)
    if migrate:
        upgrade(ctx.db)
    elif not is_current(ctx.db):
        raise OutreachError("The database is not at the newest version. Run: python -m outreach upgrade")
    return ctx


def _open(settings: Settings) -> Context:
    """Whatever the database driver says may repeat the URL, and a password with it."""
    try:
        _must_have_its_keys(settings)
        ctx = open_context(settings)
        with ctx.db.reading():
            return ctx
    except (ArgumentError, OperationalError, ValueError):
        raise SettingsError("database_url: this database cannot be opened or reached") from None


def _must_have_its_keys(settings: Settings) -> None:
    """Fresh keys are for a fresh store: another machine's people would be strangers, and their mail fail for good."""
    if (settings.instance / "keys.json").exists():
        return
    settings.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = Database(settings.database)
    try:
        with db.reading() as conn:
            holds_people = inspect(conn).has_table("contact") and conn.execute(select(contact.c.id).limit(1)).first()
    finally:
        db.dispose()
    if holds_people:
        raise SettingsError(
            "keys.json: there is none here, and this store was made with one. Copy keys.json and dkim/ from the "
            "machine that has them, or from your backup"
        )


@click.group()
def main() -> None:
    """Outreach: mail people asked for, and can prove they did."""
