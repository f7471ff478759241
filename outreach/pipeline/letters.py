"""Writes a batch of letters: from content prepared once, for readers loaded set-wise, each with its own links."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from outreach.domain.errors import OutreachError, SettingsError
from outreach.domain.invitation import Relationship, Way
from outreach.domain.tokens import Purpose
from outreach.mail import dkim, system
from outreach.mail.compose import Envelope, Sender, TopicList, compose, message_id
from outreach.mail.content import Filled, Prepared, fill
from outreach.mail.footer import Footer
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services.campaign_content import reader_fields
from outreach.services.context import Context
from outreach.services.invitation_mail import Words, links_of, write_connect, write_invitation
from outreach.services.public_text import House, read_house
from outreach.store import letters as store
from outreach.store.boxes import ContactKeys

ACCOUNT_MINUTES = 30
"""How long the link to choose a password works, from when its mail was written (tokens.Purpose.ACCOUNT)."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Letters:
    """Parcels by the relay that takes them, those that could not be written, and boxed copies of confirmations."""

    parcels: dict[str, list[Parcel]]
    failed: list[Outcome]
    evidence: dict[int, bytes]


@dataclass(frozen=True)
class _Desk:
    """What all letters of a batch share."""

    ctx: Context
    keys: ContactKeys
    now: int
    prepared: dict[int, Prepared]
    asked: dict[int, list[dict[str, Any]]]
    senders: dict[int, Row[Any]]
    controller: Row[Any]
    house: House


def write_letters(ctx: Context, ids: Sequence[int], decided_at: float) -> Letters:
    """Compose every message of `ids`. One that cannot be written fails alone, with the reason in words."""
    letters = Letters({}, [], {})
    with ctx.db.reading() as conn:
        rows = store.readers(conn, ids)
        desk = _set_up(ctx, conn, rows)
        for row in rows:
            try:
                relay, parcel, shown = _write(desk, row, decided_at)
            except SettingsError as error:  # a key file that is missing is put back one day, and the mail goes then
                letters.failed.append(Outcome(row.id, Result.DEFERRED, reply=f"Not sent yet: {error}"))
                continue
            except Exception as error:  # whatever is wrong with one letter, the others go
                log.error("pipeline.unsendable", message=row.ref.hex(), error=type(error).__name__)
                why = str(error) if isinstance(error, OutreachError) else type(error).__name__
                letters.failed.append(Outcome(row.id, Result.FAILED, reply=f"Not sent, it could not be made: {why}"))
                continue
            letters.parcels.setdefault(relay, []).append(parcel)
            if row.origin == "confirmation" and row.about == "topics":
                letters.evidence[row.id] = desk.keys.seal(row.contact, shown)
    return letters


def _set_up(ctx: Context, conn: Connection, rows: Sequence[Row[Any]]) -> _Desk:
    keys = ContactKeys(ctx.keyring, conn)
    keys.load({row.contact for row in rows} | {row.inviter for row in rows if row.inviter is not None})
    contents = store.prepared(conn, sorted({row.content for row in rows if row.content is not None}))
    controller = store.the_controller(conn)
    if controller is None:
        raise OutreachError("Nothing can be sent before the organisation is set up.")
    return _Desk(
        ctx=ctx,
        keys=keys,
        now=ctx.db.now(conn),
        prepared={key: _prepared(text) for key, text in contents.items()},
        asked=store.asked(conn, sorted({row.confirmation for row in rows if row.confirmation is not None})),
        senders=store.senders(conn),
        controller=controller,
        house=read_house(conn),
    )


@lru_cache(maxsize=32)
def _prepared(text: str) -> Prepared:
    return Prepared.from_json(text)


def _write(desk: _Desk, row: Row[Any], decided_at: float) -> tuple[str, Parcel, Mapping[str, Any]]:
    address = desk.keys.text(row.contact, row.address_box)
    if address is None:
        raise OutreachError("the person was erased")
    brand = desk.senders[row.sender] if row.sender is not None else next(iter(desk.senders.values()))
    sender = Sender(brand.name, f"{brand.from_local}@{brand.from_domain}", _signers(desk.ctx, brand))
    filled, footer, topic, stop_url = _contents(desk, row, brand)
    envelope = Envelope(
        sender=sender,
        to=address,
        message_id=message_id(row.ref, brand.from_domain),
        now=desk.now,
        topic=topic,
        stop_url=stop_url,
    )
    data = compose(envelope, filled, footer)
    parcel = Parcel(row.id, sender.address, address, data, decided_at)
    shown = {"subject": filled.subject, "text": filled.text, "html": filled.html, "at": desk.now}
    return brand.relay, parcel, shown | {"sha256": hashlib.sha256(data).hexdigest()}


def _contents(desk: _Desk, row: Row[Any], brand: Row[Any]) -> tuple[Filled, Footer | None, TopicList | None, str]:
    """(words, footer, list, one-click address): a letter of a campaign, or one of ours."""
    if row.origin in {"campaign", "test"}:
        return _campaign_contents(desk, row, brand)
    if row.origin == "invitation":
        return _invitation_contents(desk, row, brand)
    if row.origin == "confirmation" and row.about == "account":
        token = desk.ctx.tokens.issue(Purpose.ACCOUNT, row.confirmation_ref, desk.now)
        url = f"{desk.ctx.settings.public_url}/members/choose/{token}"
        facts = {"url": url, "minutes": ACCOUNT_MINUTES, "is_new": row.account is None}
        return _system_contents(desk, row, brand, "account", row.confirmation_locale, facts)
    if row.origin == "confirmation":
        token = desk.ctx.tokens.issue(Purpose.CONFIRM, row.confirmation_ref, desk.now)
        facts = {
            "topics": desk.asked[row.confirmation],
            "confirm_url": f"{desk.ctx.settings.public_url}/confirm/{token}",
        }
        return _system_contents(desk, row, brand, "confirmation", row.confirmation_locale, facts)
    body = desk.keys.facts(row.contact, row.body_box)
    fields = desk.keys.facts(row.contact, row.fields_box)
    facts = {"name": fields.get("name", ""), **body["facts"]}
    if "token" in facts:
        facts["url"] = f"{desk.ctx.settings.public_url}/password/{facts['token']}"
    return _system_contents(desk, row, brand, body["template"], row.locale, facts)


def _system_contents(
    desk: _Desk, row: Row[Any], brand: Row[Any], template: str, locale: str, facts: Mapping[str, Any]
) -> tuple[Filled, Footer | None, TopicList | None, str]:
    shared = {
        "sender": brand.name,
        "controller": desk.controller.name,
        "postal_address": brand.postal_address,
        "reference": _grouped(row.code),
    }
    return system.render(template, locale, {**shared, **facts}), None, None, ""


def _invitation_contents(desk: _Desk, row: Row[Any], brand: Row[Any]) -> tuple[Filled, None, None, str]:
    """From the site's own address, one press away from never again (RFC 8058); no list, no tracking."""
    stop_url = f"{desk.ctx.settings.public_url}/stop/{desk.ctx.tokens.issue(Purpose.STOP, row.ref, desk.now)}"
    inviter = desk.keys.text(row.inviter, row.name_box)
    if inviter is None:
        raise OutreachError("the inviter was erased")
    if row.way == Way.LINK:
        asks = write_connect(
            desk.ctx,
            row.invitation,
            desk.now,
            desk.house,
            owner=inviter,
            sender_name=brand.name,
            locale=row.invitation_locale,
            asked=row.asked,
            expires=row.expires,
        )
        return asks, None, None, stop_url
    words = Words(
        inviter=inviter,
        note=desk.keys.text(row.inviter, row.note_box) or "",
        relationship=Relationship(row.relationship),
        locale=row.invitation_locale,
        asked=row.asked,
        expires=row.expires,
        is_reminder=bool(row.is_reminder),
    )
    links = links_of(desk.ctx, row.invitation, desk.now)
    return write_invitation(words, links, desk.house, brand.name), None, None, stop_url


def _campaign_contents(desk: _Desk, row: Row[Any], brand: Row[Any]) -> tuple[Filled, Footer, TopicList, str]:
    tokens, url = desk.ctx.tokens, desk.ctx.settings.public_url
    stop_url = f"{url}/stop/{tokens.issue(Purpose.STOP, row.ref, desk.now)}"
    footer = Footer(
        sender_name=brand.name,
        postal_address=brand.postal_address,
        controller=desk.controller.name,
        topic=row.title or row.topic_name,
        cap_n=row.cap_n,
        cap_window=row.cap_window,
        locale=row.locale,
        why_url=f"{url}/why/{tokens.issue(Purpose.WHY, row.ref, desk.now)}",
        stop_url=stop_url,
        contact_reference=_grouped(row.code),
    )
    topic = TopicList(row.topic.hex(), row.title or row.topic_name, row.campaign.hex())
    fields = reader_fields(desk.keys.facts(row.contact, row.fields_box))
    return fill(desk.prepared[row.content], fields), footer, topic, stop_url


def _grouped(code: str) -> str:
    """K7Q2-M9XR-T4: as people read it out."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _signers(ctx: Context, brand: Row[Any]) -> tuple[dkim.Signer, ...]:
    if not brand.dkim_selector:
        return ()
    path = ctx.settings.instance / "dkim" / f"{brand.ref.hex()}.pem"
    return _loaded(path, brand.from_domain, brand.dkim_selector, int(time.monotonic() // 60))


@lru_cache(maxsize=32)
def _loaded(path: Path, domain: str, selector: str, _minute: int) -> tuple[dkim.Signer, ...]:
    """Read at most once a minute, so that a new key is taken up without a restart."""
    try:
        return (dkim.Signer(domain=domain, selector=selector, key=dkim.load_key(path.read_bytes())),)
    except (OSError, ValueError):
        raise SettingsError(f"dkim/{path.name}: the signing key is missing or not readable") from None
