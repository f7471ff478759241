"""What a relay answers (RFC 5321 §4.2, RFC 3463): replies read off the wire, and what each means for a mail."""

import re
from dataclasses import dataclass
from functools import cached_property

from outreach.domain import addresses
from outreach.mail.inbound.incoming import Kind
from outreach.mail.inbound.verdict import by_words
from outreach.mail.transport import Outcome, Parcel, Result

_LONGEST_LINE = 4096  # RFC 5321 §4.5.3.1.5 asks for 512; be lenient, not boundless
_MOST_LINES = 200
_SHORT, _MOST_KNOWN = 200, 64
_SHAPE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_NO_SUCH_MAILBOX = {"5.1.1", "5.1.6", "5.1.10"}
_MOST_TEXT = 500


@dataclass(frozen=True)
class Reply:
    """`text`: the lines after the code, joined by newlines, as the relay wrote them."""

    code: int
    text: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @cached_property
    def enhanced(self) -> str:
        """The RFC 3463 code, where there is one that agrees with the basic code."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""

    @cached_property
    def line(self) -> str:
        """`code text` on one line, every address masked."""
        text = " ".join(f"{self.code} {self.text}".split())[:_MOST_TEXT]
        return addresses.scrub(text) if "@" in text or "＠" in text or "%40" in text else text

    def names_no_mailbox(self) -> bool:
        """Said of a RCPT: there is no such mailbox, so nothing should ever be sent there again.

        A refusal by policy (5.7.x) or any other enhanced code says nothing of the kind, whatever its words; without
        one the words count as they do in a report that comes back.
        """
        if self.code not in {550, 551, 553}:
            return False
        if self.enhanced:
            return self.enhanced in _NO_SUCH_MAILBOX
        return "5.7." not in self.text and by_words(self.text) is Kind.HARD_BOUNCE


class ReplyReader:
    """Turns octets into whole replies, however they are cut. `fault`: why what came is not SMTP, "" while it is."""

    def __init__(self) -> None:
        self.fault = ""
        self._rest = b""
        self._lines: list[str] = []
        self._known: dict[bytes, Reply] = {}  # a relay says the same few things over and over

    @property
    def is_empty(self) -> bool:
        return not self._rest and not self._lines

    def feed(self, octets: bytes) -> list[Reply]:
        """The replies now complete; with `fault` set, those that came before it. Nothing is read after a fault."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        replies: list[Reply] = []
        for line in lines:
            reply = None if self._lines else self._known.get(line)
            if reply is None:
                reply = self._read(line)
            if self.fault:
                return replies
            if reply is not None:
                replies.append(reply)
        if len(self._rest) > _LONGEST_LINE:
            self.fault = "a reply line without end"
        return replies

    def _read(self, line: bytes) -> Reply | None:
        found = _SHAPE.fullmatch(line.rstrip(b"\r"))
        if found is None or len(self._lines) >= _MOST_LINES:
            self.fault = "a reply that is not SMTP"
            return None
        self._lines.append((found[3] or b"").decode("utf-8", "replace"))
        if found[2] == b"-":
            return None
        reply = Reply(int(found[1]), "\n".join(self._lines))
        if len(self._lines) == 1 and len(line) < _SHORT:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[line] = reply
        self._lines = []
        return reply


def judge(parcel: Parcel, reply: Reply, *, at_recipient: bool = False, relay: str = "") -> Outcome:
    """What a final reply means: 2xx sent, 5xx failed, anything else deferred."""
    if reply.is_good:
        return Outcome(parcel.message_id, Result.SENT, reply.code, reply.enhanced, reply.line, relay=relay)
    return Outcome(
        message_id=parcel.message_id,
        result=Result.FAILED if reply.code >= 500 else Result.DEFERRED,
        code=reply.code,
        enhanced=reply.enhanced,
        reply=scrubbed(reply, parcel.rcpt_to.rpartition("@")[0]),
        bad_address=at_recipient and reply.names_no_mailbox(),
        relay=relay,
    )


def scrubbed(reply: Reply, local: str) -> str:
    """The refusal's line with the recipient's `local` part masked too, where it stands alone."""
    if len(local) > 2:
        return re.sub(rf"(?<![\w.]){re.escape(local)}(?![\w.])", "•••", reply.line, flags=re.IGNORECASE)
    return reply.line
