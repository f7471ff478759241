"""What every service is given: the settings, the secrets and the database. Made once, in app, cli and engines."""

from dataclasses import dataclass, field

from outreach.config import Settings, load_keyring
from outreach.domain.inbound_addresses import InboundAddresses
from outreach.domain.keys import Keyring
from outreach.domain.tokens import Tokens
from outreach.services.turns import Turns
from outreach.store.database import Database


@dataclass(frozen=True)
class Context:
    """Holds nothing of a request. `turns`: where requests that come at one time meet."""

    settings: Settings
    keyring: Keyring
    db: Database
    tokens: Tokens
    inbound: InboundAddresses
    turns: Turns = field(default_factory=Turns, init=False, compare=False)


def open_context(settings: Settings) -> Context:
    """Open the store and the key file the settings name."""
    settings.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyring = load_keyring(settings)
    return context_of(settings, keyring, Database(settings.database, clock_file=settings.clock_file))


def context_of(settings: Settings, keyring: Keyring, db: Database) -> Context:
    """What belongs to an open store."""
    return Context(settings, keyring, db, Tokens(keyring.tokens), InboundAddresses(keyring.tokens))
