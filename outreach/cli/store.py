"""Commands about the database as a whole."""

import sys

import click

from outreach.cli.root import main, open_store, plainly
from outreach.engines.standstill import standstill
from outreach.services.rights.restored import reapply
from outreach.services.store_copy import copy_store, copy_target


@main.group()
def store() -> None:
    """The database as a whole."""


@store.command("copy")
@click.argument("target", metavar="TARGET_DATABASE_URL")
def store_copy(target: str) -> None:
    """Copy everything into another, empty database, and verify it there. Exit 1 when anything differs.

    Stop web and engine first. A password is better kept in ~/.pgpass than in the address.
    """
    with plainly():
        ctx = open_store()
        with standstill(ctx), copy_target(ctx, target) as empty:
            compared = copy_store(ctx, empty, click.echo)
    if compared.is_verified:
        click.echo(_MOVED)
    else:
        click.echo("Do not use the target: empty it and copy again. The source stays as it was.")
    click.echo(compared.line())
    sys.exit(0 if compared.is_verified else 1)


@store.command("restored")
def store_restored() -> None:
    """After a restore from backup: erase again whoever was erased since, and let sending go on.

    Stop web and engine first. Who it is stands in erasures.txt, outside the database.
    """
    with plainly():
        ctx = open_store()
        with standstill(ctx):
            done = reapply(ctx)
    click.echo(f"{done.erased} people were erased again, {done.barred} addresses barred again. Sending may go on.")
    click.echo(_RESTORED)


_RESTORED = (
    "Before you start the engine: record the stops that came since the backup at the Desk, and pause campaigns that "
    "were sending; see deploy/README.md."
)


_MOVED = (
    "Next: set database_url to the target, in outreach.toml or OUTREACH_DATABASE_URL, and start engine and web. "
    "The source stays as it was; start nothing on it any more, it would mail again."
)
