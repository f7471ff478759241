"""Senders: the organisation's brands, each with its From domain, postal address, relay and signing keys.

Private keys are files in `dkim/` of the instance folder, named by the sender's ref. In use are `<ref>.pem`, RSA, its
selector in the sender's row, and where there is one `<ref>.<selector>.ed25519`, for a second signature beside it (RFC
8463 §5). Those not yet published wait as `<ref>.<selector>.next` and `<ref>.<selector>.next-ed25519`.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.mail import dkim
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.organisation import sender

RSA, ED25519 = "rsa", "ed25519"
_WAITING = {RSA: ".next", ED25519: ".next-ed25519"}
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SenderFacts:
    """What an administrator types."""

    name: str
    postal_address: str
    from_local: str
    from_domain: str
    relay: str = "main"


@dataclass(frozen=True, kw_only=True)
class Sender(SenderFacts):
    """A sender as staff see it. `dkim_selector` is empty while its mail is not signed."""

    id: int
    ref: bytes
    dkim_selector: str
    created: int
    closed: int | None

    @property
    def from_address(self) -> str:
        return f"{self.from_local}@{self.from_domain}"


@dataclass(frozen=True)
class SigningKey:
    """A DKIM key and the TXT record to publish under `host` (RFC 6376 §3.6.2.1)."""

    host: str
    record: str
    is_in_use: bool
    kind: str = RSA


def list_senders(ctx: Context, actor: Actor) -> list[Sender]:
    """All senders by name, closed ones last. Any member of staff may read them."""
    actor.must_be(*Role)
    with ctx.db.reading() as conn:
        rows = conn.execute(select(sender).order_by(sender.c.closed.is_not(None), sender.c.name))
        return [Sender(**row._mapping) for row in rows]


def see_sender(ctx: Context, actor: Actor, ref: bytes) -> tuple[Sender, list[SigningKey]]:
    """One sender, its keys in use and those waiting to be published. Raises NotFoundError."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        held = _sender(conn, ref)
    used = [key for key in key_files(_folder(ctx), ref, held.dkim_selector) if key[1].exists()]
    waiting = [(_selector_of(path), path) for kind in _WAITING for path in _waiting_files(ctx, ref, kind)]
    shown = [_signing_key(path, selector, held.from_domain, is_in_use=True) for selector, path in used]
    return held, shown + [_signing_key(path, name, held.from_domain, is_in_use=False) for name, path in waiting]


def key_files(folder: Path, ref: bytes, selector: str) -> list[tuple[str, Path]]:
    """(selector, file) of the keys a sender's mail is signed with, RSA first. `selector`: the sender's; "": none."""
    if not selector:
        return []
    seconds = sorted(folder.glob(f"{ref.hex()}.*.{ED25519}"))
    return [(selector, folder / f"{ref.hex()}.pem"), *((_selector_of(path), path) for path in seconds[:1])]


def add_sender(ctx: Context, actor: Actor, facts: SenderFacts) -> bytes:
    """A new sender; returns its ref. Raises InvalidInputError."""
    actor.must_be(Role.ADMINISTRATOR)
    with _unique_name(), ctx.db.transaction() as conn:
        return put_sender(conn, ctx, ctx.db.now(conn), actor, facts)


def put_sender(conn: Connection, ctx: Context, now: int, actor: Actor, facts: SenderFacts) -> bytes:
    """Insert a sender in the caller's transaction; returns its ref."""
    ref = secrets.token_bytes(16)
    facts = checked(ctx, facts)
    conn.execute(insert(sender).values(ref=ref, created=now, **asdict(facts)))
    record(conn, now, Entry(kind="sender.added", actor=actor.name, body={"sender": ref.hex()}))
    return ref


def edit_sender(ctx: Context, actor: Actor, ref: bytes, facts: SenderFacts) -> None:
    """Change a sender. Its name stays once people agreed to a text that carries it. Raises InvalidInputError."""
    actor.must_be(Role.ADMINISTRATOR)
    facts = checked(ctx, facts)
    with _unique_name(), ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        held = _sender(conn, ref)
        if facts.name != held.name and _is_promised(conn, held.id):
            raise InvalidInputError(
                "Published consent texts carry this name, so it stays. Add a sender with the new name instead; "
                "its topics need texts and consents of their own.",
                "name",
            )
        new = asdict(facts)
        names = sorted(name for name in new if new[name] != getattr(held, name))
        if names:
            conn.execute(update(sender).where(sender.c.id == held.id).values({name: new[name] for name in names}))
            body = {"sender": ref.hex(), "changed": names}
            record(conn, now, Entry(kind="sender.edited", actor=actor.name, body=body))


def make_signing_key(ctx: Context, actor: Actor, ref: bytes, kind: str = RSA) -> None:
    """Make a key for DKIM, "rsa" or "ed25519", to be published before it is used. Replaces one that was waiting.

    Raises ConflictError for an Ed25519 key beside no other: too few providers read it.
    """
    actor.must_be(Role.ADMINISTRATOR)
    _known(kind)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        held = _sender(conn, ref)
        if kind == ED25519 and not held.dkim_selector:
            raise ConflictError("An Ed25519 key signs beside an RSA key. Make that one first, and use it.")
        selector = f"o{secrets.token_hex(4)}"
        body = {"sender": held.ref.hex(), "selector": selector}
        record(conn, now, Entry(kind="sender.key-made", actor=actor.name, body=body))
        for before in _waiting_files(ctx, ref, kind):
            before.unlink()
        _write_key(_folder(ctx) / f"{ref.hex()}.{selector}{_WAITING[kind]}", dkim.make_key(kind))


def use_signing_key(ctx: Context, actor: Actor, ref: bytes, kind: str = RSA) -> None:
    """Sign with the key that was waiting, its record being published. Raises ConflictError when there is none."""
    actor.must_be(Role.ADMINISTRATOR)
    _known(kind)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        held = _sender(conn, ref)
        waiting = _waiting_files(ctx, ref, kind)
        if not waiting:
            raise ConflictError("No key is waiting to be used. Make one first.")
        selector = _selector_of(waiting[0])
        before = key_files(_folder(ctx), ref, held.dkim_selector)[1:]
        if kind == RSA:
            conn.execute(update(sender).where(sender.c.id == held.id).values(dkim_selector=selector))
        body = {"sender": held.ref.hex(), "selector": selector}
        record(conn, now, Entry(kind="sender.signing-started", actor=actor.name, body=body))
        if kind == RSA:
            waiting[0].replace(_folder(ctx) / f"{ref.hex()}.pem")
        else:
            waiting[0].replace(_folder(ctx) / f"{ref.hex()}.{selector}.{ED25519}")
            for _, path in before:
                path.unlink()


def checked(ctx: Context, facts: SenderFacts) -> SenderFacts:
    """The facts, the From domain in A-labels. Raises InvalidInputError naming the field."""
    if not 2 <= len(facts.name) <= 80 or any(ord(letter) < 32 for letter in facts.name):
        raise InvalidInputError("Give the name people will see as the sender.", "name")
    if not 5 <= len(facts.postal_address) <= 300:
        raise InvalidInputError("Give the full postal address; it is printed in every mail.", "postal_address")
    try:
        address = addresses.parse(f"{facts.from_local}@{facts.from_domain}")
    except InvalidInputError as error:
        raise InvalidInputError(f"The From address does not work. {error}", "from_domain") from None
    if address.provider != "other":
        raise InvalidInputError(
            "A mailbox provider's domain is not yours to send from: use your own (DMARC would refuse it).",
            "from_domain",
        )
    if not _DOMAIN.fullmatch(address.domain):
        raise InvalidInputError("Give a domain such as mail.example.org.", "from_domain")
    if ctx.settings.relays and facts.relay not in ctx.settings.relays:
        raise InvalidInputError("No relay of this name is in the settings.", "relay")
    local = address.exact.rpartition("@")[0]
    return SenderFacts(**{**asdict(facts), "from_local": local, "from_domain": address.domain})


@contextmanager
def _unique_name() -> Iterator[None]:
    """Turns the table's refusal of a second sender of one name into words."""
    try:
        yield
    except IntegrityError:
        raise InvalidInputError("There is a sender of this name already.", "name") from None


def _sender(conn: Connection, ref: bytes) -> Sender:
    row = conn.execute(select(sender).where(sender.c.ref == ref)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such sender.")
    return Sender(**row._mapping)


def _is_promised(conn: Connection, sender_id: int) -> bool:
    query = select(consent_text.c.id).join(topic, topic.c.id == consent_text.c.topic)
    return conn.execute(query.where(topic.c.sender == sender_id).limit(1)).first() is not None


def _folder(ctx: Context) -> Path:
    folder = ctx.settings.instance / "dkim"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _waiting_files(ctx: Context, ref: bytes, kind: str) -> list[Path]:
    return sorted(_folder(ctx).glob(f"{ref.hex()}.*{_WAITING[kind]}"))


def _known(kind: str) -> None:
    if kind not in _WAITING:
        raise InvalidInputError("A signing key is of RSA or of Ed25519.", "kind")


def _selector_of(path: Path) -> str:
    return path.name.split(".")[1]


def _write_key(path: Path, pem: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def _signing_key(path: Path, selector: str, domain: str, *, is_in_use: bool) -> SigningKey:
    key = dkim.load_key(path.read_bytes())
    kind = dkim.Signer(domain, selector, key).algorithm.partition("-")[0]
    return SigningKey(f"{selector}._domainkey.{domain}", dkim.dns_record(key), is_in_use, kind)
