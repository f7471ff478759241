"""For the engine: asks the owner of a new address, and takes things along once they said yes and days have passed.

Whoever the new address belongs to, known or not, barred or not, is looked up here and never at the door: the room
tells nobody. Consents go with the evidence they rest on, under the same texts, caps and pauses; the ledger goes with
them, so that a promise holds across both addresses. What a person has agreed to at the new address already stays as it
is. Account, connections and conversations go with them where the code of the old room was typed (`belongings.py`);
else they stay with the old address. The note of where it all went stays there in any case.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from outreach.domain import addresses
from outreach.domain.actors import ENGINE, RECIPIENT
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.rights import Kind
from outreach.domain.rights import State as RequestState
from outreach.services import outbox
from outreach.services.budgets import Budgets
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.public_text import Promise
from outreach.services.room import belongings
from outreach.services.room.moving import LIFETIME, end, goes, is_barred, lock_move, topics_along, was_whole
from outreach.store import address_moves as store
from outreach.store import connections, consents, requests, rights, suppressions
from outreach.store import room as room_store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, ensure_contact, find_by_address, find_by_id
from outreach.store.planning import take_planners_turn

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_MOST = 50

log = structlog.get_logger()


def process_moves(ctx: Context) -> int:
    """Look at every change of address that is due, each alone. Returns how many."""
    with ctx.db.reading() as conn:
        refs = store.due(conn, ctx.db.now(conn), limit=_MOST)
    for ref in refs:
        try:
            with ctx.db.transaction() as conn:
                take_planners_turn(conn)
                _take(conn, ctx, ref)
        except OperationalError:
            raise
        except Exception as error:
            log.error("move.failed", move=ref.hex(), error=type(error).__name__)
            with ctx.db.transaction() as conn:
                row = lock_move(conn, ref)
                store.change(conn, row.id, due=ctx.db.now(conn) + _HOUR)
    return len(refs)


def _take(conn: Connection, ctx: Context, ref: bytes) -> None:
    found = store.by_ref(conn, ref)
    is_locked = found is None or found.target is None or belongings.lock(conn, found.contact, found.target)
    row = lock_move(conn, ref)
    now = ctx.db.now(conn)
    if row.ended is not None or row.due > now:
        return
    old = find_by_id(conn, row.contact)
    along = topics_along(conn, row)
    is_whole = row.target is None or was_whole(ContactKeys(ctx.keyring, conn), row)
    if old is None or not goes(conn, row, along, is_whole=is_whole) or _may_not_go(conn, row.contact):
        end(conn, now, row, "lapsed", ENGINE)
    elif row.target is None:
        _ask(conn, ctx, now, row, old, along)
    elif row.confirmed is None or not connections.held(conn, [row.target]) or is_barred(conn, row.target):
        end(conn, now, row, "lapsed", ENGINE)
    elif not is_locked or store.is_in_the_way(conn, old.id, [topic.topic for topic in along]):
        store.change(conn, row.id, due=now + _MINUTE)
    else:
        _carry(conn, ctx, now, row, old, along, is_whole=is_whole)


def _ask(conn: Connection, ctx: Context, now: int, row: store.MoveRow, old: Person, along: Collection[Promise]) -> None:
    """Ask the new address, within the budgets of every mail that typing can cause, unless a bar forbids it."""
    budgets = Budgets(conn, ctx, now)
    if until := budgets.wait(row.network):
        store.change(conn, row.id, due=until)
        return
    budgets.settle(row.network)
    keys = ContactKeys(ctx.keyring, conn)
    new = _meet(conn, ctx, now, keys, old, addresses.parse(keys.facts(old.id, row.asked_box)["address"]))
    confirmation = requests.add_confirmation(
        conn,
        contact=new.id,
        about="address",
        locale=new.locale,
        network=row.network,
        requested=row.asked,
        created=now,
        expires=now + LIFETIME,
        evidence_box=keys.seal(new.id, {"move": row.ref.hex()}),
    )
    requests.ask_about(conn, confirmation, {topic.topic: topic.text for topic in along})
    store.change(conn, row.id, target=new.id, confirmation=confirmation, expires=now + LIFETIME, due=now + LIFETIME)
    mail, entries = _mail(conn, now, budgets, new, confirmation)
    body = {"move": row.ref.hex(), "mail": "withheld" if entries else "queued"}
    asked = Entry(kind="address.requested", actor=ENGINE.name, contact=new.ref, message=mail, body=body)
    record(conn, now, *entries, asked)


def _meet(
    conn: Connection, ctx: Context, now: int, keys: ContactKeys, old: Person, address: addresses.Address
) -> Person:
    """Whoever the new address belongs to, locked together with the old one in id order."""
    known = find_by_address(conn, ctx.keyring, address)
    consents.lock_contacts(conn, {old.id} if known is None else {old.id, known.id})
    return ensure_contact(conn, ctx.keyring, keys, address, now=now, locale=old.locale, timezone=old.timezone)


def _mail(conn: Connection, now: int, budgets: Budgets, new: Person, confirmation: int) -> tuple[bytes, list[Entry]]:
    """(ref of the mail, entries): queued, or withheld with the entry that says so. As many entries either way."""
    keys = consents.bar_keys(conn, new.id)
    bars = [bar.kind for bar in suppressions.live(conn, keys) if bar.lift != "owner"]
    reason = "budget" if budgets.is_spent(keys[1]) else next(iter(bars), "")
    if not reason:
        budgets.spend(keys[1])
        return outbox.queue_confirmation(conn, now, new, confirmation, due=now), []
    if reason != "budget":
        requests.spend(conn, now, {keys[1]})
    lane = outbox.CONFIRMATION_LANE
    ref = requests.add_withheld(conn, now, new.id, new.mailbox, lane, confirmation, reason)
    body = {"state": "withheld", "reason": reason}
    return ref, [Entry(kind="message.withheld", actor="engine", contact=new.ref, message=ref, body=body)]


def _carry(
    conn: Connection,
    ctx: Context,
    now: int,
    row: store.MoveRow,
    old: Person,
    along: Collection[Promise],
    *,
    is_whole: bool,
) -> None:
    new = find_by_id(conn, row.target)
    assert new is not None  # noqa: S101  looked at and locked by `_take`
    keys = ContactKeys(ctx.keyring, conn)
    before = {one.topic: one for one in consents.held(conn, [new.id])}
    ceilings = [store.settings_of(conn, one.id) for one in (old, new)]
    missing = [topic for topic in along if topic.topic not in before or before[topic.topic].state not in LIVE]
    for changes in _given(conn, keys, row, old, new, missing):
        apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
    gone = {"act": "taken along to another address", "move": row.ref.hex()}
    ended = [
        Change(contact=old.id, topic=one.topic, event=Event.WITHDRAWN, text=one.text, evidence=gone) for one in along
    ]
    apply_changes(conn, ctx, now, actor=RECIPIENT, changes=ended)
    _hand_over_settings(conn, keys, old, new, *ceilings, is_new=not before)
    if old.mailbox != new.mailbox:
        store.hand_over_ledger(conn, old.id, new.mailbox)
    taken = belongings.take_along(conn, ctx, now, row.ref, old, new) if is_whole else belongings.Taken()
    answer = keys.facts(new.id, row.answer_box) | {"account": taken.account}
    store.change(conn, row.id, ended=now, outcome="moved", answer_box=keys.seal(new.id, answer))
    body = {"move": row.ref.hex(), "topics": [topic.name for topic in along], "given": len(missing), **asdict(taken)}
    entries = [Entry(kind="address.moved", actor=ENGINE.name, contact=one.ref, body=body) for one in (old, new)]
    record(conn, now, *entries)
    erase_strangers(conn, now, [old.id], actor=ENGINE, reason="taken along to another address")


def _given(
    conn: Connection,
    keys: ContactKeys,
    row: store.MoveRow,
    old: Person,
    new: Person,
    topics: Collection[Promise],
) -> list[list[Change]]:
    """What the new address gets, in the order it is applied: the consents, then own limits, then pauses."""
    held = {one.topic: one for one in consents.held(conn, [old.id])}
    agreed = room_store.agreements(conn, old.id)
    asked, answer = keys.facts(old.id, row.asked_box), keys.facts(new.id, row.answer_box)
    told = {**answer, "move": row.ref.hex(), "confirmed": row.confirmed, "requested": row.asked}
    told["asked"] = {name: asked.get(name, "") for name in ("ip", "browser")}
    mail = requests.last_mail(conn, row.confirmation, new.id)
    given, limited, paused = [], [], []
    for topic in topics:
        was = agreed.get(topic.topic)
        source = {} if was is None else keys.facts(old.id, was.evidence_box)
        evidence = {**told, **_words(topic), "before": {"event": was.event, "at": was.at, **source} if was else {}}
        since = None if was is None else int(source.get("given", was.at))
        base = Change(
            contact=new.id,
            topic=topic.topic,
            event=Event.CONFIRMED,
            text=topic.text,
            evidence=evidence,
            message_ref=None if mail is None else mail.ref,
        )
        given.append(replace(base, agreed=since))
        here = held[topic.topic]
        if here.own is not None:
            limited.append(replace(base, event=Event.LIMITED, own=here.own, evidence=told))
        if here.state == State.PAUSED:
            paused.append(replace(base, event=Event.PAUSED, paused_until=here.paused_until, evidence=told))
    return [given, limited, paused]


def _words(topic: Promise) -> Mapping[str, Any]:
    """What was agreed to, as the evidence of every consent names it."""
    return {
        "wording": topic.wording,
        "title": topic.title,
        "version": topic.version,
        "text": topic.text_ref.hex(),
        "text_locale": topic.locale,
        "box": "none: all or nothing, one button",
    }


def _hand_over_settings(
    conn: Connection, keys: ContactKeys, old: Person, new: Person, theirs: Any, had: Any, *, is_new: bool
) -> None:
    """What the old address set for all mail, for somebody who had set nothing here; the tighter ceiling in any case."""
    values: dict[str, Any] = {}
    now = store.settings_of(conn, new.id)
    shown = [(one.ceiling_n, one.ceiling_window) for one in (theirs, had, now) if one.ceiling_n is not None]
    if shown:
        values["ceiling_n"], values["ceiling_window"] = min(shown, key=lambda cap: cap[0] / cap[1])
    if is_new:
        names = ("locale", "timezone", "quiet_from", "quiet_to")
        values |= {name: getattr(theirs, name) for name in names}
        fields = keys.facts(old.id, theirs.fields_box)
        values["fields_box"] = keys.seal(new.id, fields) if fields else None
    if had.own_total_n is None:
        values |= {"own_total_n": theirs.own_total_n, "own_total_window": theirs.own_total_window}
    if values:
        store.change_settings(conn, new.id, **values)


def _may_not_go(conn: Connection, contact_id: int) -> bool:
    """Erased, about to be, or restricted."""
    asked = rights.of_contact(conn, contact_id)
    is_leaving = any(one.kind == Kind.ERASURE and one.state == RequestState.CARRYING_OUT for one in asked)
    bars = suppressions.live(conn, consents.bar_keys(conn, contact_id))
    is_held = bool(connections.held(conn, [contact_id]))
    return is_leaving or not is_held or any(bar.kind == "restricted" for bar in bars)
