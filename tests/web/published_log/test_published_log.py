"""The log at its public address: what it serves, to whom, how it may be kept, and that it tells of nobody."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from outreach.app import create_app
from outreach.config import load_keyring
from outreach.domain.audit import leaf_hash, root_of, split_hashes, tile_path, verify_consistency, verify_inclusion
from outreach.domain.cosignatures import read_key
from outreach.services.context import Context
from outreach.services.requests import process_requests
from outreach.services.seal import LogKey, is_genuine, seal
from outreach.services.transparency.publish import publish
from outreach.services.transparency.rotate import rotate_log_key
from outreach.store.schema.consents import topic as topics
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.transparency.logs import pass_time, write, write_and_seal
from tests.web.conftest import Browser

HOUR = 3600


def b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


@pytest.fixture
def size(ctx: Context) -> int:
    """A published log of 300 entries and some padding, with 9 more sealed since."""
    write(ctx, 300)
    shown = publish(ctx, 1)
    assert shown is not None
    write_and_seal(ctx, 9)
    return shown


def test_before_anything_is_published_there_is_nothing(client: Browser, ctx: Context) -> None:
    write_and_seal(ctx, 300)
    for path in ("/log/checkpoint", "/log/tile/0/000", "/log/tile/0/001.p/44", "/log/proof/inclusion?index=0"):
        assert client.get(path).status_code == 404, path


def test_the_checkpoint_is_the_newest_published_and_its_key_opens_it(client: Browser, ctx: Context, size: int) -> None:
    answer = client.get("/log/checkpoint")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=5"
    assert LogKey(ctx.keyring).open(answer.text).size == size
    (line,) = client.get("/log/keys").text.splitlines()
    key = read_key(line)
    assert (key.name, key.public) == (ctx.keyring.audit_name, LogKey(ctx.keyring).public)


def test_tiles_make_the_checkpoints_root(client: Browser, size: int) -> None:
    leaves: list[bytes] = []
    for number in range(size // 256):
        answer = client.get(f"/log/{tile_path(0, number)}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert len(answer.get_data()) == 8192
        leaves += split_hashes(answer.get_data())
    assert b64(client.get("/log/checkpoint").text.splitlines()[2]) == root_of(leaves)
    assert client.get("/log/tile/0/000.p/3").get_data() == b"".join(leaves[:3])
    above = client.get(f"/log/tile/1/000.p/{size // 256}").get_data()
    assert split_hashes(above) == tuple(root_of(leaves[n * 256 : n * 256 + 256]) for n in range(size // 256))


def test_nothing_past_the_published_size_is_served(client: Browser, ctx: Context, size: int) -> None:
    beyond = size // 256
    for path in (
        f"tile/0/{beyond:03}.p/1",
        f"tile/0/{beyond:03}",
        f"tile/1/000.p/{beyond + 1}",
        "tile/2/000.p/1",
        "tile/99999999999999999999/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/entries.p/3",
    ):
        assert client.get(f"/log/{path}").status_code == 404, path
    assert client.get(f"/log/proof/inclusion?index={size}").status_code == 422
    assert client.get(f"/log/proof/inclusion?index=0&size={size + 1}").status_code == 422
    assert client.get(f"/log/proof/consistency?old=1&new={size + 9}").status_code == 422


def test_proofs_by_the_api_hold(client: Browser, size: int) -> None:
    root = b64(client.get("/log/checkpoint").text.splitlines()[2])
    one = client.get("/log/proof/inclusion?index=77").get_json()
    assert (one["index"], one["size"], b64(one["root"])) == (77, size, root)
    assert one["checkpoint"] == client.get("/log/checkpoint").text
    assert verify_inclusion(b64(one["leaf"]), 77, size, [b64(step) for step in one["proof"]], root)
    between = client.get("/log/proof/inclusion?index=77&size=200").get_json()
    assert between["checkpoint"] is None
    proof = [b64(step) for step in between["proof"]]
    assert verify_inclusion(b64(one["leaf"]), 77, 200, proof, b64(between["root"]))
    grown = client.get("/log/proof/consistency?old=200").get_json()
    assert grown["old_root"] == between["root"]
    assert verify_consistency(200, size, b64(grown["old_root"]), root, [b64(step) for step in grown["proof"]])


@pytest.mark.parametrize(
    "query",
    ["inclusion", "inclusion?index=-1", "inclusion?index=a", "inclusion?index=0&size=0", "inclusion?index=٣",
     "inclusion?index=" + "9" * 19, "consistency", "consistency?old=0", "consistency?old=5&new=4"],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_answered_in_json(client: Browser, size: int, query: str) -> None:
    answer = client.get(f"/log/proof/{query}")
    assert answer.status_code == 422
    assert set(answer.get_json()) == {"error"}


def test_entries_are_for_officers_alone(client: Browser, signed_in: Callable[..., Browser], size: int) -> None:
    path = "/log/tile/entries/000"
    assert client.get(path).status_code == 303
    assert signed_in("marketer").get(path).status_code == 403
    answer = signed_in("officer").get(path)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Cache-Control"] == "private, no-store"
    packed, entries = answer.get_data(), []
    while packed:
        length = int.from_bytes(packed[:2], "big")
        entries.append(packed[2 : 2 + length])
        packed = packed[2 + length :]
    assert b"".join(map(leaf_hash, entries)) == client.get("/log/tile/0/000").get_data()
    assert json.loads(entries[0])["kind"] == "topic.created"
    assert signed_in("officer").get(f"/log/tile/entries/{size // 256:03}.p/1").status_code == 404


def test_what_anybody_may_keep_looks_at_no_cookie(signed_in: Callable[..., Browser], size: int) -> None:
    officer = signed_in("officer")
    for path in ("checkpoint", "keys", "tile/0/000", "proof/inclusion?index=3", "proof/consistency?old=3"):
        answer = officer.get(f"/log/{path}")
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


# --- what it tells of people -----------------------------------------------------------------------------------------

PUBLIC = ("checkpoint", "keys", "tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003", "tile/1/000.p/1",
          "tile/1/000.p/2", "tile/1/000.p/3", "proof/inclusion?index=1", "proof/consistency?old=1")  # fmt: skip


_FIXED = ("checkpoint", "keys", "tile/0/000", "proof/inclusion?index=1")  # there all the while


def published(ctx: Context) -> int:
    return int(create_app(ctx, testing=True).test_client().get("/log/checkpoint").text.splitlines()[1])


def see(ctx: Context) -> dict[str, tuple[int, int, dict[str, str]]]:
    """Everything public: how each address answers, how long, and with which headers."""
    client = create_app(ctx, testing=True).test_client()
    seen = {}
    for path in PUBLIC:
        answer = client.get(f"/log/{path}")
        headers = {name: re.sub(r"nonce-[^']*", "", value) for name, value in answer.headers}
        del headers["Content-Length"]
        seen[path] = (answer.status_code, len(answer.get_data()), headers)
    return seen


def tried(ctx: Context, address: str, slug: str) -> dict[str, tuple[int, int, dict[str, str]]]:
    """Somebody submits `address`; the engine does its work; what is public an hour later."""
    app = create_app(ctx, testing=True)
    app.config["WTF_CSRF_ENABLED"] = False
    assert app.test_client().post("/sign-up", data={"address": address, "topics": slug, "page": slug}).status_code < 400
    before = see(ctx)
    pass_time(ctx, HOUR + 1)
    assert process_requests(ctx) == 1
    while seal(ctx, 1):
        pass
    assert see(ctx) == before  # nothing of it shows before its time
    assert publish(ctx, 1) is not None
    return see(ctx)


@pytest.mark.parametrize("dither", [0, 100, 200])
def test_known_and_unknown_addresses_leave_the_same_in_public(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch, dither: int
) -> None:
    """They write another number of entries, yet everything public has the same shape afterwards."""
    monkeypatch.setattr("outreach.services.transparency.publish.randbelow", lambda _most: dither)
    topic, text = world.topic()
    known = world.person("known@example.org")
    world.grant(known, topic, text)
    with ctx.db.reading() as conn:
        slug = conn.execute(topics.select().where(topics.c.id == topic)).one().slug
        keys = conn.execute(contact.select().where(contact.c.id == known.id)).one()
    write(ctx)
    publish(ctx, 1)
    shapes, grown, size = [], [], published(ctx)
    for address in ("known@example.org", "stranger@example.net"):
        before = see(ctx)
        after = tried(ctx, address, slug)
        assert after != before
        grown.append(published(ctx) - size)
        size = published(ctx)
        shapes.append({path: (status, headers) for path, (status, _, headers) in after.items() if path in _FIXED})
    assert grown[0] == grown[1] > 0
    assert shapes[0] == shapes[1]
    client = create_app(ctx, testing=True).test_client()
    everything = b"".join(client.get(f"/log/{path}").get_data() for path in PUBLIC)
    for secret in (keys.ref, keys.address_key, b"known@example.org", b"stranger@example.net"):
        assert secret not in everything
        assert base64.b64encode(secret) not in everything
        assert secret.hex().encode() not in everything


def test_leaves_of_equal_acts_differ(ctx: Context, client: Browser) -> None:
    """So no leaf can be guessed from what it would say: each holds 128 random bits."""
    write(ctx, 200)
    for _ in range(200):
        write(ctx, 1)
    publish(ctx, 1)
    leaves = split_hashes(client.get("/log/tile/0/000").get_data())
    assert len(set(leaves)) == 256


def test_a_rotated_key_is_published_with_the_ones_before(ctx: Context, size: int) -> None:
    rotate_log_key(ctx, 1)
    pass_time(ctx, HOUR + 1)
    after = replace(ctx, keyring=load_keyring(ctx.settings))
    assert publish(after, 1) is not None
    client = create_app(after, testing=True).test_client()
    newest, former = (read_key(line) for line in client.get("/log/keys").text.splitlines())
    assert former.public == LogKey(ctx.keyring).public
    note = client.get("/log/checkpoint").text
    body, _, rest = note.partition("\n\n")
    signature = b64(rest.split()[2])
    assert signature[:4] == newest.id
    assert is_genuine(newest.public, signature[4:], f"{body}\n".encode())
