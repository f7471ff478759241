"""`python -m bench.same_answer`: whether the public doors take the same time for known, unknown and barred addresses.

Several kinds of address go through each door in turn, over a store with ten thousand people; medians of the same run
are compared. 1.00 means nothing can be told from the time. Prints `same_answer sign_up_known=… invite_member=… …`, each
a ratio to the unknown address: signing up, staff's sign-in and forgotten password, a member's invitation by mail,
asking through a connect link, and asking for an account, for the link to one's data and for the one to one's room.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from sqlalchemy import insert

from outreach.app import create_app
from outreach.config import Settings
from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.invitation import Policy, Way
from outreach.domain.policies import Name, of_inviting
from outreach.services.connect_links import make_link
from outreach.services.connections import connect
from outreach.services.context import Context, open_context
from outreach.services.invite import Draft, send_invitation
from outreach.services.passwords import hash_password
from outreach.store import invitations
from outreach.store.boxes import ContactKeys
from outreach.store.migrate import upgrade
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import suppression
from tests.factories import World

_PEOPLE = 10_000
_ROUNDS = 150
_WARM_UP = 20
_BARRED, _KNOWN, _COLLEAGUE = "person2@example.org", "person1@example.org", "person3@example.org"
_MEMBER, _FRIEND = "person4@example.org", "person5@example.org"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ctx = open_context(Settings(instance=Path(folder), http_limit="1000000/minute", sign_in_limit="1000000/minute"))
        upgrade(ctx.db)
        world = World(ctx)
        slug = _fill(ctx, world)
        inviter, link = _members(ctx, world)
        app = create_app(ctx, testing=True)
        app.config["WTF_CSRF_ENABLED"] = False
        sign_up = _times(lambda address: _post(app, "/sign-up", {"address": address, "topics": slug, "page": slug}))
        sign_in = _times(lambda address: _post(app, "/sign-in", {"address": address, "password": "not the password"}))
        forgot = _times(lambda address: _post(app, "/forgot", {"address": address}))
        start = _times(lambda address: _post(app, "/members/start", {"address": address}))
        rights = _times(lambda address: _post(app, "/rights", {"address": address}))
        room = _times(lambda address: _post(app, "/room", {"address": address}))
        asked = _times(lambda address: _post(app, f"/connect/{link.hex()}", {"address": address}))
        invited = _times(lambda address: _invite(ctx, inviter, address))
        ctx.db.dispose()
    figures = {
        "sign_up_known": sign_up["known"] / sign_up["unknown"],
        "sign_up_barred": sign_up["barred"] / sign_up["unknown"],
        "sign_in_known": sign_in["staff"] / sign_in["unknown"],
        "forgot_known": forgot["staff"] / forgot["unknown"],
        "start_member": start["member"] / start["unknown"],
        "start_barred": start["barred"] / start["unknown"],
        "rights_known": rights["known"] / rights["unknown"],
        "rights_barred": rights["barred"] / rights["unknown"],
        "room_known": room["known"] / room["unknown"],
        "room_member": room["member"] / room["unknown"],
        "room_barred": room["barred"] / room["unknown"],
        "connect_member": asked["member"] / asked["unknown"],
        "connect_barred": asked["barred"] / asked["unknown"],
        "connect_connected": asked["friend"] / asked["unknown"],
        "invite_member": invited["member"] / invited["unknown"],
        "invite_barred": invited["barred"] / invited["unknown"],
        "invite_connected": invited["friend"] / invited["unknown"],
    }
    print("same_answer " + " ".join(f"{name}={value:.2f}" for name, value in figures.items()))


def _fill(ctx: Context, world: World) -> str:
    """People, a barred one, a colleague; returns the slug of a topic."""
    world.topic()
    with ctx.db.transaction() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        everybody = [Newcomer(addresses.parse(f"person{number}@example.org"), "en", "UTC") for number in range(_PEOPLE)]
        people = ensure_contacts(conn, ctx.keyring, keys, everybody, now=world.now)
        barred = ctx.keyring.blind("address", _BARRED)
        row = {"key": barred, "scope": "address", "kind": "never", "lift": "officer", "since": world.now}
        conn.execute(insert(suppression).values(row))
        colleague = people[ctx.keyring.blind("address", _COLLEAGUE)]
        values = {"ref": bytes(16), "contact": colleague.id, "roles": "marketer", "created": world.now}
        conn.execute(insert(staff).values(values | {"password_hash": hash_password("correct horse battery")}))
    return "topic-1"


def _members(ctx: Context, world: World) -> tuple[Actor, bytes]:
    """A member who may invite without end, a connection of theirs, another member; the inviter and a connect link."""
    inviter = world.member("person6@example.org")
    friend, _ = world.member(_FRIEND), world.member(_MEMBER)
    world.policy(Name.INVITATIONS, of_inviting(Policy(by_mail=True, a_day=10**6, a_month=10**6)))
    with ctx.db.transaction() as conn:
        row = invitations.add(
            conn, member=inviter.id, way="hand", locale="en", asked=world.now, decided=world.now, expires=world.now
        )
        connect(
            conn,
            ctx,
            world.now,
            invitation_row=row,
            inviter_contact=inviter.person.id,
            other_contact=friend.person.id,
            shows={},
            actor=inviter.actor,
        )
    return inviter.actor, make_link(ctx, inviter.actor, label="bench", most=None, days=None)


def _invite(ctx: Context, inviter: Actor, address: str) -> None:
    send_invitation(ctx, inviter, Draft(way=Way.MAIL, address=address, relationship="friend"))


def _post(app: Flask, path: str, form: dict[str, str]) -> None:
    status = app.test_client().post(path, data=form).status_code
    assert status in {200, 303, 401, 422}, status


def _times(door: Callable[[str], None]) -> dict[str, float]:
    """Median seconds of each kind of address, taken in turn."""
    kinds = {"known": _KNOWN, "barred": _BARRED, "staff": _COLLEAGUE, "member": _MEMBER, "friend": _FRIEND}
    kinds["unknown"] = "nobody@example.net"
    seen: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(_ROUNDS + _WARM_UP):
        for kind, address in kinds.items():
            began = time.perf_counter()
            door(address)
            if number >= _WARM_UP:
                seen[kind].append(time.perf_counter() - began)
    return {kind: statistics.median(times) for kind, times in seen.items()}


if __name__ == "__main__":
    main()
