"""How a request is answered: at once for a person who came by a fresh link, by an officer's decision otherwise.

Access and portability make a result the person opens themselves; correction changes what is held; objection ends all
mail; restriction holds all mail back and everything else as it is, until it is lifted; erasure is `erasure.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, update

from outreach import translations
from outreach.domain import plain_words
from outreach.domain.actors import Actor
from outreach.domain.campaign import zone
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.domain.rights import Kind, State
from outreach.services.confirm import bar_forever
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.services.rights.erasure import decide_erasure
from outreach.services.rights.notices import tell
from outreach.services.rights.requests import add_words, must_be_open
from outreach.services.rights.results import make_result
from outreach.store import consents, suppressions
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.people import contact

RESTRICTED = "restricted"


@dataclass(frozen=True)
class Correction:
    """What is to be right from now on; None leaves a value. `fields`: of the imported ones, by name; "" removes one."""

    name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


def decide(ctx: Context, actor: Actor, ref: bytes, reason: str, *, correction: Correction | None = None) -> str:
    """An officer carries a request out; `correction` for one of that kind. Returns the state it is in then.

    Raises InvalidInputError (field "reason", "name", "locale" or "timezone"), NotFoundError, ConflictError: when more
    proof of identity was asked for and has not come, or the person is on the staff and cannot be erased.
    """
    said = check_reason(reason, "how you know that it is theirs, and what you did", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, person = must_be_open(conn, actor, ref)
        if row.identity_asked is not None and row.identity_met is None:
            raise ConflictError("Proof of who they are was asked for and has not come. Nothing was changed.")
        if row.kind == Kind.CORRECTION and correction is None:
            raise InvalidInputError("Say what is to be right from now on.", "name")
        body = {"request": ref.hex(), "kind": row.kind, "reason": said}
        record(conn, now, Entry(kind="rights.carried-out", actor=actor.name, contact=person.ref, body=body))
        return perform(conn, ctx, now, person, row, actor=actor, correction=correction)


def refuse(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Refuse a request and tell the person why, and where they may complain (GDPR 12(4)). Raises as `decide`."""
    said = check_reason(reason, "why; the person is told", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, person = must_be_open(conn, actor, ref)
        add_words(conn, ctx, row, refusal=said)
        store.change(conn, row.id, state=State.REFUSED, decided=now, finished=now)
        tell(conn, ctx, now, person, "refused", row.kind, words=said)
        body = {"request": ref.hex(), "kind": row.kind, "reason": said}
        record(conn, now, Entry(kind="rights.refused", actor=actor.name, contact=person.ref, body=body))


def perform(
    conn: Connection,
    ctx: Context,
    now: int,
    person: Person,
    row: store.RequestRow,
    *,
    actor: Actor,
    correction: Correction | None = None,
) -> str:
    """Do what is asked for, inside the caller's transaction, the person locked. Returns the state after."""
    if row.kind == Kind.ERASURE:
        decide_erasure(conn, ctx, now, person, row, actor=actor)
        return State.CARRYING_OUT
    if row.kind in {Kind.ACCESS, Kind.PORTABILITY}:
        make_result(conn, ctx, now, person, row)
    elif row.kind == Kind.CORRECTION:
        correct(conn, ctx, now, person, correction or Correction(), actor=actor)
    elif row.kind == Kind.OBJECTION:
        bar_forever(conn, ctx, now, person.id, reason="objected to mail (GDPR 21)")
    else:
        restrict(conn, now, person, actor=actor)
    store.change(conn, row.id, state=State.DONE, decided=now, finished=now)
    body = {"request": row.ref.hex(), "kind": row.kind}
    record(conn, now, Entry(kind="rights.done", actor=actor.name, contact=person.ref, body=body))
    fresh = find_by_id(conn, person.id) or person  # the language may have been corrected
    tell(conn, ctx, now, fresh, "ready" if row.kind in {Kind.ACCESS, Kind.PORTABILITY} else "done", row.kind)
    return State.DONE


def correct(
    conn: Connection, ctx: Context, now: int, person: Person, wanted: Correction, *, actor: Actor
) -> tuple[str, ...]:
    """Put values right. Returns the names of those that changed. Raises InvalidInputError naming a field."""
    if wanted.locale is not None and translations.closest(wanted.locale) != wanted.locale:
        raise InvalidInputError("Choose one of the languages offered.", "locale")
    try:
        zone(wanted.timezone or person.timezone)
    except InvalidInputError as error:
        raise InvalidInputError(str(error), "timezone") from None
    keys = ContactKeys(ctx.keyring, conn)
    box = conn.execute(select(contact.c.fields_box).where(contact.c.id == person.id)).scalar_one()
    before = keys.facts(person.id, box)
    typed = {**wanted.fields, **({} if wanted.name is None else {"name": wanted.name})}
    named = {name: _checked(value) for name, value in typed.items() if name in before or name == "name"}
    after = {name: value for name, value in {**before, **named}.items() if value}
    values: dict[str, Any] = {"locale": wanted.locale or person.locale, "timezone": wanted.timezone or person.timezone}
    changed = [name for name in values if values[name] != getattr(person, name)]
    changed += sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        values |= {"fields_box": keys.seal(person.id, after) if after else None}
        conn.execute(update(contact).where(contact.c.id == person.id).values(**values))
        known = [name for name in changed if name in {"name", "locale", "timezone"}]
        body = {"changed": known, "fields": len(changed) - len(known)}
        record(conn, now, Entry(kind="contact.corrected", actor=actor.name, contact=person.ref, body=body))
    return tuple(changed)


def restrict(conn: Connection, now: int, person: Person, *, actor: Actor) -> None:
    """Hold back every mail to this address until somebody lifts it (GDPR 18). Twice is once."""
    address_key, _ = consents.bar_keys(conn, person.id)
    bar = suppressions.Bar(address_key, "address", RESTRICTED, "officer", "restricted as they asked (GDPR 18)")
    suppressions.put(conn, now, [bar])
    entry = Entry(kind="contact.barred", actor=actor.name, contact=person.ref, body={"bar": RESTRICTED})
    record(conn, now, entry)


def lift_restriction(conn: Connection, ctx: Context, now: int, person: Person, *, actor: Actor, reason: str) -> bool:
    """End a restriction and tell the person (GDPR 18(3)), in the caller's transaction. False when none stood."""
    address_key, _ = consents.bar_keys(conn, person.id)
    if not suppressions.lift_kind(conn, now, address_key, RESTRICTED):
        return False
    body = {"kind": RESTRICTED, "reason": reason}
    record(conn, now, Entry(kind="contact.bar-lifted", actor=actor.name, contact=person.ref, body=body))
    tell(conn, ctx, now, person, "lifted", Kind.RESTRICTION)
    return True


def _checked(value: str) -> str:
    """A corrected value: plain words, so that no mail it is put into leads anywhere; empty to remove it."""
    said = " ".join(value.split())
    return plain_words.check_name(said) if said else ""
