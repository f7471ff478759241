"""The ways a mail can fail here: whom it is for, and what the server there answers. A case's name is its local part."""

from dataclasses import dataclass

REFUSING, CLOSED, NOWHERE, NULL_MX = (
    "mx.example.test",
    "closed.example.test",
    "nowhere.example.test",
    "null.example.test",
)
DROP = "drop"


@dataclass(frozen=True)
class Case:
    """`at`: RCPT, MAIL, DATA (after the dot), EHLO (as a SIZE), or empty where no server is reached."""

    name: str
    kind: str
    answer: str = ""
    at: str = "RCPT"
    domain: str = REFUSING
    success: bool = False  # ask for a report on success too
    hops: int = 0
    with_copy: bool = False  # RET=FULL

    @property
    def address(self) -> str:
        return f"{self.name}@{self.domain}"


_HARD, _SOFT, _BLOCKED = "hard-bounce", "soft-bounce", "blocked"
_GMAIL = (
    "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
    "550-5.1.1 double-checking the recipient's email address for typos or\r\n"
    "550 5.1.1 unnecessary spaces. a1-20020a170902f68b00b00182si1 - gsmtp"
)
CASES = (
    Case("unknown", _HARD, "550 5.1.1 <unknown@mx.example.test>: Recipient address rejected: User unknown"),
    Case("many-lines", _HARD, _GMAIL, with_copy=True),
    Case("no-code", _HARD, "550 no such user here"),
    Case("german", _HARD, "550 Empfaenger existiert nicht"),
    Case("disabled", _HARD, "550 5.2.1 The email account that you tried to reach is disabled"),
    Case("full", _SOFT, "552 5.2.2 The email account that you tried to reach is over quota"),
    Case("listed", _BLOCKED, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    Case("sender", _BLOCKED, "550 5.7.1 Sender rejected: not allowed to send", at="MAIL"),
    Case("content", _BLOCKED, "554 5.7.1 Message rejected as spam", at="DATA"),
    Case("dmarc", _BLOCKED, "550 5.7.26 Unauthenticated email is not accepted due to DMARC policy", at="DATA"),
    Case("too-big", _BLOCKED, "SIZE 300", at="EHLO", domain="small.example.test"),
    Case("unclear", _SOFT, "554 Sorry, no"),
    Case("grey", _SOFT, "450 4.2.0 <grey@mx.example.test>: Recipient address rejected: Greylisted"),
    Case("busy", _SOFT, "451 4.3.0 Temporary lookup failure", with_copy=True),
    Case("dropped", _SOFT, DROP, at="DATA"),
    Case("refused-connection", _SOFT, at="", domain=CLOSED),
    Case("no-domain", _HARD, at="", domain=NOWHERE),
    Case("null-mx", _HARD, at="", domain=NULL_MX),
    Case("loop", _SOFT, at="", hops=120),
    Case("arrives", "delivered", "250 2.1.5 ok", success=True),
)
