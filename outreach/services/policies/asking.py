"""What an act that needs a second person asks for, and how it is asked: bound to exactly what was asked, for a time.

Where nobody but the asker could approve, a day's delay takes the second person's place; it stands in the log from the
moment of asking, and ends as soon as somebody else could answer.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import Actor
from outreach.domain.errors import ConflictError
from outreach.store import approvals as store
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record

HOUR = 3_600_000_000
DELAY_HOURS = 24
VALID_DAYS = 7
"""So long a request can be answered, and an approval used."""


class Act(StrEnum):
    """What may need a second person."""

    CAMPAIGN = "campaign"
    REVEAL = "reveal"
    POLICY = "policy"


class WaitsError(ConflictError):
    """What was pressed waits for a second yes, which has been asked for."""

    def __init__(self, asked: Asked, kept: str) -> None:
        who = (
            "nobody else could approve it, so it waits 24 hours" if asked.ripe else "a second person has to approve it"
        )
        super().__init__(f"Asked for, and noted in the log: {who}. {kept}")
        self.asked = asked


@dataclass(frozen=True)
class Subject:
    """Exactly what is asked. `about`: ref of the campaign or contact; `bound`: all that may not differ when it is done;
    `shown`: numbers beside it for whoever answers.
    """

    about: bytes | None
    bound: Mapping[str, Any]
    shown: Mapping[str, Any] = field(default_factory=dict)

    def digest(self, act: Act) -> bytes:
        """32 bytes that any other content, audience or value would change."""
        exact = {"act": str(act), "bound": dict(self.bound), "about": self.about.hex() if self.about else None}
        return hashlib.sha256(json.dumps(exact, sort_keys=True, ensure_ascii=False).encode()).digest()


def ask_in(
    conn: Connection, now: int, actor: Actor, act: Act, subject: Subject, reason: str, *, until: int = 0
) -> Asked:
    """Ask, inside the caller's transaction; what this person has asked already is not asked twice.

    `reason`: checked by the caller, addresses masked. `until`: it can be answered and used a week longer than this.
    """
    digest = subject.digest(act)
    held = store.open_like(conn, act, digest, now)
    if held is not None and held.asker == actor.name:
        return held
    others = store.approvers(conn, but=actor.staff_id)
    is_alone = not others and actor.staff_id in store.approvers(conn)
    made = store.add(
        conn,
        act=str(act),
        about=subject.about,
        digest=digest,
        body={"bound": dict(subject.bound), "shown": dict(subject.shown)},
        reason=reason,
        asker=actor.name,
        staff=actor.staff_id,
        asked=now,
        ripe=now + DELAY_HOURS * HOUR if is_alone else None,
        expires=max(now, until) + VALID_DAYS * 24 * HOUR,
    )
    record(conn, now, entry_of(made, "asked", actor.name, reason=reason, ripe=made.ripe))
    return made


def entry_of(asked: Asked, event: str, actor: str, **body: Any) -> Entry:
    """An audit entry about a request."""
    kept = {"approval": asked.ref.hex(), "act": asked.act, "digest": asked.digest.hex(), **body}
    about = {"campaign": {"campaign": asked.about}, "reveal": {"contact": asked.about}}.get(asked.act, {})
    return Entry(kind=f"approval.{event}", actor=actor, body=kept, **about)
