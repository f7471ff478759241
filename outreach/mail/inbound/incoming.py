"""What a mail that came in turned out to be, for the intake that acts on it."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a mail is. Only the first two and a complaint say something about the mailbox itself."""

    HARD_BOUNCE = "hard-bounce"  # no such mailbox, and there never will be
    SOFT_BOUNCE = "soft-bounce"  # not now: full, or the server gave up
    DELAY = "delay"  # the server still tries
    BLOCKED = "blocked"  # refused for what we are or what it said, whoever its reader is
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    NOT_SPAM = "not-spam"
    UNSUBSCRIBE = "unsubscribe"
    AUTO_REPLY = "auto-reply"
    CHALLENGE = "challenge"  # asks whoever wrote to prove that they are human
    REPLY = "reply"  # a person's own words
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Attachment:
    """A file that came with a mail. `name`: as given, without a path; `octets`: decoded."""

    name: str
    media_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One mail, read.

    `status`: RFC 3463 code, or empty. `diagnostic`: the reporting server's words on one line, addresses masked.
    `reporting`: its host name, the remote server's where it spoke. `tickets`: local parts of ours found inside, such as
    the failed mail's Return-Path. `message_ids`: Message-IDs it is about, without brackets. `text`: what a person
    wrote, quotes cut off into `quoted`. `recipients`: whom a report on delivery is about, in lower case.
    `date`: its Date in UTC microseconds.
    """

    kind: Kind
    status: str = ""
    diagnostic: str = ""
    reporting: str = ""
    tickets: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    recipients: tuple[str, ...] = field(default=(), repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    quoted: str = field(default="", repr=False)
    is_automatic: bool = False
    attachments: tuple[Attachment, ...] = ()
    from_address: str = field(default="", repr=False)
    date: int | None = None
