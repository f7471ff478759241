"""Commands about what is in the store: bringing it up to date, and people from another system; and the settings."""

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from outreach.cli.root import FILE, main, open_store, plainly
from outreach.config import Settings
from outreach.domain.actors import CONSOLE
from outreach.services.import_contacts import Import, apply_import, rehearse_import


@main.command("upgrade")
def upgrade_store() -> None:
    """Bring the database to the newest version."""
    with plainly():
        open_store(migrate=True)


@main.command("import")
@click.argument("people", type=FILE)
@click.option("--suppressions", type=FILE, help="The CSV file of those who must not be written to.")
@click.option("--no-suppressions", is_flag=True, help="There are none.")
@click.option("--apply", is_flag=True, help="Import what was looked through within a day; without it, look through.")
def import_people(people: Path, suppressions: Path | None, no_suppressions: bool, apply: bool) -> None:
    """Bring people from another system, as the page Import does, from files too large for a browser."""
    with plainly(), ExitStack() as files:
        bars: BinaryIO | None = files.enter_context(suppressions.open("rb")) if suppressions else None
        given = Import(files.enter_context(people.open("rb")), bars, no_suppressions)
        report = (apply_import if apply else rehearse_import)(open_store(), CONSOLE, given)
    for line in report.lines():
        click.echo(line)


@main.command()
def settings() -> None:
    """List every setting with its meaning and default."""
    for name, field in Settings.model_fields.items():
        click.echo(f"OUTREACH_{name.upper()}  (default {field.get_default(call_default_factory=True)!r})")
        click.echo(f"    {field.description}")
