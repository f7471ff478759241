"""Invitations put straight into the store, for tests of what is made of them afterwards."""

import itertools
import secrets
from typing import Any

from outreach.domain.invitation import REFUSALS
from outreach.services.context import Context
from outreach.store import invitations
from outreach.store.audit import Entry, record
from tests.factories import MadeMember

_seconds = itertools.count(1)


def invited(
    ctx: Context, inviter: MadeMember, answer: str = "", *, way: str = "mail", days: float = 1, **more: Any
) -> bytes:
    """An invitation made `days` ago, and answered a second later if `answer` is given; its ref."""
    ref = secrets.token_bytes(16)
    with ctx.db.transaction() as conn:
        asked = ctx.db.now(conn) - int(days * 86_400_000_000) + next(_seconds)
        row = {
            "ref": ref,
            "member": inviter.id,
            "way": way,
            "locale": "en",
            "asked": asked,
            "expires": asked,
            **more,
        }
        if answer:
            row |= {"answer": answer, "answered": asked + 1_000_000}
            if answer == "reported":
                row.setdefault("report", "unwanted")
            record(conn, asked, _ending(ref, answer, row.get("report")))
        invitations.add(conn, **row)
    return ref


def _ending(ref: bytes, answer: str, why: Any) -> Entry:
    kind = answer if answer in {"expired", "cancelled"} else "answered"
    body = {"invitation": ref.hex(), **({"answer": answer, "why": why} if kind == "answered" else {})}
    actor = "recipient" if answer in {"accepted", *REFUSALS} else "engine"
    return Entry(kind=f"invitation.{kind}", actor=actor, body=body)
