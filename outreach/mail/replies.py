"""What a relay answers (RFC 5321 §4.2, RFC 3463): replies read off the wire, and what each means for a mail."""

import re
from dataclasses import dataclass

from outreach.domain import addresses
from outreach.mail.transport import Outcome, Parcel, Result

_LONGEST_LINE = 4096  # RFC 5321 §4.5.3.1.5 asks for 512; be lenient, not boundless
_MOST_LINES = 200
_SHAPE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_NO_SUCH_MAILBOX = {"5.1.1", "5.1.6", "5.1.10"}
_NO_SUCH_WORDS = re.compile(
    r"(?:user|recipient|mailbox|address|account)\b[^.;]{0,60}\b(?:unknown|not found|does(?: not|n't) exist|not exist)|"
    r"(?:unknown|no such|invalid|non-?existent|nonexisting) (?:local )?(?:user|recipient|mailbox|address|account)|"
    r"no mailbox (?:here|by that name)|user (?:doesn't|does not) have",
    re.IGNORECASE,
)
_MOST_TEXT = 500


class ReplyError(Exception):
    """What came is not SMTP."""


@dataclass(frozen=True)
class Reply:
    """`text`: the lines after the code, joined by newlines, as the relay wrote them."""

    code: int
    text: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str:
        """The RFC 3463 code, where there is one that agrees with the basic code."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""

    def names_no_mailbox(self) -> bool:
        """Said of a RCPT: there is no such mailbox, so nothing should ever be sent there again.

        A refusal by policy (5.7.x) or any other enhanced code says nothing of the kind, whatever its words.
        """
        if self.code not in {550, 551, 553}:
            return False
        if self.enhanced:
            return self.enhanced in _NO_SUCH_MAILBOX
        return "5.7." not in self.text and _NO_SUCH_WORDS.search(self.text) is not None


class ReplyReader:
    """Turns octets into whole replies, however they are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []

    @property
    def is_empty(self) -> bool:
        return not self._rest and not self._lines

    def feed(self, octets: bytes) -> list[Reply]:
        """The replies now complete. Raises ReplyError on what is not SMTP."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise ReplyError("a reply line without end")
        replies = []
        for line in lines:
            found = _SHAPE.fullmatch(line.rstrip(b"\r"))
            if found is None or len(self._lines) >= _MOST_LINES:
                raise ReplyError("a reply that is not SMTP")
            self._lines.append((found[3] or b"").decode("utf-8", "replace"))
            if found[2] != b"-":
                replies.append(Reply(int(found[1]), "\n".join(self._lines)))
                self._lines = []
        return replies


def judge(parcel: Parcel, reply: Reply, *, at_recipient: bool = False) -> Outcome:
    """What a final reply means: 2xx sent, 5xx failed, anything else deferred."""
    return Outcome(
        message_id=parcel.message_id,
        result=Result.SENT if reply.is_good else Result.FAILED if reply.code >= 500 else Result.DEFERRED,
        code=reply.code,
        enhanced=reply.enhanced,
        reply=scrubbed(reply, parcel.rcpt_to.rpartition("@")[0]),
        bad_address=at_recipient and reply.names_no_mailbox(),
    )


def scrubbed(reply: Reply, local: str = "") -> str:
    """`code text` on one line with every address masked, and the recipient's `local` part where it stands alone."""
    text = " ".join(f"{reply.code} {reply.text}".split())[:_MOST_TEXT]
    if "@" in text or "＠" in text or "%40" in text:
        text = addresses.scrub(text)
    if len(local) > 2 and not reply.is_good:
        text = re.sub(rf"(?<![\w.]){re.escape(local)}(?![\w.])", "•••", text, flags=re.IGNORECASE)
    return text
