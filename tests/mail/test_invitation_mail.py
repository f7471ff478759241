"""An invitation's mail: both parts say the same, the inviter's words are quoted as theirs, and one press ends all."""

import re
from dataclasses import replace

import pytest

from outreach.domain.errors import InvalidInputError
from outreach.domain.invitation import Relationship
from outreach.mail import plain
from outreach.mail.compose import Envelope, Sender, compose
from outreach.services.invitation_mail import Links, Words, write_invitation
from outreach.services.public_text import House
from tests.mail.test_compose import read

HOUSE = House("Northfield Society", "1 Mill Road\n1234 Town", "privacy@northfield.example")
LINKS = Links(*(f"https://mail.example.org/invitation/t1.abc/{page}" for page in ("", "decline", "never", "report")))
WORDS = Words(
    inviter="Ann & Bo",
    note="Hello,\nhow are <i>your</i> beans?",
    relationship=Relationship.FRIEND,
    locale="en",
    asked=1_795_340_000_000_000,
    expires=1_796_549_600_000_000,
)


@pytest.mark.parametrize("relationship", Relationship)
@pytest.mark.parametrize("is_reminder", [False, True])
def test_both_parts_say_all_that_must_be_said(relationship: Relationship, *, is_reminder: bool) -> None:
    words = replace(WORDS, relationship=relationship, is_reminder=is_reminder)
    shown = write_invitation(words, LINKS, HOUSE, "Northfield Gardens")
    letter = shown.html[shown.html.index("<h1") : shown.html.index('<tr><td class="foot"')]
    assert "how are <i>your</i> beans?" in shown.text
    assert "how are &lt;i&gt;your&lt;/i&gt; beans?" in shown.html
    assert shown.text.startswith(plain.to_text(re.sub(r' style="[^"]*"', "", letter)).rstrip())
    for fact in ("Ann & Bo", "22 November 2026", "6 December 2026", "privacy@northfield.example", "1 Mill Road"):
        assert fact in shown.text
    assert ("You asked to be reminded" in shown.text) == is_reminder
    assert shown.subject.endswith("Ann & Bo would like to connect with you")


def test_each_relationship_reads_otherwise() -> None:
    texts = {write_invitation(replace(WORDS, relationship=one), LINKS, HOUSE, "N").text for one in Relationship}
    assert len(texts) == len(Relationship)


def test_without_a_note_nothing_is_quoted() -> None:
    shown = write_invitation(replace(WORDS, note=""), LINKS, HOUSE, "Northfield Gardens")
    assert "blockquote" not in shown.html[shown.html.index("<body") :]
    assert "in their own words" not in shown.text


def test_the_four_links_look_alike() -> None:
    html = write_invitation(WORDS, LINKS, HOUSE, "Northfield Gardens").html
    anchors = re.findall(r"<a ([^>]*)>", html)[:-1]  # the last explains the mail, at its foot
    looks = {re.sub(r'href="[^"]*"', "", anchor) for anchor in anchors}
    assert (len(anchors), len(looks)) == (4, 1)


def _envelope(stop_url: str) -> Envelope:
    sender = Sender("Northfield Gardens", "news@northfield.example")
    return Envelope(sender=sender, to="bob@example.net", message_id="m@northfield.example", now=1, stop_url=stop_url)


def test_a_mail_of_no_list_may_have_one_click_and_stays_automatic() -> None:
    mail = compose(_envelope("https://mail.example.org/stop/t1.abc"), write_invitation(WORDS, LINKS, HOUSE, "N"))
    read_back = read(mail)
    assert read_back["List-Unsubscribe"] == "<https://mail.example.org/stop/t1.abc>"
    assert read_back["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read_back["Auto-Submitted"] == "auto-generated"
    assert read_back["List-Id"] is None
    assert all(len(line) <= 998 for line in mail.split(b"\r\n"))


@pytest.mark.parametrize("url", ["ftp://mail.example.org/", "https://mail.example.org/a b", "https://x/>"])
def test_a_stop_address_that_could_not_stand_in_a_header_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        compose(_envelope(url), write_invitation(WORDS, LINKS, HOUSE, "N"))
