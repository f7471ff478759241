"""Witnesses for tests: real servers on this machine, one that keeps the protocol and ones that misbehave."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from outreach.domain.audit import verify_consistency
from outreach.domain.cosignatures import COSIGNER, NoteKey, body_of
from outreach.hosts import Witness
from outreach.services.context import Context

Reply = Callable[[BaseHTTPRequestHandler, bytes], None]


def with_witnesses(ctx: Context, **named: Witness) -> Context:
    """The same installation with these witnesses in its settings."""
    return replace(ctx, settings=ctx.settings.model_copy(update={"witnesses": named}))


def at(url: str, kind: str = "post", **more: object) -> Witness:
    return Witness.model_validate({"kind": kind, "to": SecretStr(url), **more})


@contextmanager
def serving(reply: Reply) -> Iterator[str]:
    """A web server on a free port; gives its address. `reply` answers each POST."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class Cosigner:
    """A witness as C2SP tlog-witness describes it: it remembers one tree, and cosigns what continues it."""

    size: int = 0
    root: bytes = b""
    asked: list[int] = field(default_factory=list)
    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"w" * 32))

    @property
    def note_key(self) -> NoteKey:
        return NoteKey("witness.example/w1", COSIGNER, self.key.public_key().public_bytes_raw())

    def __call__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        head, _, note = body.decode().partition("\n\n")
        old_line, *proof = head.split("\n")
        old = int(old_line.removeprefix("old "))
        _origin, size, root = note.split("\n")[:3]
        self.asked.append(old)
        if handler.path != "/add-checkpoint":
            say(handler, 404)
        elif old != self.size:
            say(handler, 409, f"{self.size}\n".encode(), Content_Type="text/x.tlog.size")
        elif old and not verify_consistency(
            old, int(size), self.root, base64.b64decode(root), [base64.b64decode(step) for step in proof]
        ):
            say(handler, 422)
        else:
            self.size, self.root = int(size), base64.b64decode(root)
            say(handler, 200, self.cosign(note).encode())

    def cosign(self, note: str, time: int = 1_790_000_000) -> str:
        signature = self.key.sign(f"cosignature/v1\ntime {time}\n{body_of(note)}".encode())
        octets = self.note_key.id + time.to_bytes(8, "big") + signature
        return f"— {self.note_key.name} {base64.b64encode(octets).decode()}\n"
