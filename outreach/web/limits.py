"""How often one network may knock: HTTP only. What a person may be sent is decided in transactions, never here."""

import ipaddress

from flask import Flask, current_app, request
from flask_limiter import Limiter
from limits import parse

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
    app.extensions["outreach.limiter"] = Limiter(
        network_prefix,
        app=app,
        application_limits=[settings.http_limit],
        application_limits_exempt_when=lambda: not _is_public_form(),
        storage_uri="memory://",
        strategy="moving-window",
        headers_enabled=False,
    )


def may_sign_in(address: str) -> bool:
    """Count one attempt and say whether this network, and this account, known or not, may make it."""
    ctx = context()
    account = ctx.keyring.blind("sign-in", address.strip().casefold()).hex()
    allowed = parse(ctx.settings.sign_in_limit)
    limiter: Limiter = current_app.extensions["outreach.limiter"]
    by_network = limiter.limiter.hit(allowed, "sign-in", network_prefix())
    by_account = limiter.limiter.hit(allowed, "sign-in-account", account)
    return by_network and by_account


def _is_public_form() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method == "POST" and "visitor" in getattr(view, "actors", ())
