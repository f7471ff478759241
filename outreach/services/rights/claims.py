"""Proof of what an erased person agreed to, kept for legal claims alone until a date the person was told.

GDPR 17(3)(e) and 18: it is boxed under a key of its own, nothing reads it but an officer with a reason, and then it is
destroyed. Only who ever agreed to something leaves such proof.
"""

import hmac
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import ENGINE, Actor, Role
from outreach.domain.consent import GIVING, LIVE
from outreach.domain.errors import NotFoundError
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.services.rights.held import consents_of, events_of, plain, you_of
from outreach.store import policies
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, seal, unseal
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent, consent_event, topic
from outreach.store.schema.people import contact

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Hold:
    """One proof that is kept. `contact`: the ref the person had; instants in UTC microseconds."""

    ref: bytes
    contact: bytes
    made: int
    until: int


def kept_until(conn: Connection, contact_id: int, now: int) -> int | None:
    """Until when proof about this person would be kept, were they erased now; None for none.

    As long as it would have been kept without the erasure: from the end of each consent, which is now for a live one,
    for the days its topic sets and the policy of retention allows.
    """
    agreed = select(consent_event.c.topic).where(
        consent_event.c.contact == contact_id, consent_event.c.event.in_(GIVING)
    )
    query = (
        select(topic.c.retention_days, consent.c.state, consent.c.since)
        .join(consent, (consent.c.topic == topic.c.id) & (consent.c.contact == contact_id))
        .where(topic.c.id.in_(agreed))
    )
    most = policies.value_at(conn, Name.RETENTION, now)["most_days"]
    ends = [
        (now if row.state in LIVE else row.since) + min(row.retention_days, most) * _DAY for row in conn.execute(query)
    ]
    return max((end for end in ends if end > now), default=None)


def hold(conn: Connection, ctx: Context, now: int, contact_id: int, contact_ref: bytes, until: int) -> None:
    """Keep the proof, before the person's own key is destroyed; inside the caller's transaction."""
    keys = ContactKeys(ctx.keyring, conn)
    proof = {
        "you": you_of(conn, keys, contact_id),
        "consents": consents_of(conn, contact_id),
        "events": events_of(conn, keys, contact_id),
        "mails": list(_mails(conn, keys, contact_id)),
    }
    box = seal(_key(ctx), zlib.compress(json.dumps(proof, ensure_ascii=False).encode()))
    ref = store.add_hold(conn, contact_ref=contact_ref, made=now, until=until, box=box)
    body = {"hold": ref.hex(), "until": until}
    record(conn, now, Entry(kind="claims.held", actor=ENGINE.name, contact=contact_ref, body=body))


def list_holds(ctx: Context, actor: Actor) -> list[Hold]:
    """Every proof that is kept, without what it holds."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return [Hold(*row) for row in store.holds(conn)]


def see_hold(ctx: Context, actor: Actor, ref: bytes) -> Hold:
    """One of them. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return _found(conn, ref)


def reveal_hold(ctx: Context, actor: Actor, ref: bytes, reason: str) -> dict[str, Any]:
    """The proof itself: `you`, `consents`, `events`, `mails`. Audited with the reason.

    Raises InvalidInputError (field "reason"), NotFoundError.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "which claim it is needed for", "Nothing was shown.")
    with ctx.db.transaction() as conn:
        kept = _found(conn, ref)
        row = store.hold_by_ref(conn, ref)
        assert row is not None  # noqa: S101  found above, in this transaction
        body = {"hold": ref.hex(), "reason": said}
        entry = Entry(kind="claims.revealed", actor=actor.name, contact=kept.contact, body=body)
        record(conn, ctx.db.now(conn), entry)
        proof: dict[str, Any] = json.loads(zlib.decompress(unseal(_key(ctx), row.proof_box)))
        return proof


def release_hold(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Destroy a proof before its date. Raises InvalidInputError (field "reason"), NotFoundError."""
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why it is not needed any more", "The proof is still kept.")
    with ctx.db.transaction() as conn:
        kept = _found(conn, ref)
        store.drop_hold(conn, ref)
        body = {"hold": ref.hex(), "reason": said}
        entry = Entry(kind="claims.released", actor=actor.name, contact=kept.contact, body=body)
        record(conn, ctx.db.now(conn), entry)


def end_holds(ctx: Context) -> int:
    """For the engine: destroy proof whose date has come. Returns how many."""
    with ctx.db.reading() as conn:
        if not store.ended_holds(conn, ctx.db.now(conn)):
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ended: Sequence[Any] = store.ended_holds(conn, now)
        for row in ended:
            store.drop_hold(conn, row.ref)
        entries = (
            Entry(kind="claims.ended", actor=ENGINE.name, contact=row.contact, body={"hold": row.ref.hex()})
            for row in ended
        )
        record(conn, now, *entries)
        return len(ended)


def _found(conn: Connection, ref: bytes) -> Hold:
    row = store.hold_by_ref(conn, ref)
    if row is None:
        raise NotFoundError("No such proof is kept. If there was one, its date has come.")
    return Hold(row.ref, row.contact, row.made, row.until)


def _mails(conn: Connection, keys: ContactKeys, contact_id: int) -> Any:
    """The mails that asked for confirmation, as they left."""
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    theirs = (message.c.mailbox == own, message.c.contact == contact_id, message.c.origin == "confirmation")
    query = select(message.c.settled, message.c.body_box).where(*theirs, message.c.body_box.is_not(None))
    for row in conn.execute(query.order_by(message.c.id)):
        shown = keys.facts(contact_id, row.body_box)
        yield {"sent": row.settled, "subject": shown.get("subject", ""), "text": plain(shown.get("text", ""))}


def _key(ctx: Context) -> bytes:
    """A key for this alone: erasing a person destroys theirs, and leaves this one."""
    return hmac.digest(ctx.keyring.doors, b"outreach proof kept for claims", "sha256")
