"""How often one network may knock: HTTP only. What a person may be sent is decided in transactions, never here."""

import ipaddress
from typing import cast

from flask import Flask, abort, current_app, request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from outreach.config import Settings
from outreach.web.home import context


def network_prefix() -> str:
    """The caller's network: IPv4 /24, IPv6 /48, as text. Behind trusted proxies, the address they report."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))


def limit(app: Flask, settings: Settings) -> None:
    """Limit posts to public forms by network. Links with a token are never limited: stopping must always work."""
    app.extensions["outreach.limits"] = MovingWindowRateLimiter(MemoryStorage())
    allowed = parse(settings.http_limit)

    @app.before_request
    def _not_too_often() -> None:
        if _is_public_form() and not _counted().hit(allowed, "http", network_prefix()):
            abort(429)


def may_sign_in(address: str) -> bool:
    """Count one attempt and say whether this network, and this account, known or not, may make it."""
    ctx = context()
    account = ctx.keyring.blind("sign-in", address.strip().casefold()).hex()
    allowed = parse(ctx.settings.sign_in_limit)
    by_network = _counted().hit(allowed, "sign-in", network_prefix())
    by_account = _counted().hit(allowed, "sign-in-account", account)
    return by_network and by_account


def _counted() -> MovingWindowRateLimiter:
    """What this process has counted."""
    return cast(MovingWindowRateLimiter, current_app.extensions["outreach.limits"])


def _is_public_form() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method == "POST" and "visitor" in getattr(view, "actors", ())
