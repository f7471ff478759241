"""What of a mail is its words, and what came along with it."""

import re

from outreach.mail.inbound import page_text, quotes
from outreach.mail.inbound.incoming import Attachment
from outreach.mail.inbound.mime import MOST_TEXT, Part

_MOST_FILES = 50
_LONGEST_NAME = 120
_SEALS = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"<>|*?:]+')
_ENDINGS = {"message/rfc822": "message.eml", "text/calendar": "invitation.ics", "application/ms-tnef": "winmail.dat"}


def words(mail: Part) -> str:
    """The text of a mail: its plain parts, of an alternative the plain one unless that is empty, else its HTML's."""
    written: list[str] = []
    for part in _shown(mail):
        shown = _text(part)
        if shown.strip():
            written.append(shown.strip("\n"))
    return "\n\n".join(written)[:MOST_TEXT]


def attachments(mail: Part) -> tuple[Attachment, ...]:
    """Every file that came along, in order; seals of signatures are none."""
    shown = {id(part) for part in _shown(mail)}
    files = [part for part in mail.walk() if _is_file(part, mail) and id(part) not in shown]
    return tuple(Attachment(_name(part), part.media_type, part.body()) for part in files[:_MOST_FILES])


def _shown(part: Part) -> list[Part]:
    """The text parts a reader sees, in order."""
    if part.is_multipart and part.parts:
        inside = [_shown(one) for one in part.parts]
        if part.media_type == "multipart/alternative":
            return _best(inside)
        if part.media_type in {"multipart/related", "multipart/signed", "multipart/appledouble"}:
            return next((one for one in inside if one), [])
        return [one for few in inside for one in few]
    return [part] if _is_words(part) else []


def _best(inside: list[list[Part]]) -> list[Part]:
    plain = [few for few in inside if any(one.media_type == "text/plain" and one.text.strip() for one in few)]
    filled = plain or [few for few in inside if any(one.text.strip() for one in few)]
    return filled[0] if filled else []


def _is_words(part: Part) -> bool:
    if part.disposition[0] == "attachment" or part.holds_a_mail:
        return False
    if part.is_multipart:  # a multipart without a boundary that occurs
        return not part.parts
    return part.media_type in {"text/plain", "text/html", "text/enriched", "text/x-amp-html"} and (
        not part.file_name or part.disposition[0] == "inline"
    )


def _text(part: Part) -> str:
    if part.media_type == "text/html":
        return page_text.to_text(part.text)
    if part.parameters.get("format", "").lower() == "flowed":
        return quotes.unflowed(part.text, delete_space=part.parameters.get("delsp", "").lower() == "yes")
    return part.text


def _is_file(part: Part, mail: Part) -> bool:
    if part.is_multipart or part.media_type in _SEALS:
        return False
    if part.disposition[0] == "attachment" or part.file_name:
        return True
    return part is not mail and not part.media_type.startswith("text/")


def _name(part: Part) -> str:
    given = re.split(r"[/\\]", part.file_name)[-1]
    clean = " ".join(_UNSAFE.sub(" ", given).split()).strip(". ")
    return clean[-_LONGEST_NAME:] or _ENDINGS.get(part.media_type, "file")
