"""Settings, read once from the environment and `instance/outreach.toml`, and the secrets made on first run."""

import base64
import json
import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from limits import parse
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableVariable

from outreach.domain.errors import AuditError, SettingsError
from outreach.domain.keys import Keyring, TokenKey
from outreach.domain.pacing import Limits
from outreach.domain.rotation import read_rotation
from outreach.hosts import LOOPBACK, Relay, Witness


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
    inbound_domain: str = Field(
        "", description="host name whose mail comes to our listener: bounces, replies, relayed mail; empty: none does"
    )
    inbound_host: str = Field("127.0.0.1", description="address the listener for such mail binds")
    inbound_port: Annotated[int, Field(ge=1, le=65535)] = Field(8462, description="port it binds")
    inbound_protocol: Literal["smtp", "lmtp"] = Field("smtp", description="lmtp: behind a mail server of one's own")
    inbound_most_mb: Annotated[int, Field(ge=1, le=100)] = Field(10, description="largest mail it takes, in megabytes")
    inbound_authserv: str = Field(
        "", description="name of one's own mail server whose Authentication-Results (RFC 8601) are believed"
    )
    feedback_domains: list[str] = Field(
        [], description="domains of feedback loops: whose signed complaints count whoever our mail's reader is"
    )
    inbound_certificate_file: str = Field(
        "", description="certificate and chain, in PEM, for STARTTLS at the listener; empty: it offers none"
    )
    inbound_key_file: str = Field("", description="its private key, in PEM")
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
    web_processes: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="processes that answer requests, on this machine; HTTP limits are shared out among them"
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
        if url.partition("?")[0] in {"sqlite:///", "sqlite:///:memory:"}:
            raise ValueError("must name a file: what is in memory alone is gone with the process")
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

    @field_validator("inbound_domain")
    @classmethod
    def _host_name(cls, name: str) -> str:
        if name and not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", name.lower()):
            raise ValueError("must be a host name, such as mail.example.org")
        return name.lower()

    @field_validator("feedback_domains")
    @classmethod
    def _host_names(cls, names: list[str]) -> list[str]:
        return [cls._host_name(name) for name in names if name]

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
    def _a_certificate_has_a_key(self) -> "Settings":
        if bool(self.inbound_certificate_file) != bool(self.inbound_key_file):
            raise ValueError("inbound_certificate_file, inbound_key_file: name both, or neither")
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

    @property
    def mail_in(self) -> str:
        """The domain mail comes back to; empty while none does. The demo mailbox answers to a name of this machine."""
        return self.inbound_domain or ("in.localhost" if self.demo_mailbox else "")

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
