"""Sender Policy Framework (RFC 7208): whether a host may send mail in a domain's name.

An evaluator of our own, because the libraries there are have not been kept since 2020 and bring their own DNS. Strict:
what a record may not say ends the check as a permanent error, and nobody makes us ask more than §4.6.4 allows.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

from outreach.mail.resolver import DnsError, Resolver

MOST_LOOK_UPS = 10
"""Terms that ask the DNS, in all records of one check together (§4.6.4)."""
MOST_VOID = 2
"""Questions without an answer among them."""
MOST_NAMES = 10
"""Exchanges of one `mx` whose addresses are asked for."""

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)"
    r"(?::(?P<spec>[!-~]+?))?(?P<v4>/\d{1,2})?(?://(?P<v6>\d{1,3}))?",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"(?P<qualifier>[+?~-]?)(?P<name>ip[46]):(?P<spec>[0-9a-f.:]+(?:/\d{1,3})?)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>[!-~]*)", re.IGNORECASE)
_MACRO = re.compile(
    r"%(?:\{(?P<letter>[slodiphv])(?P<digits>\d{0,3})(?P<turn>r?)(?P<cut>[.+,/_=-]*)\}|(?P<sign>[%_-]))", re.IGNORECASE
)
_SIGNS = {"%": "%", "_": " ", "-": "%20"}
_ASKING = frozenset({"include", "a", "mx", "ptr", "exists"})
_LABEL = re.compile(r"[^.\s]{1,63}")


class Spf(StrEnum):
    """What a check found (§2.6)."""

    PASS = "pass"  # noqa: S105  a result, not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"


_QUALIFIED = {"": Spf.PASS, "+": Spf.PASS, "-": Spf.FAIL, "~": Spf.SOFTFAIL, "?": Spf.NEUTRAL}

Ip = IPv4Address | IPv6Address


class _PermanentError(Exception):
    """The record says what it may not, or asks for too much."""


def check_host(ip: str, *, mail_from: str, helo: str, resolver: Resolver) -> Spf:
    """Whether the host at `ip` may send mail from `mail_from`; a null sender is checked by the name of HELO (§2.4)."""
    local, _, domain = (mail_from or f"postmaster@{helo}").rpartition("@")
    try:
        host = ip_address(ip)
    except ValueError:
        return Spf.NONE
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    check = _Check(host, f"{local or 'postmaster'}@{domain}", helo, resolver)
    try:
        return check.result_of(domain)
    except _PermanentError:
        return Spf.PERMERROR
    except DnsError:
        return Spf.TEMPERROR


class _Check:
    """One check, and what it has asked so far."""

    def __init__(self, ip: Ip, sender: str, helo: str, resolver: Resolver) -> None:
        self._ip, self._sender, self._helo, self._resolver = ip, sender, helo, resolver
        self._look_ups = self._voids = 0

    def result_of(self, domain: str) -> Spf:
        """check_host() for one domain (§4). Raises _PermanentError and DnsError."""
        domain = domain.rstrip(".")
        if not _is_name(domain):
            return Spf.NONE
        records = [one for one in self._resolver.look_up(domain, "TXT") if re.match(r"v=spf1(?: |$)", one, re.I)]
        if not records:
            return Spf.NONE
        if len(records) > 1:
            raise _PermanentError
        mechanisms, redirect = _read(records[0])
        for one in mechanisms:
            if self._matches(one, domain):
                return _QUALIFIED[one["qualifier"]]
        if redirect is None or any(one["name"].lower() == "all" for one in mechanisms):
            return Spf.NEUTRAL
        self._count()
        found = self.result_of(self._expanded(redirect, domain))
        if found is Spf.NONE:
            raise _PermanentError
        return found

    def _matches(self, term: re.Match[str], domain: str) -> bool:
        name = term["name"].lower()
        if name in {"ip4", "ip6"}:
            return self._ip in _network(term)
        if name in _ASKING:
            self._count()
        if name in {"all", "ptr"}:  # ptr: asked for by nobody who reads §5.5; it never matches here
            return name == "all"
        target = self._expanded(term["spec"], domain) if term["spec"] else domain
        if name == "include":
            return self._includes(target)
        if name == "exists":
            return bool(self._ask(target, "A"))
        if name == "mx":
            exchanges = self._ask(target, "MX")
            if len(exchanges) > MOST_NAMES:
                raise _PermanentError
            return any(self._is_host_of(one, term, is_counted=False) for one in exchanges)
        return self._is_host_of(target, term, is_counted=True)

    def _includes(self, target: str) -> bool:
        """§5.2."""
        found = self.result_of(target)
        if found in {Spf.NONE, Spf.PERMERROR}:
            raise _PermanentError
        return found is Spf.PASS

    def _is_host_of(self, name: str, term: re.Match[str], *, is_counted: bool) -> bool:
        """Whether the name has an address in whose network the host stands."""
        kind, bits = ("A", term["v4"]) if isinstance(self._ip, IPv4Address) else ("AAAA", term["v6"])
        found = self._ask(name, kind) if is_counted else self._resolver.look_up(name, kind)
        width = self._ip.max_prefixlen if bits is None else int(bits.lstrip("/"))
        return any(self._ip in ip_network(f"{one}/{width}", strict=False) for one in found)

    def _ask(self, name: str, kind: str) -> list[str]:
        found = list(self._resolver.look_up(name, kind)) if _is_name(name) else []
        if not found:
            self._voids += 1
            if self._voids > MOST_VOID:
                raise _PermanentError
        return found

    def _count(self) -> None:
        self._look_ups += 1
        if self._look_ups > MOST_LOOK_UPS:
            raise _PermanentError

    def _expanded(self, spec: str, domain: str) -> str:
        """The domain a term names, its macros filled in (§7); its last 253 characters, cut at a dot."""
        if "%" in _MACRO.sub("", spec):
            raise _PermanentError
        name = _MACRO.sub(lambda found: self._macro(found, domain), spec).rstrip(".")
        while len(name) > 253:
            _, dot, name = name.partition(".")
            if not dot:
                raise _PermanentError
        return name

    def _macro(self, found: re.Match[str], domain: str) -> str:
        if found["sign"]:
            return _SIGNS[found["sign"]]
        local, _, sender_domain = self._sender.rpartition("@")
        values = {
            "s": self._sender,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "i": _dotted(self._ip),
            "p": "unknown",
            "v": "in-addr" if isinstance(self._ip, IPv4Address) else "ip6",
            "h": self._helo,
        }
        letter, digits = found["letter"], found["digits"]
        parts = re.split(f"[{re.escape(found['cut'] or '.')}]", values[letter.lower()])
        if found["turn"]:
            parts.reverse()
        if digits:
            if int(digits) == 0:
                raise _PermanentError
            parts = parts[-int(digits) :]
        value = ".".join(parts)
        return quote(value, safe="") if letter.isupper() else value


def _read(record: str) -> tuple[list[re.Match[str]], str | None]:
    """The mechanisms in their order, and where the record redirects to. Raises _PermanentError for any other term."""
    mechanisms: list[re.Match[str]] = []
    once: dict[str, str] = {}
    for term in record.split(" ")[1:]:
        if not term:
            continue
        found = _NETWORK.fullmatch(term) or _TERM.fullmatch(term)
        if found is not None:
            _check_term(found)
            mechanisms.append(found)
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            raise _PermanentError
        name = modifier["name"].lower()
        if name in {"redirect", "exp"}:
            if name in once or not modifier["value"]:
                raise _PermanentError
            once[name] = modifier["value"]
    return mechanisms, once.get("redirect")


def _check_term(term: re.Match[str]) -> None:
    """Whether a mechanism has what it needs and nothing it may not have (§5)."""
    name, parts = term["name"].lower(), term.groupdict()
    if name in {"ip4", "ip6"}:
        _network(term)
        return
    has_width = parts["v4"] is not None or parts["v6"] is not None
    needs_spec = name in {"include", "exists"}
    if (needs_spec and not parts["spec"]) or (name == "all" and parts["spec"]):
        raise _PermanentError
    if has_width and name not in {"a", "mx"}:
        raise _PermanentError
    if (parts["v4"] is not None and int(parts["v4"][1:]) > 32) or (parts["v6"] is not None and int(parts["v6"]) > 128):
        raise _PermanentError


def _network(term: re.Match[str]) -> IPv4Network | IPv6Network:
    if "v4" in term.re.groupindex:  # an ip4 or ip6 that is none
        raise _PermanentError
    try:
        network = ip_network(term["spec"], strict=False)
    except ValueError:
        raise _PermanentError from None
    if network.version != int(term["name"][-1]):
        raise _PermanentError
    return network


def _dotted(ip: Ip) -> str:
    """§7.3: an IPv6 address nibble by nibble."""
    return str(ip) if isinstance(ip, IPv4Address) else ".".join(ip.exploded.replace(":", ""))


def _is_name(name: str) -> bool:
    """§4.3."""
    labels = name.split(".")
    return len(name) <= 253 and len(labels) > 1 and all(_LABEL.fullmatch(one) for one in labels)
