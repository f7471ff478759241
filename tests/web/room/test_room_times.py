"""Quiet hours in a person's own room: what was chosen is kept, or refused in words, never silently something else."""

import pytest
from sqlalchemy import select

from outreach.services.context import Context
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.owning import agreed, fresh_link
from tests.web.conftest import Browser


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("", "", "Give both times"),
        ("22:00", "", "Give both times"),
        ("", "07:00", "Give both times"),
        ("22:00", "22:00", "Leave at least two hours"),
    ],
)
@pytest.mark.parametrize("before", ["usual", "own"])
def test_own_hours_need_two_times_that_leave_room(
    client: Browser, ctx: Context, world: World, start: str, end: str, said: str, before: str
) -> None:
    world.topic()
    path = f"/room/{fresh_link(ctx, agreed(ctx))}/times?lang=en"
    rest = {"timezone": "UTC", "locale": "en"}
    typed = {"hours": before, "quiet_from": "20:30", "quiet_to": "09:00", **rest}
    assert client.submit(path, typed).status_code == 303
    stood = hours_of(ctx)
    refused = client.submit(path, {"hours": "own", "quiet_from": start, "quiet_to": end, **rest})
    assert refused.status_code == 422
    assert said in refused.get_data(as_text=True)
    assert hours_of(ctx) == stood


def hours_of(ctx: Context) -> tuple[int | None, int | None]:
    with ctx.db.reading() as conn:
        row = conn.execute(select(contact.c.quiet_from, contact.c.quiet_to).order_by(contact.c.id).limit(1)).one()
        return row.quiet_from, row.quiet_to
