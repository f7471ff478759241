"""Settings, read once from the environment and `instance/outreach.toml`, and the secrets made on first run."""

import base64
import json
import os
import re
import secrets
import tempfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from limits import parse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableVariable

from outreach.domain.addresses import AddressError
from outreach.domain.addresses import parse as parse_address
from outreach.domain.cosignatures import COSIGNER, read_key
from outreach.domain.errors import AuditError, SettingsError
from outreach.domain.keys import Keyring, TokenKey
from outreach.domain.pacing import PER_SECOND, WARM_UP, Limits
from outreach.domain.rotation import read_rotation

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MESSAGES_PER_CONNECTION = 20  # what the large providers ask for (Yahoo)

Rate = Annotated[Decimal, Field(gt=0, le=100_000, decimal_places=3)]


class Pacing(BaseModel):
    """How fast mail may leave by a relay, to each provider: messages a second, at most. None: as fast as it is taken.

    `warm_up`: this relay is new to the providers, so each gets little at first and more from day to day; a list has
    the allowances of the days instead of the usual ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    gmail: Rate | None = None
    microsoft: Rate | None = None
    yahoo: Rate | None = None
    other: Rate | None = None
    warm_up: bool | tuple[Annotated[int, Field(ge=1)], ...] = False

    def limits(self, provider: str) -> Limits:
        """What these settings say of one provider."""
        rate: Decimal | None = getattr(self, provider)
        allowances = (WARM_UP if self.warm_up else ()) if isinstance(self.warm_up, bool) else self.warm_up
        return Limits(None if rate is None else int(rate * PER_SECOND), allowances)


class Relay(BaseModel):
    """A mail server that takes our mail."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(description="host name of the mail server that takes our mail")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls (required, never skipped), tls from the first octet, or none"
    )
    username: str = Field("", description="empty: no sign-in; over none a password is sent to this machine only")
    password: SecretStr = Field(SecretStr(""), description="never shown or logged")
    connections: Annotated[int, Field(ge=1, le=100)] = Field(10, description="connections open at once")
    connections_per_provider: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="of those, how many may be busy with mail for one provider; empty: all of them"
    )
    messages_per_connection: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="messages a connection carries before a fresh one; empty: 20, without limit if the relay is own",
    )
    own: bool | None = Field(None, description="it is our own relay; empty: where it is on this machine")
    pool: str = Field("", description="a name several relays share; a sender may name it instead of one of them")
    weight: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="its share of the pool's mail beside the others' weights; 0: only while the others fail"
    )
    dsn: bool = Field(False, description="ask for reports of failure and delay where it offers them (RFC 3461)")
    client: Literal["pipelined", "smtplib"] = Field(
        "pipelined", description="pipelined: ours, fast; smtplib: Python's own, for odd servers and for debugging"
    )
    verify: bool = Field(default=True, description="check the relay's certificate")
    ca_file: str = Field("", description="certificates to trust instead of the system's, in PEM")
    pacing: Pacing = Field(Pacing(), description="how fast mail may leave to each provider, and the warm-up")

    @field_validator("host", "pool")
    @classmethod
    def _one_word(cls, text: str) -> str:
        if any(letter.isspace() or not letter.isprintable() for letter in text):
            raise ValueError("must be one word")
        return text

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Relay":
        if not self.host:
            raise ValueError("host: must name the mail server")
        if (self.connections_per_provider or 0) > self.connections:
            raise ValueError("connections_per_provider: cannot be more than connections")
        if self.username and self.security == "none" and not self.is_here:
            raise ValueError("security: the password would travel in clear; use starttls or tls")
        if self.weight == 0 and not self.pool:
            raise ValueError("weight: 0 only makes sense in a pool, beside other relays")
        return self

    @property
    def is_here(self) -> bool:
        """On this machine."""
        return self.host in LOOPBACK

    @property
    def message_cap(self) -> int | None:
        """Messages a connection may carry; None: any number."""
        if self.messages_per_connection is not None:
            return self.messages_per_connection
        return None if (self.is_here if self.own is None else self.own) else _MESSAGES_PER_CONNECTION


class Witness(BaseModel):
    """A place off this host that is given the log's checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["mail", "post", "witness", "folder"] = Field(
        description="mail; post: by HTTP; witness: C2SP tlog-witness; folder: files in one mounted from elsewhere"
    )
    to: SecretStr = Field(description="address, https URL, or absolute path; never shown or logged")
    key: str = Field("", description="public key of its cosignatures, name+id+base64 (C2SP signed-note)")
    minutes: Annotated[int, Field(ge=1, le=10_080)] = Field(60, description="how often it is given a newer checkpoint")
    ca_file: str = Field("", description="certificates to trust instead of the system's, in PEM")

    @model_validator(mode="after")
    def _can_be_reached(self) -> "Witness":
        to = self.to.get_secret_value()
        if self.kind == "mail":
            _must_be_address(to)
        elif self.kind == "folder":
            if not Path(to).is_absolute():
                raise ValueError("to: must be an absolute path")
        else:
            _must_be_safe_url(to)
        if self.key and read_key(self.key).kind != COSIGNER:
            raise ValueError("key: must be a key of cosignatures (C2SP tlog-cosignature, Ed25519)")
        if self.kind == "witness" and not self.key:
            raise ValueError("key: a witness is known by its key")
        return self


def _must_be_address(to: str) -> None:
    try:
        parse_address(to)
    except AddressError:
        raise ValueError("to: must be an e-mail address") from None


def _must_be_safe_url(to: str) -> None:
    try:
        parts = urlsplit(to)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        is_safe = is_safe and bool(parts.hostname) and parts.port != 0 and not (parts.fragment or parts.username)
    except ValueError:  # its text would repeat the address
        is_safe = False
    if not is_safe or any(letter.isspace() or not letter.isascii() for letter in to):
        raise ValueError("to: must be https://host/…, or http:// on this machine")


class Settings(BaseSettings):
    """Every setting, with its default. Environment: OUTREACH_<NAME>, nested with `__`."""

    model_config = SettingsConfigDict(
        env_prefix="OUTREACH_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    instance: Path = Field(Path("instance"), description="folder of the database, keys and demo mailbox")
    database_url: str = Field("", description="sqlite:///… or postgresql://…; empty: SQLite in the instance folder")
    public_url: str = Field("http://127.0.0.1:8460", description="where recipients reach this installation, for ever")
    former_hosts: list[str] = Field([], description="host names links in old mails still point to")
    listen_host: str = Field("127.0.0.1", description="address the web server binds")
    listen_port: Annotated[int, Field(ge=0, le=65535)] = Field(8460, description="port the web server binds")
    trusted_proxies: Annotated[int, Field(ge=0, le=5)] = Field(
        0, description="how many reverse proxies stand before us and set X-Forwarded-For and -Proto"
    )
    relays: dict[str, Relay] = Field({}, description="relays by name; none: mail goes to the demo mailbox")
    demo_smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(8461, description="port of the demo mailbox")
    clock_file: Path | None = Field(
        None, description="rehearsals: a file with seconds to add to the clock; refused unless mail stays on this host"
    )
    confirmations_per_mailbox: Annotated[int, Field(ge=1)] = Field(
        3, description="confirmation mails one mailbox may get in 24 hours, whoever asks"
    )
    confirmations_per_network: Annotated[int, Field(ge=1)] = Field(
        20, description="addresses typed from one network (IPv4 /24, IPv6 /48) that are looked at in an hour; more wait"
    )
    confirmations_total: Annotated[int, Field(ge=1)] = Field(
        2000, description="confirmation mails in an hour, all together; more wait"
    )
    sign_up_seconds: Annotated[int, Field(ge=0)] = Field(
        2, description="a sign-up form filled faster than this waits an hour for its confirmation mail"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="processes that send, on this machine, under `run` and `worker`"
    )
    witnesses: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")], Witness] = Field(
        {}, description="places off this host that are given the log's checkpoints, by name"
    )
    log_publish_minutes: Annotated[int, Field(ge=1, le=10_080)] = Field(
        60, description="how often, at most, what is new in the log is published"
    )
    broker_url: SecretStr = Field(
        SecretStr(""),
        description="amqp://…, amqps://…, redis://… or rediss://…: wakes workers on other machines; empty: they look",
    )
    broker_ca_file: str = Field("", description="certificates to trust for amqps and rediss, in PEM; empty: system's")
    http_limit: str = Field("120/minute", description="requests one network may make to public forms")
    sign_in_limit: str = Field("10/minute", description="sign-in attempts one network may make")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line logged")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("OUTREACH_INSTANCE") or "instance") / "outreach.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return url

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            rest = (parts.path.rstrip("/"), parts.query, parts.fragment, parts.username)
            plain = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not any(rest)
        except ValueError:  # its text would repeat the address
            plain = False
        if not plain:
            raise ValueError("must be http(s)://host, with a port if needed, and nothing more")
        return url.rstrip("/")

    @field_validator("http_limit", "sign_in_limit")
    @classmethod
    def _known_limit(cls, limit: str) -> str:
        try:
            parse(limit)
        except ValueError:
            raise ValueError("must be like 10/minute") from None
        return limit

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: SecretStr) -> SecretStr:
        if url and not re.match(r"(amqps?|rediss?)://[^/]", url.get_secret_value()):
            raise ValueError("must begin with amqp://, amqps://, redis:// or rediss://")
        return url

    @model_validator(mode="after")
    def _several_machines_need_postgresql(self) -> "Settings":
        if self.broker_url and self.database.startswith("sqlite"):
            raise ValueError(
                "broker_url: workers on several machines need PostgreSQL in database_url; on SQLite, `workers` of one "
                "machine need no broker"
            )
        return self

    @model_validator(mode="after")
    def _real_mail_needs_a_lasting_home(self) -> "Settings":
        if self.relays and not self.is_https:
            raise ValueError("public_url: a relay is configured, so public_url must be a lasting https address")
        if self.relays and self.public_host in LOOPBACK:
            raise ValueError("public_url: a relay is configured, so public_url cannot be this machine only")
        if self.clock_file and any(relay.host not in LOOPBACK for relay in self.relays.values()):
            raise ValueError("clock_file: only where every relay is on this machine")
        return self

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_url).hostname or ""

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{(self.instance / 'outreach.db').resolve()}"

    @property
    def demo_mailbox(self) -> Path | None:
        """The Maildir that catches everything, while no relay is configured."""
        return None if self.relays else self.instance / "mailbox"

    def relays_behind(self, name: str) -> tuple[str, ...]:
        """The relays that carry mail of a sender that names `name`: the one called so, or those of the pool."""
        return tuple(one for one, relay in self.relays.items() if name in {one, relay.pool}) or (name,)

    def limits_of(self, relay: str, provider: str) -> Limits:
        """How fast mail may go to a provider by a relay. One no setting describes (the demo mailbox) has no limits."""
        described = self.relays.get(relay)
        return described.pacing.limits(provider) if described else Limits()

    def relay(self, name: str) -> Relay:
        """The relay a sender names; the demo mailbox while none is configured. Raises SettingsError."""
        if not self.relays:
            return Relay(host="127.0.0.1", port=self.demo_smtp_port, security="none")
        try:
            return self.relays[name]
        except KeyError:
            raise SettingsError(f"relays: no relay named “{name}” is configured") from None


def load_settings(**overrides: object) -> Settings:
    """Read the settings. Raises SettingsError with one line that names the first wrong one; values are not echoed."""
    _only_known_variables()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {message}" if name else message) from None
    except UnreadableVariable as error:
        found = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{found[1] if found else 'environment'}: not valid JSON") from None
    except ValueError as error:  # a TOML file that does not parse
        raise SettingsError(f"outreach.toml: {str(error).splitlines()[0]}") from None


def _only_known_variables() -> None:
    """A misspelt variable is an error: what it was meant to change would silently stay as it is."""
    for name in sorted(os.environ):
        setting = name.removeprefix("OUTREACH_").split("__")[0].lower()
        if name.startswith("OUTREACH_") and setting not in Settings.model_fields:
            raise SettingsError(f"{name}: there is no such setting")


def load_keyring(settings: Settings) -> Keyring:
    """Read `instance/keys.json`, or make it (mode 0600) where there is none. Raises SettingsError."""
    path = settings.instance / "keys.json"
    if not path.exists():
        _make_keys(path, settings.public_host)
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"keys.json: others can read it; run chmod 600 {path}")
    try:
        raw = json.loads(path.read_text())
        return Keyring(
            address=tuple(_bytes(key) for key in raw["address"]),
            keks={entry["id"]: _bytes(entry["key"]) for entry in raw["keks"]},
            tokens=tuple(
                TokenKey(entry["id"], _bytes(entry["key"]), entry.get("compromised", False)) for entry in raw["tokens"]
            ),
            doors=_bytes(raw["doors"]),
            sessions=_bytes(raw["sessions"]),
            audit_seed=_bytes(raw["audit"]["seed"]),
            audit_name=raw["audit"]["name"],
            audit_former=tuple(read_rotation(body) for body in raw["audit"].get("former", [])),
        )
    except (AuditError, KeyError, TypeError, ValueError):
        raise SettingsError("keys.json: not a complete key file; restore it from your backup") from None


def new_keys(host: str) -> dict[str, object]:
    """Fresh secrets in the shape of `keys.json`."""
    return {
        "address": [new_secret()],
        "keks": [{"id": "k1", "key": new_secret()}],
        "tokens": [{"id": "t1", "key": new_secret()}],
        "doors": new_secret(),
        "sessions": new_secret(),
        "audit": {"name": f"{host}/outreach", "seed": new_secret()},
    }


def _make_keys(path: Path, host: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # mode 0600
        json.dump(new_keys(host), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process made it in this instant
            os.link(file.name, path)


def new_secret() -> str:
    """32 random bytes, as `keys.json` writes them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
