"""What came back: an officer sees and undoes it, a marketer reads how many, nobody an address."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from outreach.domain.inbound_addresses import Door
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.inbound import inbound_mail
from tests.factories import World
from tests.services.intake.sending import Sent, complaint_of, letter, report_of
from tests.services.intake.test_intake import BESIDE_US, VOUCHED, WHY
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]
UNDO = re.compile(r"/compliance/reports/[0-9a-f]{32}/undo")


@pytest.fixture
def sent(world: World) -> Sent:
    return Sent(world)


def test_an_officer_sees_what_came_back_in_words_and_undoes_it(sent: Sent, signed_in: SignIn) -> None:
    officer = signed_in("officer")
    assert "Nothing came back yet" in officer.page("/compliance/reports")
    person = sent.reader(address="anna@example.org")
    ref = sent.message(person)
    sent.arrive(sent.address(ref), report_of("5.1.1"))
    page = officer.page("/compliance/reports")
    assert "There is no such mailbox" in page
    assert "the address was barred" in page
    about = f"/compliance/contacts/{person.ref.hex()}"
    (path,) = UNDO.findall(page)
    assert UNDO.findall(officer.page(about)) == [path]
    assert "@example.org" not in page + officer.page(about)
    assert "10 to 500 characters" in officer.submit(path, {"reason": "no"}).text
    assert sent.bars() == ["bounce"]
    assert officer.submit(path, {"reason": WHY}).location == "/compliance/reports"
    assert sent.bars() == []
    assert WHY in officer.page("/compliance/reports")
    assert not UNDO.findall(officer.page(about))
    assert officer.submit(path, {"reason": WHY}).location == "/compliance/reports"
    assert "undone already" in officer.page("/compliance/reports")


@pytest.mark.parametrize(("subject", "text"), [("Re: Roses", "Cancel"), ("Re: Roses", "Basta!"), ("Re: Stop!", "")])
def test_a_reply_that_was_taken_as_a_stop_is_seen_and_undone(
    sent: Sent, signed_in: SignIn, subject: str, text: str
) -> None:
    officer = signed_in("officer")
    person = sent.reader(address="anna@example.org")
    sent.arrive(sent.address(sent.message(person), Door.REPLY), letter(subject, text))
    assert sent.states(person) == ["withdrawn"]
    page = officer.page("/compliance/reports")
    assert "<b>Asked to stop, by mail</b>" in page
    assert "consents were withdrawn (1)" in page
    assert f"/compliance/contacts/{person.ref.hex()}" in page
    assert "@example.org" not in page
    (path,) = UNDO.findall(page)
    assert officer.submit(path, {"reason": WHY}).location == "/compliance/reports"
    assert sent.states(person) == ["granted"]


def test_what_could_not_be_acted_on_is_shown_with_a_button(sent: Sent, signed_in: SignIn) -> None:
    officer = signed_in("officer")
    sent.arrive(sent.address(sent.message(sent.reader())), report_of("4.4.1", "delayed"))
    with sent.ctx.db.transaction() as conn:
        conn.execute(update(inbound_mail).values(state="failed"))
    assert "1 mail that came in could not be acted on" in officer.page("/compliance/reports")
    assert officer.submit("/compliance/reports/again").location == "/compliance/reports"
    assert sent.waiting() == 1


def test_a_marketer_reads_how_many_and_why_a_campaign_paused_itself(sent: Sent, signed_in: SignIn) -> None:
    marketer = signed_in("marketer")
    ref = sent.message(sent.reader())
    sent.arrive(sent.address(ref, Door.REPORT), complaint_of(ref, VOUCHED), BESIDE_US)
    with sent.ctx.db.transaction() as conn:
        paused = {"state": "paused", "resumes_to": "sending", "pause_reason": "complaints", "started": sent.world.now}
        conn.execute(update(campaign).values(paused))
        one = conn.execute(select(campaign.c.ref)).scalars().one()
    page = marketer.page(f"/campaigns/{one.hex()}")
    assert "so it paused itself" in page
    assert re.search(r"Reported as spam</td><td class=\"n\">fewer than 5<", page)
    assert marketer.get("/compliance/reports").status_code == 403
