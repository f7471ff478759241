"""Writes a batch of letters: from content prepared once, for readers loaded set-wise, each with its own links."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Row

from outreach.domain.errors import OutreachError, SettingsError
from outreach.domain.invitation import Relationship, Way
from outreach.domain.tokens import Purpose
from outreach.mail import dkim, relayed, system
from outreach.mail.compose import Envelope, Form, Returns, Sender, TopicList, compose, message_id
from outreach.mail.content import Filled, Prepared
from outreach.mail.footer import Footer
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services.campaign_content import reader_fields
from outreach.services.context import Context
from outreach.services.invitation_mail import Words, day, links_of, write_connect, write_invitation
from outreach.services.public_text import House, read_house
from outreach.services.relaying.writing import Onward
from outreach.services.relaying.writing import load as load_onward
from outreach.services.scanners import hidden_url
from outreach.services.senders import key_files
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
    decided_at: float
    senders: dict[int, Row[Any]]
    controller: Row[Any]


@dataclass(frozen=True)
class _Campaigns(_Desk):
    """The desk campaigns are written at. `forms`: by content, text agreed to and locale, as they are first needed."""

    contents: dict[int, Row[Any]]
    promises: dict[int, Row[Any]]
    forms: dict[tuple[int, int | None, str], "_Press"] = field(default_factory=dict)


@dataclass(frozen=True)
class _Others(_Desk):
    """The desk of letters written one at a time."""

    asked: dict[int, list[dict[str, Any]]]
    house: House
    evidence: dict[int, bytes]
    onward: Mapping[int, Onward | None]


@dataclass(frozen=True)
class _Press:
    """A form, and what stands on the envelope of everything written with it."""

    form: Form
    relay: str
    sender: str
    domain: str
    mail_in: str


def write_letters(ctx: Context, ids: Sequence[int], decided_at: float) -> Letters:
    """Compose every message of `ids`. One that cannot be written fails alone, with the reason in words.

    May run in several threads at once.
    """
    letters = Letters({}, [], {})
    with ctx.db.reading() as conn:
        senders, controller = store.senders(conn), store.the_controller(conn)
        if controller is None:
            raise OutreachError("Nothing can be sent before the organisation is set up.")
        shared = (ctx, ContactKeys(ctx.keyring, conn), ctx.db.now(conn), decided_at, senders, controller)
        rows = store.campaign_letters(conn, ids)
        if rows:
            contents = store.contents(conn, {row.content for row in rows})
            promises = store.promises(conn, {row.text for row in rows if row.text is not None})
            campaigns = _Campaigns(*shared, contents, promises)
            _write_each(letters, rows, partial(_write_campaign, campaigns))
        if len(rows) < len(ids):
            rows = store.other_letters(conn, ids)
            asked = store.asked(conn, sorted({row.confirmation for row in rows if row.confirmation is not None}))
            replies = [row.id for row in rows if row.origin == "reply"]
            onward = load_onward(conn, ctx, shared[1], replies, _first(senders).from_domain) if replies else {}
            others = _Others(*shared, asked, read_house(conn), letters.evidence, onward)
            others.keys.load({row.contact for row in rows} | {row.inviter for row in rows if row.inviter is not None})
            _write_each(letters, rows, partial(_write_other, others))
    return letters


def _write_each(letters: Letters, rows: Iterable[Row[Any]], write: Callable[[Row[Any]], tuple[str, Parcel]]) -> None:
    for row in rows:
        try:
            relay, parcel = write(row)
        except SettingsError as error:  # a key file that is missing is put back one day, and the mail goes then
            letters.failed.append(Outcome(row.id, Result.DEFERRED, reply=f"Not sent yet: {error}"))
        except Exception as error:  # whatever is wrong with one letter, the others go
            log.error("pipeline.unsendable", message=row.ref.hex(), error=type(error).__name__)
            why = str(error) if isinstance(error, OutreachError) else type(error).__name__
            letters.failed.append(Outcome(row.id, Result.FAILED, reply=f"Not sent, it could not be made: {why}"))
        else:
            letters.parcels.setdefault(relay, []).append(parcel)


def _write_campaign(desk: _Campaigns, row: Row[Any]) -> tuple[str, Parcel]:
    identity, ref, contact, content, text, code, locale, provider, address_box, fields_box, kek, wrapped = tuple(row)
    if wrapped is None:
        raise OutreachError("the person was erased")
    desk.keys.unwrap(contact, kek, wrapped)
    address = desk.keys.text(contact, address_box)
    if address is None:
        raise OutreachError("the person was erased")
    kind = content, text, locale
    press = desk.forms.get(kind)
    if press is None:
        press = desk.forms[kind] = _press(desk, *kind)
    issue, inbound = desk.ctx.tokens.issue, desk.ctx.inbound
    servers = inbound.servers_ticket(ref) if press.mail_in else ""
    data = press.form.write(
        address,
        message_id(ref, press.domain),
        desk.now,
        why=issue(Purpose.WHY, ref, desk.now),
        stop=issue(Purpose.STOP, ref, desk.now),
        reference=_grouped(code),
        fields=reader_fields(desk.keys.facts(contact, fields_box)),
        ticket=inbound.ticket(ref) if press.mail_in else "",
        servers=servers,
    )
    mail_from = f"bounce+{servers}@{press.mail_in}" if servers else press.sender
    return press.relay, Parcel(identity, mail_from, address, data, desk.decided_at, provider)


def _press(desk: _Campaigns, content: int, promise: int | None, locale: str) -> _Press:
    words = desk.contents[content]
    agreed = None if promise is None else desk.promises[promise]
    topic = agreed.title if agreed else words.topic_name
    brand = desk.senders[words.sender]
    url = desk.ctx.settings.public_url
    footer = Footer(
        sender_name=brand.name,
        postal_address=brand.postal_address,
        controller=desk.controller.name,
        topic=topic,
        cap_n=agreed.cap_n if agreed else 0,
        cap_window=agreed.cap_window if agreed else 0,
        locale=locale,
        why_url=f"{url}/why/",
        stop_url=f"{url}/stop/",
        contact_reference="",
        answers_url=f"{url}/answers/{words.topic.hex()}" if words.is_answered else "",
    )
    sender = _sender(desk.ctx, brand)
    topic_list, mail_in = TopicList(words.topic.hex(), topic, words.campaign.hex()), desk.ctx.settings.mail_in
    form = _form(words.prepared, sender, topic_list, footer, mail_in)
    return _Press(form, brand.relay, sender.address, brand.from_domain, mail_in)


@lru_cache(maxsize=64)
def _form(prepared: str, sender: Sender, topic: TopicList, footer: Footer, mail_in: str) -> Form:
    """Kept from batch to batch: making one takes as long as filling in a hundred."""
    return Form(_prepared(prepared), sender, topic, footer, mail_in)


@lru_cache(maxsize=32)
def _prepared(text: str) -> Prepared:
    return Prepared.from_json(text)


def _write_other(desk: _Others, row: Row[Any]) -> tuple[str, Parcel]:
    address = desk.keys.text(row.contact, row.address_box)
    if address is None:
        raise OutreachError("the person was erased")
    if row.id in desk.onward:
        return _pass_on(desk, row, address)
    brand = desk.senders[row.sender] if row.sender is not None else _first(desk.senders)
    sender = _sender(desk.ctx, brand)
    filled, stop_url = _contents(desk, row, brand)
    returns = _returns(desk.ctx, row)
    envelope = Envelope(
        sender, address, message_id(row.ref, brand.from_domain), desk.now, stop_url=stop_url, returns=returns
    )
    data = compose(envelope, filled)
    if row.origin == "confirmation" and row.about != "account":
        shown = {"subject": filled.subject, "text": filled.text, "html": filled.html, "at": desk.now}
        desk.evidence[row.id] = desk.keys.seal(row.contact, shown | {"sha256": hashlib.sha256(data).hexdigest()})
    mail_from = sender.address if returns is None else returns.mail_from
    return brand.relay, Parcel(row.id, mail_from, address, data, desk.decided_at, row.provider)


def _pass_on(desk: _Others, row: Row[Any], address: str) -> tuple[str, Parcel]:
    """A mail from one person to another they are connected with. It bounces to us, as every other."""
    onward, brand, returns = desk.onward[row.id], _first(desk.senders), _returns(desk.ctx, row)
    if onward is None or returns is None:
        raise OutreachError("its words are gone, or mail no longer comes to this installation")
    letter = relayed.Letter(
        name=onward.name,
        address=onward.address,
        to=address,
        message_id=message_id(row.ref, brand.from_domain),
        second=desk.now // 1_000_000,
        notice=onward.notice,
        answers=onward.answers,
        signers=_signers(desk.ctx, brand),
        stop_url=onward.stop_url,
        returns=returns,
    )
    data = relayed.compose(letter, onward.mail)
    return brand.relay, Parcel(row.id, returns.mail_from, address, data, desk.decided_at, row.provider)


def _first(senders: Mapping[int, Row[Any]]) -> Row[Any]:
    """The brand that speaks where no topic names one."""
    return next(iter(senders.values()))


def _returns(ctx: Context, row: Row[Any]) -> Returns | None:
    """Where mail about this message comes back to. Answers to what we wrote in a conversation go on with it."""
    mail_in = ctx.settings.mail_in
    if not mail_in:
        return None
    servers = ctx.inbound.servers_ticket(row.ref)
    return Returns(mail_in, ctx.inbound.ticket(row.ref), takes_replies=row.origin == "reply", servers=servers)


def _contents(desk: _Others, row: Row[Any], brand: Row[Any]) -> tuple[Filled, str]:
    """(words, one-click address)."""
    if row.origin == "invitation":
        return _invitation_contents(desk, row, brand)
    if row.origin == "confirmation" and row.about == "account":
        token = desk.ctx.tokens.issue(Purpose.ACCOUNT, row.confirmation_ref, desk.now)
        url = f"{desk.ctx.settings.public_url}/members/choose/{token}"
        facts = {"url": url, "minutes": ACCOUNT_MINUTES, "is_new": row.account is None}
        return _system_words(desk, row, brand, "account", row.confirmation_locale, facts), _stop_url(desk, row)
    if row.origin == "confirmation":
        return _question(desk, row, brand)
    body = desk.keys.facts(row.contact, row.body_box)
    fields = desk.keys.facts(row.contact, row.fields_box)
    facts = {"name": fields.get("name", ""), **body["facts"]}
    if "token" in facts:
        facts["url"] = f"{desk.ctx.settings.public_url}/password/{facts['token']}"
    stop_url = _stop_url(desk, row)
    if row.origin == "reply":
        facts["stop_url"] = stop_url
    return _system_words(desk, row, brand, body["template"], row.locale, facts), stop_url


def _question(desk: _Others, row: Row[Any], brand: Row[Any]) -> tuple[Filled, str]:
    """A mail that asks for a yes: to what somebody typed the address for, or whether a consent shall go on."""
    token = desk.ctx.tokens.issue(Purpose.CONFIRM, row.confirmation_ref, desk.now)
    stop_url = _stop_url(desk, row)
    facts: dict[str, Any] = {
        "topics": desk.asked[row.confirmation],
        "confirm_url": f"{desk.ctx.settings.public_url}/confirm/{token}",
        "hidden_url": hidden_url(desk.ctx, row.confirmation_ref, desk.now),
    }
    if row.about == "address":
        move = desk.ctx.tokens.issue(Purpose.MOVE, row.confirmation_ref, desk.now)
        facts["confirm_url"] = f"{desk.ctx.settings.public_url}/moving/{move}"
        return _system_words(desk, row, brand, "address-arrives", row.confirmation_locale, facts), stop_url
    if row.about == "renewal":
        facts |= {"stop_url": stop_url, "ends": day(row.ends, desk.house, row.confirmation_locale)}
        return _system_words(desk, row, brand, "go-on", row.confirmation_locale, facts), stop_url
    return _system_words(desk, row, brand, "confirmation", row.confirmation_locale, facts), stop_url


def _why_url(desk: _Others, row: Row[Any]) -> str:
    """What every mail of ours holds: the page that explains it."""
    return f"{desk.ctx.settings.public_url}/why/{desk.ctx.tokens.issue(Purpose.WHY, row.ref, desk.now)}"


def _stop_url(desk: _Others, row: Row[Any]) -> str:
    return f"{desk.ctx.settings.public_url}/stop/{desk.ctx.tokens.issue(Purpose.STOP, row.ref, desk.now)}"


def _system_words(
    desk: _Others, row: Row[Any], brand: Row[Any], template: str, locale: str, facts: Mapping[str, Any]
) -> Filled:
    shared = {
        "sender": brand.name,
        "controller": desk.controller.name,
        "postal_address": brand.postal_address,
        "reference": _grouped(row.code),
        "why_url": _why_url(desk, row),
    }
    return system.render(template, locale, {**shared, **facts})


def _invitation_contents(desk: _Others, row: Row[Any], brand: Row[Any]) -> tuple[Filled, str]:
    """From the site's own address, one press away from never again (RFC 8058); no list, no tracking."""
    stop_url = _stop_url(desk, row)
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
            why_url=_why_url(desk, row),
        )
        return asks, stop_url
    words = Words(
        inviter=inviter,
        note=desk.keys.text(row.inviter, row.note_box) or "",
        relationship=Relationship(row.relationship),
        locale=row.invitation_locale,
        asked=row.asked,
        expires=row.expires,
        is_reminder=bool(row.is_reminder),
    )
    links = replace(links_of(desk.ctx, row.invitation, desk.now), why=_why_url(desk, row))
    return write_invitation(words, links, desk.house, brand.name), stop_url


def _grouped(code: str) -> str:
    """K7Q2-M9XR-T4: as people read it out."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _sender(ctx: Context, brand: Row[Any]) -> Sender:
    return Sender(brand.name, f"{brand.from_local}@{brand.from_domain}", _signers(ctx, brand))


def _signers(ctx: Context, brand: Row[Any]) -> tuple[dkim.Signer, ...]:
    folder, minute = ctx.settings.instance / "dkim", int(time.monotonic() // 60)
    return _loaded(folder, brand.ref, brand.from_domain, brand.dkim_selector, minute)


@lru_cache(maxsize=32)
def _loaded(folder: Path, brand: bytes, domain: str, selector: str, _minute: int) -> tuple[dkim.Signer, ...]:
    """Read at most once a minute, so that a new key is taken up without a restart."""
    try:
        return tuple(_signer(domain, name, path.read_bytes()) for name, path in key_files(folder, brand, selector))
    except (OSError, ValueError):
        raise SettingsError(f"dkim/{brand.hex()}: a signing key is missing or not readable") from None


@lru_cache(maxsize=32)
def _signer(domain: str, selector: str, pem: bytes) -> dkim.Signer:
    """The same one while the key is, so that forms made with it stay good."""
    return dkim.Signer(domain=domain, selector=selector, key=dkim.load_key(pem))
