"""What people type is shown as they typed it, neither as markup nor escaped twice, on every page and in every mail."""

import email
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import select

from outreach.app import create_app
from outreach.pipeline.letters import write_letters
from outreach.services.context import Context
from outreach.services.rights.results import make_result
from outreach.store import rights
from outreach.store.contacts import find_by_id
from outreach.store.schema.campaigns import message
from outreach.store.schema.rights import rights_request
from tests.guards import living
from tests.guards.crawl import Visit, crawl
from tests.guards.marked import MARK, Read, field_of, fields, mark_house, undecided
from tests.guards.material import gather
from tests.guards.pressing import press
from tests.guards.visitors import ALL, MEMBER, VISITOR, hire

SNIPPETS = {"member.link", "desk.embed"}
"""Pages on which markup of ours is shown as text, to be copied."""

UNSEEN = {
    "appeal.reason",  # typed at presses, which show it as the forms below do
    "approval.words",
    "inbound_report.undone_reason",
    "claims_hold.proof_box",  # a file to keep
    "message.body_box",  # in mails
    "member_session.client_box",
    "staff_session.client_box",
}
"""Fields no page of those who look shows."""


@pytest.fixture(scope="module")
def marked(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    ctx = living.open_copy(lived, tmp_path_factory.mktemp("marked") / "instance")
    hire(ctx)
    yield ctx
    ctx.db.dispose()


@pytest.fixture(scope="module")
def looked(marked: Context) -> list[Visit]:
    """Every page of a visitor, a member and staff, once everything was typed into."""
    material = gather(marked)
    mark_house(marked)
    with marked.db.transaction() as conn:
        for ref in conn.execute(select(rights_request.c.ref)).scalars().all():
            row = rights.by_ref(conn, ref)
            person = find_by_id(conn, row.contact) if row else None
            if row and person:
                make_result(conn, marked, marked.db.now(conn), person, row)
    return crawl(marked, (VISITOR, MEMBER, ALL), material)


@pytest.fixture(scope="module")
def pressed(marked: Context, looked: list[Visit]) -> list[Visit]:
    """What forms answer."""
    return list(press(create_app(marked), looked, MARK))


def wrong_in(visits: list[Visit]) -> dict[str, list[str]]:
    found = {}
    for visit in visits:
        if visit.is_page and (wrong := Read(visit.body, holds_markup=visit.endpoint in SNIPPETS).wrong):
            found[visit.endpoint] = [str(visit), *wrong[:3]]
    return found


def test_of_every_text_column_it_is_said_who_writes_it() -> None:
    assert undecided() == set()


def test_pages_show_what_is_stored_as_it_was_typed(looked: list[Visit]) -> None:
    assert wrong_in(looked) == {}


def test_forms_show_what_was_typed_as_it_was_typed(pressed: list[Visit]) -> None:
    assert len(pressed) > 100
    assert [str(visit) for visit in pressed if visit.status >= 500] == []
    assert wrong_in(pressed) == {}


def test_every_field_was_seen_somewhere(looked: list[Visit], pressed: list[Visit]) -> None:
    seen = {field_of(slot) for visit in (*looked, *pressed) if visit.is_page for slot in Read(visit.body).seen}
    assert fields() - seen == UNSEEN


def test_mails_show_what_is_stored_as_it_was_typed(looked: list[Visit], marked: Context) -> None:
    """Some of each origin, written anew."""
    with marked.db.reading() as conn:
        rows = conn.execute(select(message.c.id, message.c.origin).order_by(message.c.id.desc())).all()
    some = {origin: [row.id for row in rows if row.origin == origin][:25] for origin in {row.origin for row in rows}}
    letters = write_letters(marked, [one for ids in some.values() for one in ids], monotonic())
    parcels = [parcel for parcels in letters.parcels.values() for parcel in parcels]
    assert len(parcels) > 30
    for parcel in parcels:
        mail = email.message_from_bytes(parcel.data, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        page, text = mail.get_body(("html",)), mail.get_body(("plain",))
        assert page is not None and text is not None
        read = Read(page.get_content())
        assert read.seen and read.wrong == [], (mail["Subject"], read.wrong[:2])
        assert "&lt;" not in text.get_content() and "&amp;" not in text.get_content(), mail["Subject"]
