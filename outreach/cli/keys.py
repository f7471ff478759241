"""Commands about the keys that sign links in mails, and the log."""

import click

from outreach.cli.root import main, open_store, plainly
from outreach.config import load_settings
from outreach.engines.standstill import standstill
from outreach.keyfile import compromise_token, rotate_tokens
from outreach.services.transparency.public_log import see_keys
from outreach.services.transparency.rotate import rotate_log_key


@main.group()
def keys() -> None:
    """The keys that sign links in mails, and the log."""


@keys.command("rotate-tokens")
def keys_rotate() -> None:
    """Add a new key for links. Links signed with the old ones go on working."""
    with plainly():
        added = rotate_tokens(load_settings())
    click.echo(f"Token key {added} was added, and signs new links. {_RESTART}")


@keys.command("compromise")
@click.argument("key_id", metavar="ID")
@click.option("--rotate", is_flag=True, help="Add a new key in the same step: needed for the one that signs now.")
def keys_compromise(key_id: str, rotate: bool) -> None:
    """Trust a key for links no more: its links act no longer, but mail their owner a fresh one."""
    with plainly():
        added = compromise_token(load_settings(), key_id, rotate=rotate)
    if added:
        click.echo(f"Token key {added} was added, and signs new links.")
    click.echo(f"Token key {key_id} is trusted no more. {_RESTART}")


@keys.command("rotate-log")
def keys_rotate_log() -> None:
    """Give the log another key. The old one vouches for it in the log. Stop web and engine first."""
    with plainly():
        ctx = open_store()
        with standstill(ctx) as epoch:
            signed = rotate_log_key(ctx, epoch)
        click.echo(f"The log's former key signed its first {signed.rotation.size} entries and no more.")
        click.echo(f"The new one is\n{see_keys(open_store()).splitlines()[0]}")
    click.echo("Tell your witnesses. Back up keys.json, copy it to every machine, and start web and engine again.")


@keys.command("log")
def keys_log() -> None:
    """Print the log's public keys, the one that signs now first."""
    with plainly():
        click.echo(see_keys(open_store()), nl=False)


_RESTART = "Back up keys.json, and restart web and engine now: they read their keys at start."
