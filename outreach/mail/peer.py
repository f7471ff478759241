"""Who brought a mail: what its checks (SPF, RFC 7208) and a later look at it need of the SMTP dialogue."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """`ip`: of the client; `helo`: what it called itself; `mail_from`: the envelope's sender, "" for a report's."""

    ip: str
    helo: str
    mail_from: str = field(repr=False)
