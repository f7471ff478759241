"""The system's own mails: complete in every language, few links each, and nothing a stranger typed."""

import re
from typing import Any

import pytest

from outreach.mail import system
from outreach.mail.compose import Envelope, Sender, compose
from tests.mail.test_compose import lines, part, read

TOPIC = {
    "title": "Garden <tips>",
    "gets": "what to sow & prune",
    "wording": "I would like garden tips, at most twice a week.",
    "version": 3,
    "cap_n": 2,
    "cap_window": 7 * 86_400,
    "ratio_k": 6,
}
SHARED: dict[str, Any] = {
    "sender": "Northfield Gardens",
    "controller": "Northfield Society",
    "postal_address": "1 Mill Road\n1234 Town",
    "reference": "K7Q2-M9XR",
    "why_url": "https://mail.example.org/why/t1.abc",
}
HIDDEN = "https://mail.example.org/look/t1.abc"
FACTS: dict[str, dict[str, Any]] = {
    "confirmation": {
        **SHARED,
        "topics": [TOPIC, {**TOPIC, "title": "News", "wording": "I would like news.", "ratio_k": 0}],
        "confirm_url": "https://mail.example.org/confirm/t1.abc",
        "hidden_url": HIDDEN,
    },
    "account": {**SHARED, "url": "https://mail.example.org/members/choose/t1.abc", "minutes": 30, "is_new": True},
    "fresh-link": {**SHARED, "topic": "Garden <tips>", "url": "https://mail.example.org/stop/t1.abc"},
    "staff-password": {**SHARED, "name": "Ann", "url": "https://mail.example.org/password/t1.abc", "hours": 24},
    "staff-reset": {**SHARED, "name": "", "url": "https://mail.example.org/password/t1.abc", "hours": 1},
}


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
@pytest.mark.parametrize("template", sorted(FACTS))
def test_each_part_holds_one_link_of_its_own_the_one_that_explains_it_and_what_must_be_said(
    template: str, locale: str
) -> None:
    shown = system.render(template, locale, FACTS[template])
    link = FACTS[template].get("confirm_url") or FACTS[template]["url"]
    hidden = [HIDDEN] if "hidden_url" in FACTS[template] else []
    assert re.findall(r'href="([^"]*)"', shown.html) == [link, SHARED["why_url"], *hidden]
    assert re.findall(r"https?://[^\s>]*", shown.text) == [link, SHARED["why_url"]]
    for fact in ("Northfield Society", "1 Mill Road", "K7Q2-M9XR"):
        assert fact in shown.text
        assert fact in shown.html
    assert shown.subject
    assert shown.preheader
    assert "\n" not in shown.subject + shown.preheader
    assert f'<html lang="{locale}"' in shown.html


@pytest.mark.parametrize("template", sorted(FACTS))
def test_each_is_translated_whole(template: str) -> None:
    english = set(system.render(template, "en", FACTS[template]).text.splitlines())
    same = {"", "--", "-- ", "Northfield Gardens", "1 Mill Road", "1234 Town", "Garden <tips>", "News"}
    for locale in ("sv", "nl"):
        lines = set(system.render(template, locale, FACTS[template]).text.splitlines())
        left = {line.strip() for line in english & lines} - same
        assert not left, locale


def test_a_locale_without_a_catalogue_reads_english() -> None:
    assert "Would you like mail from us?" in system.render("confirmation", "fi", FACTS["confirmation"]).text


def test_a_confirmation_shows_every_topic_with_its_promise_and_text() -> None:
    shown = system.render("confirmation", "en", FACTS["confirmation"])
    for fact in ("Garden <tips>", "what to sow & prune", "at most 2 mails in any 7 days", "version 3", TOPIC["wording"],
                 "6 useful mails for each offer, at least", "News", "erased after 7 days"):  # fmt: skip
        assert str(fact) in shown.text
    assert "Garden &lt;tips&gt;" in shown.html
    assert shown.text.count("useful mails") == 1


def test_a_system_mail_can_be_sent_as_it_is() -> None:
    shown = system.render("confirmation", "sv", FACTS["confirmation"])
    envelope = Envelope(Sender("Northfield Gardens", "news@example.org"), "a@example.net", "m@example.org", 10**15)
    message = read(compose(envelope, shown))
    assert lines(part(message, "plain")) == lines(shown.text)
    assert "<!--" not in part(message, "html")


def test_an_unknown_mail_is_refused() -> None:
    with pytest.raises(ValueError, match="no such mail"):
        system.render("../layout", "en", SHARED)


def test_the_link_programs_follow_is_neither_drawn_nor_spoken_nor_in_the_text() -> None:
    shown = system.render("confirmation", "en", FACTS["confirmation"])
    ((block, link),) = re.findall(r"<div ([^>]*)><a ([^>]*)>[^<]*</a></div>\s*</body>", shown.html)
    assert "hidden" in block and 'aria-hidden="true"' in block and "display: none" in block
    assert 'tabindex="-1"' in link
    assert "/look/" not in shown.text
