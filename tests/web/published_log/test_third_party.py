"""A third party reads the log: `note` and `tlog` of Go's checksum database, as every Go toolchain brings their source.

They open the checkpoint, fetch the tiles they themselves name, check them against the root, and make proofs of their
own; ours must be the same, octet for octet.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outreach.domain.audit import TILE, tile_path
from outreach.domain.tiles import is_covered
from outreach.services.context import Context
from outreach.services.seal import LogKey
from outreach.services.transparency.publish import publish
from outreach.store import audit_log, audit_tiles
from tests.services.transparency.logs import plant, write
from tests.web.conftest import Browser

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built from the toolchain's own copy of golang.org/x/mod/sumdb and check.go.txt."""
    folder = tmp_path_factory.mktemp("third-party")
    asked = ["go", "env", "GOROOT", "GOVERSION"]
    root, version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    theirs = Path(root) / "src" / "cmd" / "vendor" / "golang.org" / "x" / "mod" / "sumdb"
    for package in ("note", "tlog"):
        shutil.copytree(theirs / package, folder / package, ignore=shutil.ignore_patterns("*_test.go"))
    shutil.copy(HERE / "check.go.txt", folder / "main.go")
    speaks = ".".join(version.removeprefix("go").split(".")[:2])
    (folder / "go.mod").write_text(f"module check\n\ngo {speaks}\n")
    quiet = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", "check", "."], check=True, cwd=folder, env=quiet)
    return folder / "check"


def download(client: Browser, folder: Path) -> int:
    """All that is published, under the paths it is published at. Returns the log's size."""
    (folder / "tile").mkdir(parents=True)
    checkpoint = client.get("/log/checkpoint").get_data()
    (folder / "checkpoint").write_bytes(checkpoint)
    size = int(checkpoint.splitlines()[1])
    for level in range(3):
        count = size // TILE**level
        for number in range(-(-count // TILE)):
            width = min(TILE, count - number * TILE)
            assert is_covered(level, number, width, size)
            path = tile_path(level, number, width)
            answer = client.get(f"/log/{path}")
            assert answer.status_code == 200, path
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(answer.get_data())
    return size


def ask(client: Browser, size: int, indexes: list[int], olds: list[int]) -> dict[str, Any]:
    """Our proofs, as the API gives them."""
    inclusions = [client.get(f"/log/proof/inclusion?index={index}").get_json() for index in indexes]
    growths = [client.get(f"/log/proof/consistency?old={old}&new={size}").get_json() for old in olds]
    return {
        "key": client.get("/log/keys").text.splitlines()[0],
        "inclusion": [{"entry": "", **{name: one[name] for name in ("index", "leaf", "proof")}} for one in inclusions],
        "consistency": [{"old": one["old"], "root": one["old_root"], "proof": one["proof"]} for one in growths],
    }


def compare(program: Path, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What they make of the same log and of our proofs."""
    (folder / "questions.json").write_text(json.dumps(asked))
    done = subprocess.run([program, folder], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["inclusion"] == [one["proof"] for one in asked["inclusion"]]
    assert told["consistency"] == [one["proof"] for one in asked["consistency"]]
    return told


def test_go_reads_the_published_log_and_agrees(
    ctx: Context, client: Browser, signed_in: Any, reader: Path, tmp_path: Path
) -> None:
    officer = signed_in("officer")
    write(ctx, 700)
    assert publish(ctx, 1) is not None
    size = download(client, tmp_path / "log")
    indexes = [0, 1, 255, 256, 511, size - 1]
    asked = ask(client, size, indexes, [1, 2, 255, 256, 700, size])
    for one in asked["inclusion"]:
        bundle, wanted = officer.get(f"/log/tile/entries/{one['index'] // TILE:03}").get_data(), one["index"] % TILE
        for _ in range(wanted):
            bundle = bundle[2 + int.from_bytes(bundle[:2], "big") :]
        one["entry"] = base64.b64encode(bundle[2 : 2 + int.from_bytes(bundle[:2], "big")]).decode()
    told = compare(reader, tmp_path / "log", asked)
    assert told["refused"] == []
    with ctx.db.reading() as conn:
        point = audit_log.point_at(conn, size)
    assert point is not None
    assert (told["origin"], told["size"]) == (ctx.keyring.audit_name, size)
    assert told["root"] == base64.b64encode(point.root).decode()


def test_go_reads_partial_tiles_of_every_level(ctx: Context, client: Browser, reader: Path, tmp_path: Path) -> None:
    size = 70_000
    plant(ctx, 65_000, size)
    key = LogKey(ctx.keyring)
    with ctx.db.transaction() as conn:
        point = audit_log.point_at(conn, size)
        assert point is not None
        audit_log.add_note(conn, size, key.sign(size, point.root))
        audit_tiles.add_publication(conn, size, 1)
    assert download(client, tmp_path / "log") == size
    asked = ask(client, size, [0, 65_535, 65_536, 69_887, 69_888, 69_999], [1, 65_000, 65_536, 69_999])
    assert compare(reader, tmp_path / "log", asked)["refused"] == []


def test_go_refuses_what_is_wrong(ctx: Context, client: Browser, reader: Path, tmp_path: Path) -> None:
    """So that its agreement means something."""
    write(ctx, 300)
    publish(ctx, 1)
    size = download(client, tmp_path / "log")
    asked = ask(client, size, [3, 4], [200])
    (tmp_path / "log" / "questions.json").write_text(json.dumps(asked))
    asked["inclusion"][0]["leaf"], asked["inclusion"][1]["leaf"] = (one["leaf"] for one in asked["inclusion"][::-1])
    asked["consistency"][0]["root"] = asked["inclusion"][0]["leaf"]
    assert compare(reader, tmp_path / "log", asked)["refused"] == ["inclusion 3", "inclusion 4", "consistency 200"]
    tile = tmp_path / "log" / "tile" / "0" / "000"
    octets = bytearray(tile.read_bytes())
    octets[40] ^= 1
    tile.write_bytes(octets)
    assert subprocess.run([reader, tmp_path / "log"], check=False, capture_output=True).returncode == 1
