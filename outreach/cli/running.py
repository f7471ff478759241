"""Commands that start the product, or a part of it."""

import os
import socket
import sys
import threading

import click
from limits import parse

from outreach.cli.root import main, open_store, plainly
from outreach.domain.errors import OutreachError, SettingsError
from outreach.engines.demonstration import Demonstration, keep_sign_in
from outreach.engines.distributed import run_scheduler, run_worker
from outreach.engines.embedded import run_engine
from outreach.engines.listener import run_listener
from outreach.engines.ticks import stop_on_signals
from outreach.engines.together import Child, end_with_parent, run_together
from outreach.mail.demo import DemoServer
from outreach.services.context import Context
from outreach.services.set_up import make_set_up_link

_ONE_WORKER = ("worker", "--processes", "1")
_WEB_THREADS = "16"  # of each web process: who waits for a turn, or for a slow export, holds up nobody
_PATIENCE_SECONDS = 20.0
_LONGEST_SECONDS = 650.0
"""A relay may think for ten minutes after the final dot (RFC 5321 §4.5.3.2.6), and a worker waits for it."""


@main.command()
def run() -> None:
    """Start everything on this machine: the web, the engine with the door for mail that comes in, and, with no relay
    configured, the demo mailbox.
    """
    with plainly():
        ctx = open_store(migrate=True)
        _run_all(ctx)


def _run_all(ctx: Context) -> None:
    settings = ctx.settings
    _must_be_free(settings.listen_host, settings.listen_port, "listen_port")
    if settings.demo_mailbox:
        _must_be_free("127.0.0.1", settings.demo_smtp_port, "demo_smtp_port")
    if settings.mail_in:
        _must_be_free(settings.inbound_host, settings.inbound_port, "inbound_port")
    stopping = _stays()
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
    with plainly():
        ctx = open_store()
    settings = ctx.settings
    ctx.db.dispose()
    for name in ("http_limit", "sign_in_limit"):
        os.environ[f"OUTREACH_{name.upper()}"] = _share(getattr(settings, name), settings.web_processes)
    address = ["--host", settings.listen_host, "--port", str(settings.listen_port)]
    shape = ["--workers", str(settings.web_processes), "--blocking-threads", _WEB_THREADS]
    how = ["--interface", "wsgi", "--no-ws", "--log-level", "error", "--workers-kill-timeout", "15"]
    os.execv(sys.executable, [sys.executable, "-m", "granian", *address, *shape, *how, "wsgi:app"])  # noqa: S606  our own command


def _share(limit: str, processes: int) -> str:
    """What each of so many processes, which count for themselves, may let through of a limit such as "10/minute"."""
    whole = parse(limit)
    return f"{max(1, whole.amount // processes)} per {whole.multiples} {whole.GRANULARITY.name}"


def _stays() -> threading.Event:
    """What a signal sets, for a process that stays to end."""
    stopping = threading.Event()
    stop_on_signals(stopping)
    return stopping


@main.command()
def engine() -> None:
    """The engine alone: plans, sends, seals, takes mail in; scheduler, worker and listener in one process."""
    end_with_parent()
    with plainly():
        ctx = open_store()
        stopping = _stays()
        run_engine(ctx, stopping)


@main.command()
def scheduler() -> None:
    """Plan, nudge and seal, without sending: one leads, others started beside it stand by and take over."""
    end_with_parent()
    with plainly():
        ctx = open_store()
        stopping = _stays()
        run_scheduler(ctx, stopping)


@main.command()
@click.option("--processes", type=click.IntRange(1, 64), help="How many send side by side; the setting `workers`.")
def worker(processes: int | None) -> None:
    """Send, without planning: as many of them, on as many machines, as there is mail for."""
    end_with_parent()
    with plainly():
        ctx = open_store()
        stopping = _stays()
        count = processes or ctx.settings.workers
        if count == 1:
            run_worker(ctx, stopping)
        else:
            ctx.db.dispose()
            run_together([Child(_ONE_WORKER) for _ in range(count)], stopping, _LONGEST_SECONDS)


@main.command()
def listener() -> None:
    """Take mail in, and nothing else: for sites of several processes. A scheduler acts on what came."""
    end_with_parent()
    with plainly():
        ctx = open_store()
        stopping = _stays()
        run_listener(ctx, stopping)


@main.command("set-up")
def set_up() -> None:
    """Print a link for the first administrator; it works once, and makes an earlier one useless."""
    with plainly():
        link = make_set_up_link(open_store())
    click.echo(link or "This installation has an account already: an administrator invites the others.")


@main.command()
def demo() -> None:
    """Start everything on an invented organisation, so that every page has something to show."""
    with plainly():
        ctx = open_store(migrate=True)
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
