"""Commands about the log."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from outreach.cli.root import FILE, main, open_store, plainly
from outreach.domain.actors import CONSOLE
from outreach.services.exports.make import make_export
from outreach.services.exports.wanted import What, read_wanted
from outreach.services.transparency.folder import write_folder
from outreach.services.verify import notes_in, verify


@main.group()
def audit() -> None:
    """The log."""


@audit.command("verify")
@click.option("--witnessed", type=FILE, multiple=True, help="Checkpoints of the log that were kept off this host.")
def audit_verify(witnessed: Sequence[Path]) -> None:
    """Check the tree and replay it against the tables; say what is wrong and where. Exit 1 when anything is."""
    with plainly():
        verdict = verify(open_store(), witnessed=[note for path in witnessed for note in notes_in(path.read_text())])
    click.echo("\n".join(verdict.lines()))
    sys.exit(0 if verdict.is_clean else 1)


@audit.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Why it is needed; the log keeps it.")
@click.option("--what", type=click.Choice(list(What)), default=What.WHOLE, help="The whole log, or what is about …")
@click.option("--ref", default="", help="… the person, campaign or topic of this reference, as the log has it.")
@click.option("--since", default="", help="The first day of a period, in UTC, such as 2026-11-22.")
@click.option("--until", default="", help="Its last day.")
@click.option("--held", type=click.File(), help="A checkpoint a part of the log shall be proved to go on from.")
def audit_export(target: Path, reason: str, held: TextIO | None, **asked: str) -> None:
    """Write a signed ZIP that outreach-verify checks anywhere. No address is in it."""
    with plainly():
        asked["held"] = held.read() if held else ""
        made = make_export(open_store(), CONSOLE, read_wanted(asked), reason)
        with target.open("xb") as file:
            file.writelines(made.octets)
    click.echo(f"{made.entries:,} entries in {target}. Check it with: bin/outreach-verify {target}")


@audit.command("tiles")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def audit_tiles(folder: Path) -> None:
    """Write the published log, checkpoint, keys and tiles of hashes, to a folder; again, and only what is new."""
    with plainly():
        written = write_folder(open_store(), folder)
    click.echo(f"{written.size:,} entries under {folder / 'checkpoint'}, {written.tiles:,} tiles written")
