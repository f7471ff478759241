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
SITE = "https://mail.example.org"
CAPS, LESS = {"caps": [[4, 7 * 86_400]]}, {"caps": [[2, 86_400], [9, 30 * 86_400]]}
ASKED = {**SHARED, "privacy_contact": "privacy@northfield.example", "asked": "2026-11-01", "expires": "2026-11-29"}
ANSWERS = {name: f"{SITE}/invitation/t1.abc/{name}" for name in ("decline_url", "never_url", "report_url")}
RIGHTS = {**SHARED, "kind": "access", "due": "2026-12-22", "until": "2029-12-31", "words": "", "url": f"{SITE}/rights",
          "privacy_contact": "privacy@northfield.example"}  # fmt: skip
FACTS: dict[str, dict[str, Any]] = {
    "account": {**SHARED, "url": f"{SITE}/members/choose/t1.abc", "minutes": 30, "is_new": True},
    "address-arrives": {
        **SHARED, "topics": [TOPIC], "confirm_url": f"{SITE}/moving/t1.abc", "hidden_url": HIDDEN,
    },
    "address-leaves": {
        **SHARED, "url": f"{SITE}/moved/t1.abc", "to": "a•••@e•••.net", "day": "2026-11-25", "whole": True,
    },
    "answered": {**SHARED, "url": f"{SITE}/me"},
    "approval": {**SHARED, "act": "reveal", "answer": "", "url": f"{SITE}/officer/approvals/abc"},
    "confirmation": {
        **SHARED,
        "topics": [TOPIC, {**TOPIC, "title": "News", "wording": "I would like news.", "ratio_k": 0}],
        "confirm_url": f"{SITE}/confirm/t1.abc",
        "hidden_url": HIDDEN,
    },
    "connect": {**ASKED, **ANSWERS, "owner": "Ann", "confirm_url": f"{SITE}/connect/t1.abc", "hidden_url": HIDDEN},
    "connected": {
        **SHARED, "owner": "Ann", "start_url": f"{SITE}/members", "end_url": f"{SITE}/connection/t1.abc/end",
        "write_to": "with-abc@in.northfield.example",
    },
    "conversation": {
        **SHARED, "said": [["It is on its way."], ["Yours,", "Robin"]], "can_reply": True,
        "stop_url": f"{SITE}/stop/t1.abc",
    },
    "fresh-link": {**SHARED, "topic": "Garden <tips>", "url": f"{SITE}/stop/t1.abc"},
    "go-on": {
        **SHARED, "topics": [TOPIC], "confirm_url": f"{SITE}/confirm/t1.abc", "stop_url": f"{SITE}/stop/t1.abc",
        "hidden_url": HIDDEN, "ends": "2026-12-24",
    },
    "invitation": {
        **ASKED, **ANSWERS, "see_url": f"{SITE}/invitation/t1.abc", "inviter": "Ann Berg", "relationship": "friend",
        "note": "Do join us.\nAnn", "is_reminder": False,
    },
    "policy-change": {
        **SHARED, "policy": "cap-total", "is_cap": True, "before": CAPS, "after": LESS, "starts": "2026-12-24",
        "url": f"{SITE}/stop/t1.abc",
    },
    "receipt": {
        **SHARED, "topic": "Garden <tips>", "event": "confirmed", "at": "2026-11-01T10:00:00Z", "cap": [2, 7 * 86_400],
        "wording": TOPIC["wording"], "version": 3, "id": "0123abcd", "check_url": f"{SITE}/receipts/check",
        "code": "eyJhIjoi\nMCJ9",
    },
    "relay-failed": {**SHARED, "written": "22 November 2026"},
    "relay-held": {
        **SHARED, "url": f"{SITE}/held/t1.abc", "minutes": 30, "days": 14,
        "doubts": [["file", "card.pdf"], ["address", "a•••@e•••.net"], ["disguise", ""]],
    },
    "request": {**SHARED, "url": f"{SITE}/me"},
    "rights": {**RIGHTS, "stage": "ready"},
    "rights-link": {**SHARED, "url": f"{SITE}/rights/t1.abc", "minutes": 30},
    "room-link": {**SHARED, "url": f"{SITE}/room/t1.abc", "minutes": 30},
    "staff-dues": {
        **SHARED, "requests": 2, "approvals": 1, "witnesses": 2, "campaigns": 1, "is_stuck": True,
        "url": f"{SITE}/desk",
    },
    "staff-password": {**SHARED, "name": "Ann", "url": f"{SITE}/password/t1.abc", "hours": 24},
    "staff-reset": {**SHARED, "name": "", "url": f"{SITE}/password/t1.abc", "hours": 1},
}  # fmt: skip
RELATIONSHIPS = ("family", "colleague", "customer", "other")
POLICIES: dict[str, dict[str, Any]] = {
    "cap-promotional": CAPS,
    "quiet-hours": {"from": 1320, "to": 420},
    "give-ratio": {"least": 3},
    "retention": {"most_days": 1095},
    "notice": {"days": 14},
    "re-permission": {"on": 1, "days_before": 30, "silent_days": 200},
    "soft-opt-in": {"on": 1, "months": 24},
    "invitations": {"by_mail": 1, "recipient_n": 2, "recipient_window": 30 * 86_400, "keep_days": 28},
}
STAGES = ("received", "identity", "extended", "done", "erasing", "refused", "lifted")
EVENTS = (
    "imported", "soft", "paused", "resumed", "limited", "unlimited", "restored", "expired", "complained", "withdrawn",
)  # fmt: skip
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, facts) for name, facts in FACTS.items()},
    "account, again": ("account", {**FACTS["account"], "is_new": False, "minutes": 1}),
    **{f"approval, {one or act}": ("approval", {**FACTS["approval"], "answer": one, "act": act})
       for one, act in (("approved", "campaign"), ("declined", "policy"), ("lapsed", "reveal"), ("", "campaign"))},
    "connected, no address": ("connected", {**FACTS["connected"], "write_to": ""}),
    "conversation, no reply": ("conversation", {**FACTS["conversation"], "can_reply": False}),
    "fresh-link, no topic": ("fresh-link", {**FACTS["fresh-link"], "topic": ""}),
    "invitation, reminder": ("invitation", {**FACTS["invitation"], "is_reminder": True, "note": ""}),
    **{f"invitation, {one}": ("invitation", {**FACTS["invitation"], "relationship": one}) for one in RELATIONSHIPS},
    **{f"policy-change, {name}": (
        "policy-change", {**FACTS["policy-change"], "policy": name, "is_cap": "caps" in value, "before": value,
                          "after": value, "is_member": name == "notice"})
       for name, value in POLICIES.items()},
    **{f"receipt, {event}": ("receipt", {**FACTS["receipt"], "event": event}) for event in EVENTS},
    "relay-held, one day": ("relay-held", {**FACTS["relay-held"], "days": 1, "minutes": 1}),
    **{f"rights, {stage}": ("rights", {**RIGHTS, "stage": stage}) for stage in STAGES},
    **{f"rights, {kind} done": ("rights", {**RIGHTS, "stage": "done", "kind": kind})
       for kind in ("portability", "correction", "erasure", "objection", "restriction")},
    "staff-dues, other counts": (
        "staff-dues",
        {**FACTS["staff-dues"], "requests": 1, "approvals": 2, "witnesses": 1, "campaigns": 2, "is_stuck": False}),
}  # fmt: skip
_OWN = {
    "connect": ("confirm_url", "decline_url", "never_url", "report_url"),
    "connected": ("start_url", "end_url"),
    "conversation": ("stop_url",),
    "go-on": ("confirm_url", "stop_url"),
    "invitation": ("see_url", "decline_url", "never_url", "report_url"),
    "receipt": ("check_url",),
    "relay-failed": (),
}


def own_links(template: str, facts: dict[str, Any]) -> list[str]:
    """The links a mail holds beside the one that explains it, in their order."""
    if template == "rights" and facts["stage"] != "ready":
        return []
    names = _OWN.get(template, ("confirm_url",) if "confirm_url" in facts else ("url",))
    return [facts[name] for name in names]


def typed(fact: Any) -> set[str]:
    """The lines of every text in a fact: those are not ours to translate."""
    if isinstance(fact, str):
        return {line.strip() for line in fact.splitlines()}
    values = fact.values() if isinstance(fact, dict) else fact if isinstance(fact, list | tuple) else ()
    return {line for value in values for line in typed(value)}


def test_every_mail_of_ours_is_among_these() -> None:
    assert set(FACTS) == system.TEMPLATES


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_part_holds_its_own_links_the_one_that_explains_it_and_what_must_be_said(shape: str, locale: str) -> None:
    template, facts = SHAPES[shape]
    shown = system.render(template, locale, facts)
    links = [*own_links(template, facts), SHARED["why_url"]]
    hidden = [HIDDEN] if "hidden_url" in facts else []
    assert re.findall(r'href="([^"]*)"', shown.html) == [*links, *hidden]
    assert re.findall(r"https?://[^\s>]*", shown.text) == links
    for fact in ("Northfield Society", "1 Mill Road", "K7Q2-M9XR"):
        assert fact in shown.text
        assert fact in shown.html
    assert shown.subject
    assert shown.preheader
    assert "\n" not in shown.subject + shown.preheader
    assert f'<html lang="{locale}"' in shown.html


@pytest.mark.parametrize("shape", SHAPES)
def test_each_is_translated_whole(shape: str) -> None:
    template, facts = SHAPES[shape]
    english = system.render(template, "en", facts)
    same = {"", "--", *typed(facts)}
    for locale in ("sv", "nl"):
        shown = system.render(template, locale, facts)
        lines = {line.strip(" “”") for line in shown.text.splitlines()}
        left = {line.strip(" “”") for line in english.text.splitlines()} & lines
        assert not left - same, locale
        assert english.subject != shown.subject
        assert english.preheader != shown.preheader


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
