"""Delivery status notifications (RFC 3464, 6522, 6533), as real servers write them."""

import re
from dataclasses import dataclass, replace

from outreach.mail.inbound import fields, notices, verdict
from outreach.mail.inbound.fields import Fields
from outreach.mail.inbound.incoming import Kind
from outreach.mail.inbound.mime import Part
from outreach.mail.inbound.traces import Traces

_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_HEADERS = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers", "text/rfc822-header"})
_IN_TEXT = re.compile(r"^(?:reporting-mta|final-recipient|original-recipient)\s*:", re.IGNORECASE | re.MULTILINE)
_MILD_FIRST = (Kind.DELIVERED, Kind.DELAY, Kind.SOFT_BOUNCE, Kind.BLOCKED, Kind.HARD_BOUNCE)
_GIVEN_UP = re.compile(r"\benvelope expired\b", re.IGNORECASE)  # OpenSMTPD calls that a delay
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,255}")


@dataclass(frozen=True)
class Told:
    """What a report says of one recipient. `diagnostic`: as it stands there, addresses and all."""

    kind: Kind
    status: str
    diagnostic: str
    reporting: str
    names: tuple[str, ...]
    """Addresses it is about, in lower case."""


def find(mail: Part) -> list[Fields]:
    """The groups of the report in `mail`, the message's first; empty where there is none.

    Looked for beside the notice only: a report inside a mail that somebody passed on is not about ours.
    """
    for part in mail.walk():
        if part.media_type in _REPORTS:
            return fields.groups(part.text)
    return []


def find_in_text(text: str) -> list[Fields]:
    """The same in a report whose MIME structure was lost on the way."""
    found = _IN_TEXT.search(text)
    return fields.groups(text[found.start() :]) if found else []


def originals(mail: Part) -> list[Fields]:
    """Headers of the mails that came back in it, outermost first."""
    found: list[Fields] = []
    for part in mail.walk():
        if part.holds_a_mail and part is not mail:
            found += [inner.fields for inner in part.parts]
        elif part.media_type in _HEADERS:
            found += fields.groups(part.text)[:1]
    return found


def judge(groups: list[Fields], notice: str, given_back: list[Fields], traces: Traces) -> Told:
    """What the report says of the recipient that is ours. `notice`: the words for people that stand before it."""
    for header in given_back:
        traces.of_original(header)
    for group in groups:
        traces.of_report(group)
    message = groups[0]
    reporting = notices.host_name(
        message.get("reporting-mta") or message.get("received-from-mta") or message.get("dsn-gateway")
    )
    recipients = [one for one in groups if _is_recipient(one)]
    written_to = _written_to(given_back)
    told = [_of_recipient(one, notice, reporting, alone=len(recipients) == 1) for one in recipients]
    ours = [one for one in told if written_to.intersection(one.names)]
    mildest = sorted(ours or told, key=lambda one: _MILD_FIRST.index(one.kind))
    if mildest:
        return replace(mildest[0], names=tuple(name for one in mildest for name in one.names))
    code = verdict.status("", notice)
    return Told(verdict.of_refusal(code, notice), code, notice, reporting, ())


def _is_recipient(group: Fields) -> bool:
    return "final-recipient" in group or "original-recipient" in group or "action" in group


def _written_to(given_back: list[Fields]) -> set[str]:
    return {one.lower() for header in given_back[:1] for one in _ADDRESS.findall(header.get("to"))}


def _of_recipient(group: Fields, notice: str, reporting: str, *, alone: bool) -> Told:
    """`alone`: nobody else is reported on, so that the whole notice is about this one."""
    names = tuple(
        one.lower()
        for name in ("original-recipient", "final-recipient", "x-actual-recipient")
        for one in _ADDRESS.findall(group.get(name))
    )
    spoken = group.words("diagnostic-code")
    spoken = spoken.partition(";")[2].strip() if ";" in spoken[:40] else spoken
    spoken = spoken or notices.telling_line(notice, names, alone=alone)
    code = verdict.status(group.get("status"), spoken)
    action = group.get("action").lower()
    if _GIVEN_UP.search(spoken) and "will-retry-until" not in group:
        action = action.replace("delayed", "failed")
    kind = _kind(action, code, spoken, notice if alone else "")
    diagnostic = spoken or (" ".join(notice.split())[:1000] if alone else group.words("status"))
    return Told(kind, code, diagnostic, notices.host_name(group.get("remote-mta")) or reporting, names)


def _kind(action: str, code: str, spoken: str, notice: str) -> Kind:
    if action.startswith(("deliver", "relayed", "expanded")) or (not action and code.startswith("2")):
        return Kind.DELIVERED
    if action.startswith("delay") or (not action and code.startswith("4")):
        return Kind.DELAY
    said = spoken or notice
    if code and not code.endswith(".0.0"):
        return verdict.of_refusal(code, spoken)
    if spoken and verdict.by_words(spoken) is None:
        said = f"{spoken} {notice}"
    return verdict.of_refusal(code, said)
