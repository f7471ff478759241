"""The verifier against the log as it is published: over HTTP, with an export, and after the key changed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from outreach.app import create_app
from outreach.config import load_keyring
from outreach.services.context import Context
from outreach.services.exports.make import make_export
from outreach.services.exports.wanted import Wanted, What
from outreach.services.seal import LogKey, seal
from outreach.services.transparency.publish import publish
from outreach.services.transparency.rotate import rotate_log_key
from outreach.store.audit import Entry, record
from outreach.verifier import outreach_verify as offline
from tests.tamper.life import OFFICER, REASON
from tests.tampering import loosen


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # as the base class names them
        """Nothing on the terminal."""


@contextmanager
def published(ctx: Context) -> Iterator[str]:
    """Where the log of this context answers."""
    server = make_server("127.0.0.1", 0, create_app(ctx), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/log"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write(ctx: Context, count: int) -> None:
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), *(Entry(kind="staff.signed-in", actor="staff:x") for _ in range(count)))


def exported(ctx: Context, path: Path, wanted: Wanted | None = None) -> str:
    path.write_bytes(b"".join(make_export(ctx, OFFICER, wanted or Wanted(what=What.WHOLE), REASON).octets))
    return str(path)


def key(ctx: Context) -> str:
    return str(LogKey(ctx.keyring).verifiers[0])


def note(ctx: Context) -> str:
    sealed = seal(ctx, 1)
    assert sealed is not None
    return sealed.note


def test_the_published_log_is_intact_and_a_rewritten_one_is_not(ctx: Context) -> None:
    write(ctx, 300)
    witnessed = note(ctx)
    publish(ctx, 1)
    with published(ctx) as address:
        report = offline.verify(address, keys=[key(ctx)], witnessed=[witnessed])
        assert (report.code, report.size % 256, report.witnessed) == (0, 0, 300), report.findings
        with pytest.raises(offline.UnreadableError, match="--key"):
            offline.verify(address)
        with pytest.raises(offline.UnreadableError, match="cannot be fetched"):
            offline.verify(f"{address}/nowhere", keys=[key(ctx)])
        second = "SELECT t.hashes FROM audit_tile t WHERE t.level = 0 AND t.number = 1"
        loosen(ctx, f"UPDATE audit_tile SET hashes = ({second}) WHERE level = 0 AND number = 0")
        bent = offline.verify(address, keys=[key(ctx)], witnessed=[witnessed])
        assert {one.kind for one in bent.findings} == {"forked", "altered"}


def test_an_export_is_compared_with_the_published_log(ctx: Context, tmp_path: Path) -> None:
    write(ctx, 300)
    publish(ctx, 1)
    path = exported(ctx, tmp_path / "log.zip")
    write(ctx, 5)
    note(ctx)
    ahead = exported(ctx, tmp_path / "ahead.zip")
    with published(ctx) as address:
        assert offline.verify(path, keys=[key(ctx)], log=address).code == 0
        report = offline.verify(ahead, keys=[key(ctx)], log=address)
        assert (report.code, report.findings) == (3, [])
        assert "not published yet" in report.uncompared[0]


def test_a_log_is_followed_from_key_to_key(ctx: Context, tmp_path: Path) -> None:
    write(ctx, 20)
    witnessed, old = note(ctx), key(ctx)
    rotate_log_key(ctx, 1)
    turned = replace(ctx, keyring=load_keyring(ctx.settings))
    assert key(turned) != old
    write(turned, 20)
    later = note(turned)
    path = exported(turned, tmp_path / "log.zip")
    for trusted in (old, key(turned)):
        report = offline.verify(path, keys=[trusted], witnessed=[witnessed, later])
        assert report.code == 0, report.findings
        assert len(report.keys) == 2
    part = exported(turned, tmp_path / "part.zip", Wanted(what=What.PERIOD, since=0, until=2**62, held=witnessed))
    assert offline.verify(part, keys=[old], witnessed=[witnessed]).code == 0


def test_a_rotation_that_is_not_told_in_the_log_is_found(ctx: Context, tmp_path: Path) -> None:
    write(ctx, 20)
    note(ctx)
    rotate_log_key(ctx, 1)
    turned = replace(ctx, keyring=load_keyring(ctx.settings))
    loosen(turned, "UPDATE audit_entry SET body = '{}' WHERE kind = 'log.key-rotated'")
    report = offline.verify(exported(turned, tmp_path / "log.zip"))
    assert {"signature", "altered"} <= {one.kind for one in report.findings}
