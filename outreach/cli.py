"""The command line: run the product, its parts, and the offline checks. `python -m outreach --help`."""

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import click
from sqlalchemy import inspect, select
from sqlalchemy.exc import ArgumentError, OperationalError

from outreach.config import Settings, load_settings
from outreach.domain.actors import CONSOLE
from outreach.domain.errors import OutreachError, SettingsError
from outreach.engines.demonstration import Demonstration, keep_sign_in
from outreach.engines.distributed import run_scheduler, run_worker
from outreach.engines.embedded import run_engine
from outreach.engines.standstill import standstill
from outreach.engines.ticks import stop_on_signals
from outreach.engines.together import Child, end_with_parent, run_together
from outreach.keyfile import compromise_token, rotate_tokens
from outreach.logs import configure_logs
from outreach.mail.demo import DemoServer
from outreach.services.context import Context, open_context
from outreach.services.exports.make import make_export
from outreach.services.exports.wanted import What, read_wanted
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.rights.restored import reapply
from outreach.services.set_up import make_set_up_link
from outreach.services.store_copy import copy_store, copy_target
from outreach.services.transparency.public_log import see_keys
from outreach.services.transparency.rotate import rotate_log_key
from outreach.services.verify import notes_in, verify
from outreach.store.database import Database
from outreach.store.migrate import is_current, upgrade
from outreach.store.schema.people import contact

_ONE_WORKER = ("worker", "--processes", "1")
_PATIENCE_SECONDS = 20.0
_LONGEST_SECONDS = 650.0
"""A relay may think for ten minutes after the final dot (RFC 5321 §4.5.3.2.6), and a worker waits for it."""


@contextmanager
def _plainly() -> Iterator[None]:
    """Our own errors are one line, not a trace."""
    try:
        yield
    except OutreachError as error:
        click.echo(f"outreach: {error}", err=True)
        sys.exit(2)


def _context(*, migrate: bool = False) -> Context:
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


@main.command()
def run() -> None:
    """Start everything on this machine: the web, the engine and, with no relay configured, the demo mailbox."""
    with _plainly():
        ctx = _context(migrate=True)
        _run_all(ctx)


def _run_all(ctx: Context) -> None:
    settings = ctx.settings
    _must_be_free(settings.listen_host, settings.listen_port, "listen_port")
    if settings.demo_mailbox:
        _must_be_free("127.0.0.1", settings.demo_smtp_port, "demo_smtp_port")
    stopping = threading.Event()
    stop_on_signals(stopping)
    mailbox = DemoServer(settings) if settings.demo_mailbox else None
    if mailbox:
        mailbox.start()
    try:
        _announce(ctx)
        ctx.db.dispose()
        helping = [Child(_ONE_WORKER) for _ in range(settings.workers - 1)]
        run_together([Child(("engine",)), *helping, Child(("web",))], stopping, _PATIENCE_SECONDS)
    finally:
        if mailbox:
            mailbox.stop()


def _must_be_free(host: str, port: int, name: str) -> None:
    """The web server would share the port with one that runs already, and either might answer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"{name}: cannot listen on {host}:{port}: {error.strerror}") from None


def _announce(ctx: Context) -> None:
    click.echo(f"\n  Outreach is at   {ctx.settings.public_url}/")
    if ctx.settings.demo_mailbox:
        click.echo(
            f"  Its mail goes to {ctx.settings.public_url}/mailbox  (a demo mailbox: nothing leaves this machine)"
        )
    link = make_set_up_link(ctx)
    if link:
        click.echo(f"  Set it up at     {link}")
        click.echo("                   (this link works once, for the first administrator)")
    click.echo("  Stop it with     Ctrl-C\n")


@main.command()
def web() -> None:
    """The web server alone."""
    end_with_parent()
    with _plainly():
        ctx = _context()
    settings = ctx.settings
    ctx.db.dispose()
    address = ["--host", settings.listen_host, "--port", str(settings.listen_port)]
    shape = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", "2", "--no-ws", "--log-level", "warning"]
    os.execv(sys.executable, [sys.executable, "-m", "granian", *address, *shape, "wsgi:app"])  # noqa: S606  our own command


@main.command()
def engine() -> None:
    """The engine alone: plans, sends, seals; scheduler and worker in one process."""
    end_with_parent()
    with _plainly():
        ctx = _context()
        stopping = threading.Event()
        stop_on_signals(stopping)
        run_engine(ctx, stopping)


@main.command()
def scheduler() -> None:
    """Plan, nudge and seal, without sending: one leads, others started beside it stand by and take over."""
    end_with_parent()
    with _plainly():
        ctx = _context()
        stopping = threading.Event()
        stop_on_signals(stopping)
        run_scheduler(ctx, stopping)


@main.command()
@click.option("--processes", type=click.IntRange(1, 64), help="How many send side by side; the setting `workers`.")
def worker(processes: int | None) -> None:
    """Send, without planning: as many of them, on as many machines, as there is mail for."""
    end_with_parent()
    with _plainly():
        ctx = _context()
        stopping = threading.Event()
        stop_on_signals(stopping)
        count = processes or ctx.settings.workers
        if count == 1:
            run_worker(ctx, stopping)
        else:
            ctx.db.dispose()
            run_together([Child(_ONE_WORKER) for _ in range(count)], stopping, _LONGEST_SECONDS)


@main.command("set-up")
def set_up() -> None:
    """Print a link for the first administrator; it works once, and makes an earlier one useless."""
    with _plainly():
        link = make_set_up_link(_context())
    click.echo(link or "This installation has an account already: an administrator invites the others.")


@main.command("upgrade")
def upgrade_store() -> None:
    """Bring the database to the newest version."""
    with _plainly():
        _context(migrate=True)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@main.command("import")
@click.argument("people", type=_FILE)
@click.option("--suppressions", type=_FILE, help="The CSV file of those who must not be written to.")
@click.option("--no-suppressions", is_flag=True, help="There are none.")
@click.option("--apply", is_flag=True, help="Import what was looked through within a day; without it, look through.")
def import_people(people: Path, suppressions: Path | None, no_suppressions: bool, apply: bool) -> None:
    """Bring people from another system, as the page Import does, from files too large for a browser."""
    with _plainly(), ExitStack() as files:
        bars: BinaryIO | None = files.enter_context(suppressions.open("rb")) if suppressions else None
        given = Import(files.enter_context(people.open("rb")), bars, no_suppressions)
        report = (apply_import if apply else rehearse_import)(_context(), CONSOLE, given)
    for line in report.lines():
        click.echo(line)


@main.command()
def settings() -> None:
    """List every setting with its meaning and default."""
    for name, field in Settings.model_fields.items():
        click.echo(f"OUTREACH_{name.upper()}  (default {field.get_default(call_default_factory=True)!r})")
        click.echo(f"    {field.description}")


@main.group()
def audit() -> None:
    """The log."""


@audit.command("verify")
@click.option("--witnessed", type=_FILE, multiple=True, help="Checkpoints of the log that were kept off this host.")
def audit_verify(witnessed: Sequence[Path]) -> None:
    """Check the tree and replay it against the tables; say what is wrong and where. Exit 1 when anything is."""
    with _plainly():
        verdict = verify(_context(), witnessed=[note for path in witnessed for note in notes_in(path.read_text())])
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
    with _plainly():
        asked["held"] = held.read() if held else ""
        made = make_export(_context(), CONSOLE, read_wanted(asked), reason)
        with target.open("xb") as file:
            file.writelines(made.octets)
    click.echo(f"{made.entries:,} entries in {target}. Check it with: bin/outreach-verify {target}")


@main.group()
def store() -> None:
    """The database as a whole."""


@store.command("copy")
@click.argument("target", metavar="TARGET_DATABASE_URL")
def store_copy(target: str) -> None:
    """Copy everything into another, empty database, and verify it there. Exit 1 when anything differs.

    Stop web and engine first. A password is better kept in ~/.pgpass than in the address.
    """
    with _plainly():
        ctx = _context()
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
    with _plainly():
        ctx = _context()
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


@main.group()
def keys() -> None:
    """The keys that sign links in mails, and the log."""


@keys.command("rotate-tokens")
def keys_rotate() -> None:
    """Add a new key for links. Links signed with the old ones go on working."""
    with _plainly():
        added = rotate_tokens(load_settings())
    click.echo(f"Token key {added} was added, and signs new links. {_RESTART}")


@keys.command("compromise")
@click.argument("key_id", metavar="ID")
@click.option("--rotate", is_flag=True, help="Add a new key in the same step: needed for the one that signs now.")
def keys_compromise(key_id: str, rotate: bool) -> None:
    """Trust a key for links no more: its links act no longer, but mail their owner a fresh one."""
    with _plainly():
        added = compromise_token(load_settings(), key_id, rotate=rotate)
    if added:
        click.echo(f"Token key {added} was added, and signs new links.")
    click.echo(f"Token key {key_id} is trusted no more. {_RESTART}")


@keys.command("rotate-log")
def keys_rotate_log() -> None:
    """Give the log another key. The old one vouches for it in the log. Stop web and engine first."""
    with _plainly():
        ctx = _context()
        with standstill(ctx) as epoch:
            signed = rotate_log_key(ctx, epoch)
        click.echo(f"The log's former key signed its first {signed.rotation.size} entries and no more.")
        click.echo(f"The new one is\n{see_keys(_context()).splitlines()[0]}")
    click.echo("Tell your witnesses. Back up keys.json, copy it to every machine, and start web and engine again.")


@keys.command("log")
def keys_log() -> None:
    """Print the log's public keys, the one that signs now first."""
    with _plainly():
        click.echo(see_keys(_context()), nl=False)


_RESTART = "Back up keys.json, and restart web and engine now: they read their keys at start."


@main.command()
def demo() -> None:
    """Start everything on an invented organisation, so that every page has something to show."""
    with _plainly():
        ctx = _context(migrate=True)
        if ctx.settings.relays:
            raise OutreachError("The demonstration never runs with a relay configured.")
        path = ctx.settings.instance / "sign-in.txt"
        if not path.exists():
            click.echo("Living sixty days of an invented organisation; this takes about a minute …")
            mailbox = DemoServer(ctx.settings)
            mailbox.start()
            try:
                keep_sign_in(path, Demonstration(ctx).play())
            finally:
                mailbox.stop()
        address, password, *member = path.read_text().split()
        click.echo(f"\n  Sign in as       {address}\n  with             {password}")
        if member:  # a demonstration of an earlier version has none
            click.echo(
                f"  as a member      {member[0]}, at {ctx.settings.public_url}/members\n  with             {member[1]}"
            )
        _run_all(ctx)
