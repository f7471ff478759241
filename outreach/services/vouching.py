"""Who vouches for the sender of a mail that came in, by the settings of this installation."""

from outreach.hosts import LOOPBACK
from outreach.mail import authentication
from outreach.mail.authentication import Authenticated
from outreach.mail.peer import Peer
from outreach.mail.resolver import Resolver, SystemResolver
from outreach.services.context import Context


def authenticate(ctx: Context, octets: bytes, peer: Peer, resolver: Resolver | None = None) -> Authenticated:
    """SPF and DKIM; or the results that our own mail server, or the demo mailbox beside us, wrote into the mail.

    May ask the DNS, so it is called outside any transaction. `resolver`: None for the system's.
    """
    settings = ctx.settings
    authserv = settings.inbound_authserv
    if settings.demo_mailbox is not None and peer.ip in LOOPBACK:
        authserv = authserv or settings.mail_in
    return authentication.check(
        octets,
        peer_ip=peer.ip,
        helo=peer.helo,
        mail_from=peer.mail_from,
        authserv=authserv,
        resolver=resolver or SystemResolver(),
    )
