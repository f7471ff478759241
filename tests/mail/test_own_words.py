"""What we put below a mail between two people does not come back with the answers, whatever a program made of it."""

import html
import textwrap
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from outreach.mail import layout, plain
from outreach.mail.cleaning import MARK, Cleaned, clean
from outreach.mail.own_words import SHEET, places
from outreach.translations import LOCALES

SITE = "https://garden.example"
SHAPES: list[dict[str, Any]] = [
    {"name": "Alice van der Berg"},
    {"name": ""},
    {"name": "Alice", "has_cuts": True, "lost_pictures": True, "left_out": ["card.vcf"]},
    {"name": "", "left_out": ["card.vcf", "day.ics", "2.eml"], "page_url": "", "end_url": f"{SITE}/connection/t/end"},
]


def notice(locale: str, **shape: Any) -> str:
    """As it stands below a mail, HTML."""
    told = {
        "controller": "The Northfield Society, with a comma",
        "has_cuts": False,
        "lost_pictures": False,
        "left_out": [],
        "stop_url": f"{SITE}/stop/t1.{'s' * 70}",
        "why_url": f"{SITE}/why/t1.{'w' * 70}",
        "page_url": f"{SITE}/me/connections/abc",
        "end_url": "",
    }
    return layout.block(SHEET, "notice", locale, {**told, **shape})


def answered(text: str, page: str = "") -> Cleaned:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "bob@recipients.example", "Re: Seeds"
    mail.set_content(text)
    if page:
        mail.add_alternative(page, subtype="html")
    octets = mail.as_bytes(policy=policy.SMTP)
    return clean(octets, known=["bob@recipients.example"], mail_in="in.garden.example", public_url=SITE)


def quoted(text: str, width: int = 0) -> str:
    lines = [one for line in text.split("\n") for one in (textwrap.wrap(line, width) if width else [line]) or [""]]
    return "".join(f"> {line}".rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("width", [0, 72, 40])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("locale", LOCALES)
def test_it_goes_whole_from_a_quote(locale: str, shape: dict[str, Any], width: int) -> None:
    mail = f"Here are the seeds.\n\n-- \n{plain.to_text(notice(locale, **shape))}"
    found = answered(f"Thanks!\n\n{quoted(mail, width)}\nBob\n")
    assert [line for line in found.text.splitlines() if line.strip(" >")] == ["Thanks!", "> Here are the seeds.", "Bob"]
    assert (found.has_cuts, found.doubts) == (False, ())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("locale", LOCALES)
def test_it_goes_from_a_page_too(locale: str, shape: dict[str, Any]) -> None:
    below = notice(locale, **shape)
    page = f"<p>Thanks!</p><blockquote><p>Here are the seeds.</p>\n<hr>\n{below}</blockquote><p>Bob</p>"
    found = answered("Thanks!\n", page)
    assert found.html.replace("\n", "") == (
        "<p>Thanks!</p><blockquote><p>Here are the seeds.</p></blockquote><p>Bob</p>"
    )
    assert not found.has_cuts


@pytest.mark.parametrize("locale", LOCALES)
def test_ones_own_words_are_never_taken_for_it(locale: str) -> None:
    sentences = plain.to_text(notice(locale, name="Alice")).split("\n\n")[1:]
    words = [" ".join(one.split("<")[0].split()) for one in sentences]
    text = "Why did I get this? Somebody wrote this to you.\n\n" + "\n\n".join(words) + "\n"
    assert answered(text).text == text
    assert places(text) == []


def test_a_link_of_ours_elsewhere_still_leaves_its_mark() -> None:
    below = quoted(f"-- \n{plain.to_text(notice('en', name='Alice'))}")
    found = answered(f"Look: {SITE}/why/t1.abc\n\n{below}")
    assert found.text.startswith(f"Look: {MARK}\n")
    assert found.has_cuts
    assert "wrote this to you" not in found.text


def test_a_long_thread_grows_by_what_was_written() -> None:
    text, page = "", ""
    for number in range(10):
        locale = LOCALES[number % 3]
        below = notice(locale, name="Alice")
        before = quoted(f"{text}\n-- \n{plain.to_text(below)}") if text else ""
        text = f"Mail {number}.\n\n{before}"
        page = f"<p>Mail {number}.</p><blockquote>{page}<hr>{below}</blockquote>" if page else "<p>Mail 0.</p>"
        found = answered(text, page)
        text, page = found.text, found.html
    assert len(text) < 10 * 50
    assert len(page) < 10 * 60
    assert all(f"Mail {number}." in text and f"Mail {number}." in page for number in range(10))
    assert "garden.example" not in text + html.unescape(page)
