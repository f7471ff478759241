"""The second yes: what waits for one, giving or refusing it, and the day's delay where there is nobody else.

Whoever asked never answers, nor does anybody who reads the same mailbox. An approval is of exactly what was asked: its
digest covers content, audience and value. It is given once, ends after a week, and every step is in the log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from outreach.domain.actors import ENGINE, Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.policies import changes
from outreach.services.policies.asking import Act, Subject, ask_in, entry_of
from outreach.services.reasons import check_reason
from outreach.store import approvals as store
from outreach.store import campaigns as campaign_rows
from outreach.store.approvals import Asked
from outreach.store.audit import record
from outreach.store.boxes import ContactKeys
from outreach.store.planning import take_planners_turn
from outreach.store.policies import DAY
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign, content
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact

REVEALS_DAYS = 30
PAST = 50


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What whoever answers sees beside the button. `mine`: the reader asked it, or reads the asker's mailbox.

    `campaign_name`, `subject`, `preheader`, `words`: of the frozen content, for a campaign. `reveals`: how many
    addresses the asker was shown within REVEALS_DAYS.
    """

    asked: Asked
    asker_name: str
    mine: bool
    campaign_name: str = ""
    subject: str = ""
    preheader: str = ""
    words: str = ""
    reveals: int = 0


@dataclass(frozen=True)
class Desk:
    """What waits, oldest first, and what was answered lately, newest first."""

    waiting: tuple[Evidence, ...]
    past: tuple[Evidence, ...]


def ask(ctx: Context, actor: Actor, act: Act, subject: Subject, reason: str) -> bytes:
    """Ask for a second yes. Returns the request's ref; asking the same again returns the same."""
    said = check_reason(reason, "why you ask", "Nothing was asked.")
    with ctx.db.transaction() as conn:
        return ask_in(conn, ctx.db.now(conn), actor, act, subject, said).ref


def waiting(conn: Connection, now: int) -> list[Asked]:
    """What nobody has answered yet, oldest first."""
    return store.waiting(conn, now)


def is_granted(conn: Connection, act: Act, subject: Subject, now: int) -> bool:
    """Whether exactly this was approved, and that was neither used nor is past its time."""
    return store.granted(conn, str(act), subject.digest(act), now) is not None


def approve(ctx: Context, actor: Actor, ref: bytes) -> Asked:
    """Say yes. A change of policy is made by it. Raises NotAllowedError for whoever asked, ConflictError when it was
    answered already, is past its time, or what it is about was changed meanwhile.
    """
    return _answer(ctx, actor, ref, "approved", "")


def decline(ctx: Context, actor: Actor, ref: bytes, reason: str) -> Asked:
    """Say no, and why; whoever asked may take back their own so. Raises as `approve`, and InvalidInputError."""
    return _answer(ctx, actor, ref, "declined", check_reason(reason, "why not", "Nothing was answered."))


def settle_due(ctx: Context) -> int:
    """Grant what has waited its day for want of anybody else, and end what is past its time. For the engine.

    Returns how many were looked at.
    """
    with ctx.db.reading() as conn:
        due = store.due(conn, ctx.db.now(conn))
    for ref in due:
        with ctx.db.transaction() as conn:
            take_planners_turn(conn)
            asked = store.by_ref(conn, ref, lock=True)
            if asked is not None and asked.state == "asked":
                _settle_due(conn, ctx.db.now(conn), asked)
    return len(due)


def see_desk(ctx: Context, actor: Actor) -> Desk:
    """Every open request with its evidence, and the newest answers. For an officer."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        seen = _evidence(conn, ctx, actor)
        open_ones = tuple(seen(one) for one in store.waiting(conn, ctx.db.now(conn)))
        return Desk(open_ones, tuple(seen(one) for one in store.past(conn, PAST)))


def see_request(ctx: Context, actor: Actor, ref: bytes) -> Evidence:
    """One request with its evidence. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        asked = store.by_ref(conn, ref)
        if asked is None:
            raise NotFoundError("There is no such request.")
        return _evidence(conn, ctx, actor)(asked)


def _answer(ctx: Context, actor: Actor, ref: bytes, state: str, words: str) -> Asked:
    actor.must_be(Role.OFFICER)
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)  # a policy may change, and nobody asks and answers at once
        now = ctx.db.now(conn)
        asked = store.by_ref(conn, ref, lock=True)
        if asked is None:
            raise NotFoundError("There is no such request.")
        if asked.state != "asked" or asked.expires <= now:
            raise ConflictError("This was answered already, or is past its time. Nothing was changed.")
        if state == "approved":
            _must_be_another(conn, asked, actor)
            if asked.act == Act.POLICY:
                changes.carry_out(conn, now, asked)
        _settle(conn, now, asked, state, actor.name, words)
        return asked


def _must_be_another(conn: Connection, asked: Asked, actor: Actor) -> None:
    if _is_same_human(conn, asked, actor):
        raise NotAllowedError("You asked for this yourself; a second person has to answer. Nothing was changed.")


def _is_same_human(conn: Connection, asked: Asked, actor: Actor) -> bool:
    """The same account, whatever its sessions, another account of the same mailbox, or nobody we know."""
    if actor.staff_id is None or actor.name == asked.asker or actor.staff_id == asked.staff:
        return True
    if asked.staff is None:
        return False
    query = select(contact.c.mailbox).join(staff, staff.c.contact == contact.c.id)
    mailboxes = conn.execute(query.where(staff.c.id.in_([actor.staff_id, asked.staff]))).scalars().all()
    return len(set(mailboxes)) < 2


def _settle(conn: Connection, now: int, asked: Asked, state: str, answerer: str, words: str, **body: Any) -> None:
    if not store.settle(conn, asked, now, state, answerer=answerer, words=words):
        raise ConflictError("Somebody answered this at the same moment. Nothing was changed.")
    record(conn, now, entry_of(asked, state, answerer, asker=asked.asker, reason=words, **body))


def _settle_due(conn: Connection, now: int, asked: Asked) -> None:
    if asked.expires <= now:
        return _settle(conn, now, asked, "lapsed", ENGINE.name, "")
    if asked.ripe is None or asked.ripe > now:
        return None
    if store.approvers(conn, but=asked.staff) or asked.staff not in store.approvers(conn):
        store.wait_for_somebody(conn, asked)  # whoever came meanwhile can answer, and so has to
        return record(conn, now, entry_of(asked, "delay-ended", ENGINE.name))
    state = "approved"
    if asked.act == Act.POLICY:
        try:
            changes.carry_out(conn, now, asked)
        except (ConflictError, InvalidInputError):
            state = "lapsed"
    return _settle(conn, now, asked, state, ENGINE.name, "", waited_since=asked.asked)


def _evidence(conn: Connection, ctx: Context, actor: Actor) -> Callable[[Asked], Evidence]:
    keys = ContactKeys(ctx.keyring, conn)
    now = ctx.db.now(conn)

    def see(asked: Asked) -> Evidence:
        more: dict[str, Any] = {}
        if asked.act == Act.CAMPAIGN and asked.about is not None:
            more = _campaign(conn, asked)
        if asked.act == Act.REVEAL:
            more = {"reveals": _reveals(conn, asked.asker, now - REVEALS_DAYS * DAY)}
        name = _name(conn, keys, asked.staff)
        return Evidence(asked=asked, asker_name=name, mine=_is_same_human(conn, asked, actor), **more)

    return see


def _campaign(conn: Connection, asked: Asked) -> dict[str, Any]:
    """The words the request is bound to, as they were frozen."""
    one = campaign_rows.find_campaign(conn, asked.about or b"")
    if one is None:
        return {}
    query = (
        select(content.c.subject, content.c.preheader, content.c.body)
        .join(campaign, campaign.c.id == content.c.campaign)
        .where(campaign.c.id == one.id, content.c.sha256 == bytes.fromhex(asked.body["bound"]["content"]))
    )
    row = conn.execute(query.order_by(content.c.id.desc()).limit(1)).one_or_none()
    words = {} if row is None else {"subject": row.subject, "preheader": row.preheader, "words": row.body}
    return {"campaign_name": one.name, **words}


def _reveals(conn: Connection, actor: str, since: int) -> int:
    query = select(func.count()).select_from(audit_entry)
    shown = (audit_entry.c.kind == "contact.revealed", audit_entry.c.actor == actor, audit_entry.c.at > since)
    return int(conn.execute(query.where(*shown)).scalar_one())


def _name(conn: Connection, keys: ContactKeys, staff_id: int | None) -> str:
    query = select(contact.c.id, contact.c.fields_box).join(staff, staff.c.contact == contact.c.id)
    row = conn.execute(query.where(staff.c.id == (staff_id or 0))).one_or_none()
    return "" if row is None else str(keys.facts(row.id, row.fields_box).get("name", ""))
