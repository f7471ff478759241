"""Complaints that mailbox providers pass on: ARF (RFC 5965, 6430, 6591), CFBL (RFC 9477), X-ARF, and Outlook.com's.

Only what a report says; whether it is believed (its DKIM signature, the ticket) is for the intake.
"""

import re
from dataclasses import dataclass

from outreach.mail.inbound import delivery, fields, notices
from outreach.mail.inbound.fields import Fields
from outreach.mail.inbound.incoming import Kind
from outreach.mail.inbound.mime import Part
from outreach.mail.inbound.traces import Traces

_KINDS = {
    "abuse": Kind.COMPLAINT,
    "fraud": Kind.COMPLAINT,
    "other": Kind.COMPLAINT,
    "miscategorized": Kind.COMPLAINT,
    "complaint": Kind.COMPLAINT,
    "not-spam": Kind.NOT_SPAM,
    "virus": Kind.BLOCKED,
    "opt-out": Kind.UNSUBSCRIBE,
    "opt-out-list": Kind.UNSUBSCRIBE,
    "unsubscribe": Kind.UNSUBSCRIBE,
}
_REFUSED = frozenset({"reject", "policy", "spam"})  # RFC 6591 §3.2.2, Delivery-Result
_XARF = re.compile(r'"(?:ReportType|ReportClass|category|type)"\s*:\s*"([^"]{1,40})"', re.IGNORECASE)
_XARF_PLAIN = re.compile(r"^(?:report-type|category)\s*:\s*(\S{1,40})", re.IGNORECASE | re.MULTILINE)
_SPAM = frozenset({"spam", "abuse", "unsolicited", "messaging", "phishing", "content"})


@dataclass(frozen=True)
class Told:
    """`diagnostic`: what it is called and by whom; `reporting`: a host name or empty."""

    kind: Kind
    diagnostic: str
    reporting: str


def judge(mail: Part, *, at_report_door: bool, traces: Traces) -> Told | None:
    """What a complaint says; None where `mail` is none."""
    report = _report(mail)
    given_back = delivery.originals(mail)
    if report is not None:
        told = _of_report(report, mail.fields)
    else:
        kind = _other_formats(mail, given_back, at_report_door=at_report_door)
        if kind is None:
            return None
        told = Told(kind, mail.fields.words("subject")[:100], _from_host(mail.fields))
    for header in given_back:
        traces.of_original(header)
    for part in mail.walk():
        if part.media_type == "text/plain" and part is not mail and not given_back:
            traces.of_text(part.text)
    if report is not None:
        traces.of_report(report)
        traces.of_original(Fields([("cfbl-feedback-id", report.get("cfbl-feedback-id").encode())]))
    traces.of_original(Fields([("cfbl-feedback-id", mail.fields.get("cfbl-feedback-id").encode())]))
    return told


def _report(mail: Part) -> Fields | None:
    for part in mail.walk():
        if part.media_type == "message/feedback-report":
            return next(iter(fields.groups(part.text)), Fields())
    if mail.parameters.get("report-type", "").lower() == "feedback-report":
        for part in mail.walk():
            if part.media_type.startswith("text/"):
                found = next((one for one in fields.groups(part.text) if "feedback-type" in one), None)
                if found is not None:
                    return found
    return None


def _of_report(report: Fields, header: Fields) -> Told:
    named = report.get("feedback-type").split("(")[0].strip().lower()
    reporting = notices.host_name(report.get("reporting-mta")) or _from_host(header)
    diagnostic = " ".join(filter(None, [named, report.words("user-agent")]))
    if named == "auth-failure":
        refused = report.get("delivery-result").strip().lower() in _REFUSED
        return Told(Kind.BLOCKED if refused else Kind.AUTO_REPLY, diagnostic, reporting)
    return Told(_KINDS.get(named, Kind.COMPLAINT), diagnostic, reporting)  # RFC 5965 §3.1: unknown ones are "other"


def _other_formats(mail: Part, given_back: list[Fields], *, at_report_door: bool) -> Kind | None:
    """X-ARF in JSON or as text; Outlook.com's junk mail reports, a complaint being just the mail itself."""
    if "x-xarf" in mail.fields or "x-arf" in mail.fields:
        for part in mail.walk():
            pattern = _XARF if part.media_type == "application/json" else _XARF_PLAIN
            named = {found.lower() for found in pattern.findall(part.text)} if not part.is_multipart else set()
            if named & _SPAM:
                return Kind.COMPLAINT
    if any("x-hmxmroriginalrecipient" in header for header in given_back):
        return Kind.COMPLAINT
    return Kind.COMPLAINT if at_report_door and given_back and not delivery.find(mail) else None


def _from_host(header: Fields) -> str:
    return notices.host_name(header.address("from").rpartition("@")[2])
