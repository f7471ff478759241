"""Machines the settings name: relays that take our mail and how fast, witnesses that keep the log's checkpoints."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from outreach.domain.addresses import AddressError
from outreach.domain.addresses import parse as parse_address
from outreach.domain.cosignatures import COSIGNER, read_key
from outreach.domain.pacing import PER_SECOND, WARM_UP, Limits

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
