"""The mails the system itself writes: a request to confirm, a fresh link, an invitation. In the reader's language.

They hold no advertising and nothing a stranger typed, but for an invitation: its inviter's name and plain note
(`domain/plain_words.py`), quoted as theirs.
"""

import html
from collections.abc import Mapping
from typing import Any

from outreach.mail import layout, plain
from outreach.mail.content import Filled

TEMPLATES = frozenset(
    {
        "account",
        "address-arrives",
        "address-leaves",
        "answered",
        "approval",
        "confirmation",
        "connect",
        "connected",
        "conversation",
        "fresh-link",
        "go-on",
        "invitation",
        "policy-change",
        "receipt",
        "relay-failed",
        "relay-held",
        "request",
        "rights",
        "rights-link",
        "room-link",
        "staff-dues",
        "staff-password",
        "staff-reset",
    }
)


def render(template: str, locale: str, facts: Mapping[str, Any]) -> Filled:
    """A whole mail, masthead and footer included; English where `locale` has no catalogue.

    Facts of every template: sender, controller, postal_address, reference. "confirmation": topics (a list of title,
    gets, wording, version, cap_n, cap_window in seconds, ratio_k) and confirm_url. "staff-password", "staff-reset":
    name (may be empty), url, hours. "relay-held": url, minutes, days, doubts (pairs of kind and what to show).
    "relay-failed": written (a day in words).
    "account": url, minutes, is_new (nobody has this account yet). "fresh-link": topic
    (its title), url. "go-on": topics as above, confirm_url, stop_url, hidden_url, ends (a day in words).
    "policy-change": policy, is_cap, before, after (values of `domain/policies.py`), starts (a day in
    words), url. "address-arrives": as "confirmation". "address-leaves": url, to (masked), day (in words),
    whole.
    "rights-link", "room-link": url, minutes. "conversation": said (paragraphs, each a list of lines),
    can_reply. "staff-dues": requests, approvals, witnesses, campaigns (counts), is_stuck, url.
    "approval": act, answer (empty: it is asked for), url. "rights": those of `services/rights/notices.tell`.
    Raises ValueError for any other template.
    """
    if template not in TEMPLATES:
        raise ValueError(f"no such mail: {template}")
    file = f"{template}.html"
    subject, preheader = (_line(layout.block(file, name, locale, facts)) for name in ("subject", "preheader"))
    letter = layout.block(file, "letter", locale, facts)
    footer = layout.render("system_footer.html", locale, facts)
    sheet = layout.render(file, locale, {"title": subject, **facts})
    return Filled(
        subject=subject,
        preheader=preheader,
        html=layout.inline(sheet),
        text=f"{plain.to_text(letter)}\n-- \n{plain.to_text(footer)}",
    )


def _line(shown: str) -> str:
    return html.unescape(" ".join(shown.split()))
