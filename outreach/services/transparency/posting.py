"""One HTTP POST to a configured address: nobody else is ever asked, nothing is followed, and it ends in time."""

import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 10.0
"""For each step of the conversation."""
WHOLE_SECONDS = 30.0
"""For all of it, however slowly the answer drips."""
MOST_OCTETS = 64 * 1024

_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Outreach"}


@dataclass(frozen=True)
class Answer:
    """Status and body, at most 64 KiB of it. `kind`: its media type, without parameters."""

    status: int
    kind: str
    body: bytes


class PostError(Exception):
    """Nothing came back that could be used. Its text names neither address nor answer."""


def post(url: str, content: bytes, *, ca_file: str = "", seconds: Mapping[str, float] | None = None) -> Answer:
    """POST `content` to `url`, which is https, or http on this machine; redirects and proxies are not followed.

    `seconds`: "step" and "whole", for tests. Raises PostError.
    """
    limits = {"step": SECONDS, "whole": WHOLE_SECONDS, **(seconds or {})}
    connection = _connect(url, ca_file, limits["step"])
    too_late = threading.Event()
    watch = threading.Timer(limits["whole"], _cut, [connection, too_late])
    watch.daemon = True
    try:
        watch.start()
        connection.request("POST", _target(url), content, _HEADERS)
        answer = connection.getresponse()
        body = answer.read(MOST_OCTETS + 1)
    except (OSError, http.client.HTTPException, AttributeError) as error:  # AttributeError: cut off amid reading
        raise PostError(f"could not be reached, or broke off ({type(error).__name__})") from None
    finally:
        watch.cancel()
        connection.close()
    if too_late.is_set():
        raise PostError("could not be reached, or broke off (too slow)")
    if len(body) > MOST_OCTETS:
        raise PostError("answered with more than 64 KiB")
    if answer.length:
        raise PostError("could not be reached, or broke off (amid its answer)")
    return Answer(answer.status, answer.headers.get_content_type(), body)


def _connect(url: str, ca_file: str, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds)
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError:
        raise PostError("cannot be asked: ca_file is not there or holds no certificates") from None
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _cut(connection: http.client.HTTPConnection, too_late: threading.Event) -> None:
    """End the conversation under whoever reads it."""
    too_late.set()
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(2)
        except OSError:
            return
