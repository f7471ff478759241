"""The officer's pages of people's requests: entering, answering, handing over, and proof kept for claims."""

from collections.abc import Callable

import pytest

from outreach.services.context import Context
from outreach.services.rights import claims, requests
from outreach.services.rights.room import ask
from tests.factories import DAY, World
from tests.services.owning import OFFICER, WHY, agreed, fresh_link, told
from tests.services.people import ALICE, move_clock
from tests.web.conftest import Browser

Sign = Callable[..., Browser]


def entered(officer: Browser, kind: str = "access") -> str:
    answer = officer.submit("/compliance/requests/new", {"who": ALICE, "kind": kind, "words": "a letter of 3 May"})
    assert answer.status_code == 303
    return str(answer.location)


def test_an_empty_list_says_what_to_do(signed_in: Sign) -> None:
    assert "Nothing waits" in signed_in("officer").page("/compliance/requests")


def test_a_request_is_entered_listed_and_carried_out(signed_in: Sign, ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    officer = signed_in("officer")
    path = entered(officer)
    assert "a letter of 3 May" not in officer.page(path)
    assert "a letter of 3 May" in officer.submit(f"{path}/read").get_data(as_text=True)
    assert path in officer.page("/compliance/requests")
    assert officer.submit(f"{path}/carry-out", {"reason": "short"}).status_code == 422
    assert officer.submit(f"{path}/carry-out", {"reason": WHY}).status_code == 303
    assert told(ctx, person)[-1] == ("rights", "ready")
    assert officer.submit(f"{path}/carry-out", {"reason": WHY}).status_code == 303
    assert "answered already" in officer.page(path)


def test_an_address_that_is_typed_wrong_is_not_kept_on_the_page(signed_in: Sign, world: World) -> None:
    typed = {"who": "nobody@example.org", "kind": "access", "words": "a letter"}
    answer = signed_in("officer").submit("/compliance/requests/new", typed)
    assert answer.status_code == 422
    assert "Nobody is held under this." in answer.get_data(as_text=True)
    assert "nobody@example.org" not in answer.get_data(as_text=True)


def test_the_list_warns_of_what_is_due(signed_in: Sign, ctx: Context, world: World) -> None:
    world.person(ALICE)
    officer = signed_in("officer")
    entered(officer)
    requests.enter(ctx, OFFICER, "erasure", ALICE, "by telephone", days_ago=27)
    assert "left</span>" in officer.page("/compliance/requests")
    move_clock(ctx, 10 * 86_400)
    assert "overdue by" in signed_in("officer").page("/compliance/requests")


@pytest.mark.parametrize("act", ["identity", "extend", "refuse"])
def test_each_step_tells_the_person(signed_in: Sign, ctx: Context, world: World, act: str) -> None:
    person = world.person(ALICE)
    officer = signed_in("officer")
    path = entered(officer)
    assert "mailed your words" in officer.page(f"{path}/{act}")
    assert officer.submit(f"{path}/{act}", {"reason": "come to the counter with a card"}).status_code == 303
    assert told(ctx, person)[-1] == ("rights", {"extend": "extended", "refuse": "refused"}.get(act, act))


def test_a_correction_is_typed_in(signed_in: Sign, ctx: Context, world: World) -> None:
    person = world.person(ALICE, name="Alise")
    officer = signed_in("officer")
    path = entered(officer, "correction")
    typed = {"name": "Alice", "locale": "", "timezone": "", "reason": WHY}
    assert officer.submit(f"{path}/carry-out", typed).status_code == 303
    assert told(ctx, person)[-1] == ("rights", "done")


def test_handing_over_shows_it_once_for_a_reason(signed_in: Sign, ctx: Context, world: World) -> None:
    made = ask(ctx, fresh_link(ctx, world.person(ALICE)), "access")
    officer = signed_in("officer")
    path = f"/compliance/requests/{made.ref.hex()}/result"
    assert ALICE not in officer.page(path)
    answer = officer.submit(path, {"reason": WHY})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert ALICE in answer.get_data(as_text=True)


def test_proof_kept_for_claims_is_shown_or_destroyed_for_a_reason(signed_in: Sign, ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    with ctx.db.transaction() as conn:
        claims.hold(conn, ctx, ctx.db.now(conn), person.id, person.ref, world.now + 400 * DAY)
    (hold,) = claims.list_holds(ctx, OFFICER)
    officer = signed_in("officer")
    path = f"/compliance/claims/{hold.ref.hex()}"
    assert path in officer.page("/compliance/requests")
    assert ALICE not in officer.page(path)
    assert officer.submit(path, {"reason": "no", "act": "reveal"}).status_code == 422
    assert ALICE in officer.submit(path, {"reason": WHY, "act": "reveal"}).get_data(as_text=True)
    assert officer.submit(path, {"reason": WHY, "act": "release"}).status_code == 303
    assert claims.list_holds(ctx, OFFICER) == []


@pytest.mark.parametrize("role", ["marketer", "administrator"])
def test_nobody_else_sees_them(signed_in: Sign, role: str) -> None:
    signed_in(role).page("/compliance/requests", 403)
