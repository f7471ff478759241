"""The published log in a folder: the same octets as it is served, complete for its checkpoint, written once."""

import http.server
import threading
from functools import partial
from pathlib import Path

import pytest

from outreach.domain.errors import AuditError, NotFoundError
from outreach.services.context import Context
from outreach.services.transparency import public_log
from outreach.services.transparency.folder import write_folder
from outreach.services.transparency.publish import publish
from outreach.verifier import outreach_verify as offline
from tests.services.transparency.logs import pass_time, write_and_seal
from tests.tampering import loosen


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


def shown(ctx: Context, count: int) -> None:
    write_and_seal(ctx, count)
    pass_time(ctx, 7200)
    publish(ctx, 1)


def test_a_plain_web_server_can_show_it_and_again_only_what_is_new_is_written(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with pytest.raises(NotFoundError):
        write_folder(ctx, folder)
    shown(ctx, 700)
    first = write_folder(ctx, folder)
    assert write_folder(ctx, folder).tiles == 0
    old = folder / "tile/0/000"
    before = old.stat().st_mtime_ns
    shown(ctx, 400)
    second = write_folder(ctx, folder)
    assert first.size < second.size
    fresh = second.size // 256 - first.size // 256 + bool(second.size % 256)
    assert second.tiles == fresh + 1, "and the one of level 1, which is wider now"
    assert old.stat().st_mtime_ns == before
    assert old.read_bytes() == public_log.see_tile(ctx, 0, "000")
    assert not list(folder.rglob("*.part"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        report = offline.verify(url, keys=[(folder / "keys").read_text().splitlines()[0]])
        server.shutdown()
        thread.join()
    assert (report.code, report.size) == (0, second.size), report.findings


def test_hashes_that_are_lost_are_not_passed_over(ctx: Context, tmp_path: Path) -> None:
    shown(ctx, 600)
    loosen(ctx, "DELETE FROM audit_node")
    with pytest.raises(AuditError):
        write_folder(ctx, tmp_path)
    assert not (tmp_path / "checkpoint").exists()
