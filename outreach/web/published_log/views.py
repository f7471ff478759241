"""The log under its public address, `/log`: C2SP tlog-tiles, and proofs as JSON for whoever has no tile client.

Checkpoints and tiles are the same for everybody, and no cookie is looked at: any cache may keep what never changes.
Bundles of entries are for officers who signed in.
"""

import base64
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request

from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.services.transparency import public_log
from outreach.web.auth import current_actor, door
from outreach.web.errors import status_of
from outreach.web.home import context
from outreach.web.security import cookieless

blueprint = Blueprint("published_log", __name__)

_FOR_EVER = "public, max-age=31536000, immutable"
_BRIEFLY = "public, max-age=5"
_OCTETS = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


@blueprint.get("/log/checkpoint")
@door("visitor")
@cookieless
def checkpoint() -> Response:
    return _answer(public_log.see_checkpoint(context()), _TEXT, _BRIEFLY)


@blueprint.get("/log/keys")
@door("visitor")
@cookieless
def keys() -> Response:
    return _answer(public_log.see_keys(context()), _TEXT, _BRIEFLY)


@blueprint.get("/log/tile/<int:level>/<path:place>")
@door("visitor")
@cookieless
def tile(level: int, place: str) -> Response:
    return _answer(public_log.see_tile(context(), level, place), _OCTETS, _FOR_EVER)


@blueprint.get("/log/tile/entries/<path:place>")
@door("officer")
def entries(place: str) -> Response:
    return _answer(public_log.see_bundle(context(), current_actor(), place), _OCTETS, "private, no-store")


@blueprint.get("/log/proof/inclusion")
@door("visitor")
@cookieless
def inclusion() -> Response:
    try:
        index, size = _number("index"), _number("size", needed=False)
        found = public_log.prove_inclusion(context(), index or 0, size)
    except (InvalidInputError, NotFoundError) as error:
        return _refusal(error)
    told = {
        "origin": found.origin,
        "index": found.index,
        "size": found.size,
        "leaf": _packed(found.leaf),
        "root": _packed(found.root),
        "proof": _path(found.proof),
        "checkpoint": found.checkpoint,
    }
    return _proof(told)


@blueprint.get("/log/proof/consistency")
@door("visitor")
@cookieless
def consistency() -> Response:
    try:
        old, new = _number("old"), _number("new", needed=False)
        found = public_log.prove_growth(context(), old or 0, new)
    except (InvalidInputError, NotFoundError) as error:
        return _refusal(error)
    told = {
        "origin": found.origin,
        "old": found.old,
        "new": found.new,
        "old_root": _packed(found.old_root),
        "new_root": _packed(found.new_root),
        "proof": _path(found.proof),
    }
    return _proof(told)


def _number(name: str, *, needed: bool = True) -> int | None:
    """A whole number of the query; None where it is not given and not `needed`. Raises InvalidInputError."""
    text = request.args.get(name, "")
    if not text and not needed:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidInputError(f"Give {name} as a whole number.", name)
    return int(text)


def _proof(told: dict[str, Any]) -> Response:
    answer = jsonify(told)
    answer.headers["Cache-Control"] = _BRIEFLY
    return answer


def _refusal(error: InvalidInputError | NotFoundError) -> Response:
    answer = jsonify(error=str(error))
    answer.status_code = status_of(error)
    return answer


def _answer(content: str | bytes, kind: str, caching: str) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = kind
    answer.headers["Cache-Control"] = caching
    return answer


def _packed(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _path(hashes: Sequence[bytes]) -> list[str]:
    return [_packed(step) for step in hashes]
