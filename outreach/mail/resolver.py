"""The DNS as checks of a sender ask it: records as plain texts, so that a table can stand in for it."""

from collections.abc import Sequence
from typing import Protocol

import dns.exception
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

_SECONDS = 5.0


class DnsError(Exception):
    """No answer could be had now: a server failed or took too long. Ask again later."""


class Resolver(Protocol):
    """What a check needs of the DNS."""

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        """The records of `kind` (A, AAAA, MX or TXT) at `name`; none where there are none. Raises DnsError.

        An MX is its exchange, the preferred first; a TXT its strings joined (RFC 7208 §3.3).
        """


class SystemResolver:
    """By the name servers this machine uses."""

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        try:
            answer = dns.resolver.resolve(name, kind, lifetime=_SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, UnicodeError):
            raise DnsError from None
        records = list(answer)
        if kind == "MX":
            exchanges = sorted((one.preference, str(one.exchange)) for one in records if isinstance(one, MX))
            return [exchange.rstrip(".") for _, exchange in exchanges]
        if kind == "TXT":
            return [b"".join(one.strings).decode("latin-1") for one in records if isinstance(one, TXT)]
        return [str(one) for one in records]
