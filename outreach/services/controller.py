"""The one organisation an installation serves, and whether everything is in place for mail to real people."""

import ipaddress
import re
import secrets
from dataclasses import asdict, dataclass

from pydantic import BaseModel, SecretStr
from sqlalchemy import Connection, func, insert, select, update

from outreach.config import Settings
from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import zone
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.hosts import LOOPBACK
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.migrate import head, is_current
from outreach.store.receipts import keep_controller
from outreach.store.schema.campaigns import message
from outreach.store.schema.organisation import controller, sender
from outreach.translations import LOCALES

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_ON_RECEIPTS = frozenset({"name", "postal_address", "country", "privacy_contact"})


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Who answers for the data. Quiet hours, in minutes after local midnight, hold until an officer sets a policy of
    them; both equal: there are none. Only set-up writes them.
    """

    name: str
    postal_address: str
    country: str = ""
    privacy_contact: str = ""
    locale: str = "en"
    timezone: str = "UTC"
    quiet_from: int = 21 * 60
    quiet_to: int = 8 * 60


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting in force: its name, its value without secrets, and what it is."""

    name: str
    value: str
    about: str


@dataclass(frozen=True, kw_only=True)
class SystemStatus:
    """What an administrator asks of the system. `problems`: what keeps mail from going to real people, in words."""

    settings: tuple[Setting, ...]
    migration: str
    is_current: bool
    database: str
    is_demo: bool
    relays: tuple[str, ...]
    problems: tuple[str, ...]
    waiting: int


def see_controller(ctx: Context, actor: Actor) -> Controller | None:
    """The organisation; None before set-up. Any member of staff may read it."""
    actor.must_be(*Role)
    with ctx.db.reading() as conn:
        return read_controller(conn)


def read_controller(conn: Connection) -> Controller | None:
    row = conn.execute(select(controller)).one_or_none()
    if row is None:
        return None
    return Controller(
        name=row.name,
        postal_address=row.postal_address,
        country=row.country,
        privacy_contact=row.privacy_contact,
        locale=row.locale,
        timezone=row.timezone,
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
    )


def edit_controller(ctx: Context, actor: Actor, changed: Controller) -> None:
    """Change the organisation's facts. The log names which ones changed. Raises InvalidInputError."""
    actor.must_be(Role.ADMINISTRATOR)
    changed = checked(changed)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        before = read_controller(conn)
        if before is None:
            raise ConflictError("The installation has not been set up yet. Use the set-up link first.")
        kept = {"quiet_from": before.quiet_from, "quiet_to": before.quiet_to}
        old, new = asdict(before), asdict(changed) | kept
        names = sorted(name for name in new if new[name] != old[name])
        if not names:
            return
        if _ON_RECEIPTS & set(names):
            keep_controller(conn, now)
        conn.execute(update(controller).values(**{name: new[name] for name in names}, updated=now))
        record(conn, now, Entry(kind="controller.edited", actor=actor.name, body={"changed": names}))


def put_controller(conn: Connection, now: int, made: Controller) -> None:
    """Write the one row, at set-up."""
    values = {**asdict(checked(made)), "updated": now}
    if conn.execute(update(controller).values(values)).rowcount == 0:
        conn.execute(insert(controller).values(id=1, ref=secrets.token_bytes(16), **values))


def checked(given: Controller) -> Controller:
    """The same, if it holds together. Raises InvalidInputError naming the field."""
    if not 2 <= len(given.name) <= 120:
        raise InvalidInputError("Give the organisation's name as people know it.", "name")
    if not 5 <= len(given.postal_address) <= 300:
        raise InvalidInputError("Give the full postal address; it is printed in every mail.", "postal_address")
    if given.country and not _COUNTRY.fullmatch(given.country):
        raise InvalidInputError("Choose a country from the list.", "country")
    if given.privacy_contact:
        _check_contact(given.privacy_contact)
    if given.locale not in LOCALES:
        raise InvalidInputError("Choose one of the languages we speak.", "locale")
    try:
        zone(given.timezone)
    except InvalidInputError as error:
        raise InvalidInputError(str(error), "timezone") from None
    for field in ("quiet_from", "quiet_to"):
        if not 0 <= getattr(given, field) < 24 * 60:
            raise InvalidInputError("Give a time of day.", field)
    return given


def ready_for_real_mail(ctx: Context, conn: Connection) -> list[str]:
    """What keeps mail from going to real people, in words; empty when nothing does.

    The engine asks before it hands anything to a relay that is not the demo mailbox.
    """
    problems = []
    held = read_controller(conn)
    if held is None:
        problems.append("The installation has not been set up: use the set-up link.")
    else:
        if not held.name:
            problems.append("The organisation has no name.")
        if not held.postal_address:
            problems.append("The organisation has no postal address.")
    if not is_lasting(ctx.settings):
        problems.append(f"public_url is {ctx.settings.public_url}: links in mails need a lasting https address.")
    senders = conn.execute(select(sender.c.name, sender.c.relay, sender.c.postal_address, sender.c.closed)).all()
    live = [row for row in senders if row.closed is None]
    if not live:
        problems.append("There is no sender.")
    for row in live:
        if row.relay not in ctx.settings.relays:
            problems.append(f"The sender {row.name} uses the relay “{row.relay}”, which no setting describes.")
        if not row.postal_address:
            problems.append(f"The sender {row.name} has no postal address.")
    return problems


def is_lasting(settings: Settings) -> bool:
    """Whether links to `public_url` can be expected to work for years: https, a name, not this machine."""
    host = settings.public_host
    if not settings.is_https or host in LOOPBACK or "." not in host or host.endswith((".localhost", ".local")):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def system_status(ctx: Context, actor: Actor) -> SystemStatus:
    """The settings in force without secrets, the store, the relays and what is missing."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        problems = tuple(ready_for_real_mail(ctx, conn))
        queued = select(func.count()).select_from(message).where(message.c.state.in_(["planned", "waiting"]))
        waiting = int(conn.execute(queued).scalar_one())
    return SystemStatus(
        settings=tuple(_settings_in_force(ctx.settings)),
        migration=head() or "",
        is_current=is_current(ctx.db),
        database="SQLite" if ctx.db.is_sqlite else "PostgreSQL",
        is_demo=ctx.settings.demo_mailbox is not None,
        relays=tuple(ctx.settings.relays),
        problems=problems,
        waiting=waiting,
    )


def _check_contact(text: str) -> None:
    if text.startswith("https://") and len(text) <= 300:
        return
    try:
        addresses.parse(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"Give an e-mail address or an https page. {error}", "privacy_contact") from None


def _settings_in_force(settings: Settings) -> list[Setting]:
    lines = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name == "database_url":
            value = re.sub(r"://[^@/]*@", "://•••@", settings.database)
        lines.append(Setting(name=name, value=_shown(value), about=field.description or ""))
    return lines


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "•••" if value.get_secret_value() else ""
    if isinstance(value, BaseModel):
        parts = {name: _shown(getattr(value, name)) for name in type(value).model_fields}
        return ", ".join(f"{name}={text}" for name, text in parts.items() if text)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value)
    return "" if value is None else str(value)
