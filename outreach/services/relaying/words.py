"""A cleaned mail as it is kept in its box, until it was handed off."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from outreach.domain.keys import Keyring
from outreach.mail.cleaning import Attached, Cleaned, Doubt

_PURPOSE = b"outreach relayed message-id\0"


def to_facts(mail: Cleaned, answers: Sequence[str]) -> dict[str, Any]:
    """JSON of a mail and the Message-IDs it goes on from, as its writer's programme knows them."""
    files = [[one.name, one.media_type, base64.b64encode(one.octets).decode()] for one in mail.files]
    return {
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "files": files,
        "left_out": list(mail.left_out),
        "has_cuts": mail.has_cuts,
        "lost_pictures": mail.lost_pictures,
        "doubts": [[one.kind, one.shown] for one in mail.doubts],
        "answers": list(dict.fromkeys(answers))[-20:],
    }


def from_facts(facts: Mapping[str, Any]) -> tuple[Cleaned, list[str]]:
    """The mail, and the Message-IDs it goes on from."""
    mail = Cleaned(
        subject=facts["subject"],
        text=facts["text"],
        html=facts["html"],
        files=tuple(Attached(name, kind, base64.b64decode(octets)) for name, kind, octets in facts["files"]),
        left_out=tuple(facts["left_out"]),
        has_cuts=facts["has_cuts"],
        lost_pictures=facts["lost_pictures"],
    )
    doubts = tuple(Doubt(kind, shown) for kind, shown in facts["doubts"])
    return replace(mail, doubts=doubts), list(facts["answers"])


def origin_key(keyring: Keyring, message_id: str) -> bytes:
    """What a Message-ID is found by: it may tell of its writer, so it stands nowhere in the clear."""
    return hmac.digest(keyring.doors, _PURPOSE + message_id.encode(), "sha256")
