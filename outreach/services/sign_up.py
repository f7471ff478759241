"""The public door: one request row a submission, and the same answer whoever's address it was.

The engine does the rest (services/requests.py). What an embedding page submits is only its claim;
consent is the owner's press on our page (services/confirm.py).
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError
from outreach.services.context import Context
from outreach.services.public_text import House, Promise, offered, read_house
from outreach.services.requests import process_requests
from outreach.store import requests
from outreach.store.boxes import seal

__all__ = ["Received", "SignUp", "process_requests", "seconds_since", "stamp", "submit_sign_up", "write_request"]

_HOUR = 3_600_000_000
_LONGEST_FACT = 500


@dataclass(frozen=True, kw_only=True)
class SignUp:
    """One submitted form. `topics`: slugs ticked; `network`: the caller's prefix, `ip` the whole; `honey`: the field
    people do not see; `seconds`: from showing the form to sending it, None where the form could not tell.
    """

    address: str
    topics: Sequence[str]
    locale: str
    form_url: str
    network: str
    ip: str
    browser: str = ""
    seconds: float | None = None
    honey: str = ""


@dataclass(frozen=True)
class Received:
    """The answer: the same for known, unknown and barred addresses."""

    house: House
    topics: tuple[Promise, ...]


def submit_sign_up(ctx: Context, command: SignUp) -> Received:
    """Note what was asked for. Raises InvalidInputError (field "address" or "topics") for what cannot be meant."""
    address = addresses.parse(command.address)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        house = read_house(conn)
        topics = choose(conn, house, command.locale, command.topics)
        too_fast = command.seconds is not None and command.seconds < ctx.settings.sign_up_seconds
        write_request(
            conn,
            ctx,
            now,
            door="sign-up",
            network=command.network,
            address=address.exact,
            topics=topics,
            facts={
                "locale": command.locale,
                "form_url": command.form_url[:_LONGEST_FACT],
                "ip": command.ip,
                "browser": command.browser[:_LONGEST_FACT],
                "seconds": command.seconds,
            },
            not_before=now + _HOUR if too_fast else now,
            settled=now if command.honey else None,
        )
        return Received(house, tuple(topics))


def choose(conn: Connection, house: House, locale: str, slugs: Sequence[str]) -> list[Promise]:
    """The topics of `slugs`. Raises InvalidInputError when there is none or one is not open."""
    wanted = set(slugs)
    if not wanted:
        raise InvalidInputError("Choose at least one topic.", field="topics")
    chosen = [topic for topic in offered(conn, house, locale) if topic.slug in wanted]
    if len(chosen) != len(wanted):
        raise InvalidInputError("One of these topics is no longer offered. Choose again.", field="topics")
    return chosen


def write_request(
    conn: Connection,
    ctx: Context,
    now: int,
    *,
    door: str,
    network: str,
    address: str,
    topics: Sequence[Promise],
    facts: Mapping[str, Any],
    not_before: int,
    settled: int | None = None,
) -> None:
    """Write the request row of a door; what was typed is sealed under the doors' key until the engine took it."""
    payload = {"address": address, "topics": [topic.name for topic in topics], "received": now, **facts}
    requests.put_request(
        conn,
        now,
        door=door,
        network=ctx.keyring.blind("network", network),
        payload_box=seal(ctx.keyring.doors, json.dumps(payload, ensure_ascii=False).encode()),
        not_before=not_before,
        settled=settled,
    )


def stamp(ctx: Context) -> str:
    """A signed note of when a form was shown, for the form to carry."""
    with ctx.db.reading() as conn:
        now = str(ctx.db.now(conn))
    return f"{now}.{_signature(ctx, now)}"


def seconds_since(ctx: Context, stamped: str) -> float | None:
    """Seconds since `stamp`; None for a form without one, or with one that is not ours."""
    shown, _, signature = stamped.partition(".")
    if not shown.isdecimal() or not hmac.compare_digest(signature.encode(), _signature(ctx, shown).encode()):
        return None
    with ctx.db.reading() as conn:
        return (ctx.db.now(conn) - int(shown)) / 1_000_000


def _signature(ctx: Context, shown: str) -> str:
    return hmac.digest(ctx.keyring.doors, f"form shown\0{shown}".encode(), "sha256").hex()[:32]
