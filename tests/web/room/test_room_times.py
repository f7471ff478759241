"""Quiet hours in a person's own room: what was chosen is kept, or refused in words, never silently something else."""

import pytest
from sqlalchemy import select

from outreach.services.context import Context
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.owning import agreed, fresh_link
from tests.services.people import topic_ref
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


@pytest.mark.parametrize(
    ("locale", "usual", "none"),
    [
        ("en", "as usual here: at present there are none", "none, whatever is usual here"),
        ("sv", "som vanligt här: just nu finns inga", "inga, vad som än är vanligt här"),
        ("nl", "zoals hier gebruikelijk: op dit moment zijn er geen", "geen, wat hier ook gebruikelijk is"),
    ],
)
def test_the_usual_hours_and_none_are_told_apart_where_none_are_usual(
    client: Browser, ctx: Context, world: World, locale: str, usual: str, none: str
) -> None:
    world.topic()
    page = client.page(f"/room/{fresh_link(ctx, agreed(ctx))}/times?lang={locale}")
    assert f">{usual}</label>" in page
    assert f">{none}</label>" in page


@pytest.mark.parametrize(
    ("locale", "label", "most"),
    [
        ("en", "The most you got", "0 in a time as long as that, over the last 90 days"),
        ("sv", "Flest du har fått", "0 under en lika lång tid, de senaste 90 dagarna"),
        ("nl", "Het meeste dat u kreeg", "0 in een even lange periode, over de laatste 90 dagen"),
    ],
)
def test_a_topic_tells_the_most_that_came(
    client: Browser, ctx: Context, world: World, locale: str, label: str, most: str
) -> None:
    world.topic()
    page = client.page(f"/room/{fresh_link(ctx, agreed(ctx))}/topic/{topic_ref(ctx).hex()}?lang={locale}")
    assert f"<dt>{label}</dt><dd>{most}</dd>" in page
