"""Mails whose server took the last line and gave no answer, as the pipeline records them."""

import secrets
from collections.abc import Sequence

from sqlalchemy import insert

from outreach.services.context import Context
from outreach.store.contacts import Person
from outreach.store.messages import Ended, Settled, add_attempts, settle
from outreach.store.schema.campaigns import message
from outreach.store.tally import add

SILENCE = "The worker stopped between the final dot and the reply"
MINUTE = 60_000_000


def lost_in_the_air(
    ctx: Context,
    people: Sequence[Person],
    *,
    campaign: int | None = None,
    topic: int | None = None,
    reply: str = SILENCE,
    relay: str | None = None,
    ago: int = 60,
) -> list[bytes]:
    """One mail to each, attempted `ago` minutes before now and never answered; their refs."""
    refs = [secrets.token_bytes(16) for _ in people]
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn) - ago * MINUTE
        ids = []
        for ref, person in zip(refs, people, strict=True):
            row = {
                "ref": ref,
                "origin": "notice" if campaign is None else "campaign",
                "kind": "informational",
                "lane": "x",
                "contact": person.id,
                "mailbox": person.mailbox,
                "campaign": campaign,
                "topic": topic,
                "state": "attempted",
                "planned": now,
                "due": now,
                "attempts": 1,
                "worker": "w1",
                "lease": now,
            }
            ids.append(conn.execute(insert(message).values(row).returning(message.c.id)).scalar_one())
        if campaign is not None:
            add(conn, now, campaign, {("planned", None): len(ids)})
        settle(conn, now, [Settled(one, "unknown", "no_reply", counted=now) for one in ids], "attempted")
        add_attempts(conn, [Ended(one, 1, now - MINUTE, "w1", now, "unknown", None, reply, relay) for one in ids])
    return refs
