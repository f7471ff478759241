"""The Merkle tree against the published vectors of RFC 6962's reference tree, and against tampering."""

import base64
import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.audit import (
    EMPTY_ROOT,
    Checkpoint,
    Edge,
    bundle,
    bundle_path,
    consistency_proof,
    entry_bytes,
    inclusion_proof,
    key_id,
    leaf_hash,
    leaf_inputs,
    node_hash,
    open_note,
    root_of,
    sign_note,
    subtree_of,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from outreach.domain.errors import AuditError

# certificate-transparency's reference tree (merkletree/merkle_tree_test.cc), used by every RFC 6962 implementation.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [leaf_hash(entry) for entry in INPUTS]
leaves = st.lists(st.binary(max_size=4).map(leaf_hash), min_size=1, max_size=70)


def reference_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, written as it stands there."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(reference_root(hashes[:k]), reference_root(hashes[k:]))


def test_the_empty_tree_has_the_published_root() -> None:
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_match_the_published_ones(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("place", "path"), PATHS.items())
def test_inclusion_proofs_match_the_published_ones(place: tuple[int, int], path: list[str]) -> None:
    index, size = place
    assert [step.hex() for step in inclusion_proof(subtree_of(LEAVES), index, size)] == path
    assert verify_inclusion(
        LEAVES[index], index, size, [bytes.fromhex(p) for p in path], bytes.fromhex(ROOTS[size - 1])
    )


@pytest.mark.parametrize(("sizes", "path"), CONSISTENCY.items())
def test_consistency_proofs_match_the_published_ones(sizes: tuple[int, int], path: list[str]) -> None:
    old, new = sizes
    assert [step.hex() for step in consistency_proof(subtree_of(LEAVES), old, new)] == path


@given(leaves, st.integers(0, 70))
def test_an_edge_extended_in_pieces_gives_the_reference_root(hashes: list[bytes], cut: int) -> None:
    edge = Edge().extended(hashes[:cut])
    kept = Edge.from_bytes(edge.size, edge.to_bytes())
    assert kept.extended(hashes[cut:]).root == reference_root(hashes)


@given(leaves, st.data())
def test_every_leaf_proves_its_place_and_no_other(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof = inclusion_proof(subtree_of(hashes), index, len(hashes))
    root = reference_root(hashes)
    assert verify_inclusion(hashes[index], index, len(hashes), proof, root)
    other = data.draw(st.integers(-1, len(hashes)).filter(lambda place: place != index))
    if not (0 <= other < len(hashes)) or hashes[other] != hashes[index]:
        assert not verify_inclusion(hashes[index], other, len(hashes), proof, root)
    assert not verify_inclusion(hashes[index], index, len(hashes), [*proof, root], root)
    assert not proof or not verify_inclusion(hashes[index], index, len(hashes), proof[:-1], root)


@given(leaves, st.data())
def test_any_changed_byte_of_an_inclusion_proof_is_found(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof = inclusion_proof(subtree_of(hashes), index, len(hashes))
    packed = bytearray(b"".join([hashes[index], reference_root(hashes), *proof]))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    leaf, root, *bent = (bytes(packed[i : i + 32]) for i in range(0, len(packed), 32))
    assert not verify_inclusion(leaf, index, len(hashes), bent, root)


@given(leaves, st.data())
def test_growth_is_proved_and_any_changed_byte_of_that_proof_is_found(hashes: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(hashes)))
    proof = consistency_proof(subtree_of(hashes), old, len(hashes))
    before, after = reference_root(hashes[:old]), reference_root(hashes)
    assert verify_consistency(old, len(hashes), before, after, proof)
    assert not verify_consistency(old, len(hashes), before, after, [*proof, after])
    packed = bytearray(b"".join([before, after, *proof]))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    bent_before, bent_after, *bent = (bytes(packed[i : i + 32]) for i in range(0, len(packed), 32))
    assert not verify_consistency(old, len(hashes), bent_before, bent_after, bent)


def test_proofs_outside_the_tree_are_refused() -> None:
    for place in ((-1, 4), (4, 4), (0, 0)):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_proof(subtree_of(LEAVES), *place)
    for sizes in ((0, 4), (5, 4)):
        with pytest.raises(ValueError, match="sizes"):
            consistency_proof(subtree_of(LEAVES), *sizes)
        assert not verify_consistency(*sizes, LEAVES[0], LEAVES[1], [])
    assert not verify_consistency(3, 4, LEAVES[0], LEAVES[1], [])


def test_an_edge_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(AuditError):
        Edge.from_bytes(3, b"\0" * 32)


FIELDS: dict[str, Any] = {
    "nonce": b"n" * 16,
    "at": 1_790_000_000_000_000,
    "kind": "consent.granted",
    "actor": "recipient",
    "contact": b"c" * 16,
    "topic": b"t" * 16,
    "campaign": None,
    "message": None,
    "body": '{"reason":"she said “yes”"}',
}


def entry(**changed: Any) -> bytes:
    return entry_bytes(**(FIELDS | changed))


def test_canonical_bytes_never_change() -> None:
    """Old logs are verified by this form: changing it breaks every proof ever given."""
    assert hashlib.sha256(entry()).hexdigest() == PINNED
    assert list(json.loads(entry())) == sorted(json.loads(entry()))


@given(st.text(), st.text(), st.text(), st.one_of(st.none(), st.binary(min_size=16, max_size=16)))
def test_canonical_bytes_are_sorted_json_whatever_the_words(
    kind: str, actor: str, body: str, ref: bytes | None
) -> None:
    made = entry(kind=kind, actor=actor, body=body, contact=ref)
    said = json.loads(made)
    assert (said["kind"], said["actor"], said["body"]) == (kind, actor, body)
    assert said["contact"] == (ref.hex() if ref else None)
    assert made == json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def test_many_entries_are_written_each_as_it_is_alone() -> None:
    """What they share is remembered, and forgotten again: more distinct values than are kept."""
    changes: list[dict[str, Any]] = [
        {"nonce": bytes([n % 251]) * 16, "at": n, "kind": f"kind.{n % 3}", "message": b"", "body": f'{{"n":{n}}}'}
        for n in range(2500)
    ]
    names = ("nonce", "at", "kind", "actor", "contact", "topic", "campaign", "message", "body")
    rows = [tuple((FIELDS | change)[name] for name in names) for change in changes]
    alone = [b"\0" + entry(**change) for change in changes]
    assert list(leaf_inputs(rows)) == alone


PINNED = "7c97b04fbe0495ba4c7794381ee82fa38c8d0d7a069b8935fe7c465f7e963356"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": b"m" * 16},
        {"at": 1},
        {"kind": "consent.withdrawn"},
        {"actor": "engine"},
        {"contact": None},
        {"contact": b"t" * 16, "topic": b"c" * 16},
        {"campaign": b"c" * 16, "contact": None},
        {"message": b"m" * 16},
        {"body": '{"reason": "she said “yes”"}'},
        {"body": '{"reason":"she said “yes”"},"campaign":null'},
    ],
)
def test_every_field_changes_the_leaf(change: dict[str, Any]) -> None:
    assert leaf_hash(entry(**change)) != leaf_hash(entry())


KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NAME = "mail.example.org/outreach"


def genuine(signature: bytes, message: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_note_opens_to_the_checkpoint_that_was_signed() -> None:
    checkpoint = Checkpoint(NAME, 8, bytes.fromhex(ROOTS[7]))
    note = sign_note(checkpoint, PUBLIC, KEY.sign)
    assert note.splitlines()[:3] == [NAME, "8", "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="]
    assert open_note(note, NAME, PUBLIC, genuine) == checkpoint


def test_key_ids_match_a_published_verifier_key() -> None:
    """The Go checksum database: `sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8`."""
    key = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")[1:]
    assert key_id("sum.golang.org", key).hex() == "033de0ae"


@given(st.data())
def test_any_changed_byte_of_a_note_is_found(data: st.DataObject) -> None:
    note = sign_note(Checkpoint(NAME, 8, bytes.fromhex(ROOTS[7])), PUBLIC, KEY.sign)
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != note[place]))
    with pytest.raises(AuditError):
        open_note(note[:place] + other + note[place + 1 :], NAME, PUBLIC, genuine)


def test_a_note_of_another_log_or_key_is_refused() -> None:
    note = sign_note(Checkpoint(NAME, 8, bytes.fromhex(ROOTS[7])), PUBLIC, KEY.sign)
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw()
    for name, key in (("other.example", PUBLIC), (NAME, other)):
        with pytest.raises(AuditError):
            open_note(note, name, key, genuine)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (tile_path(0, 0), "tile/0/000"),
        (tile_path(1, 1_234_067), "tile/1/x001/x234/067"),
        (tile_path(0, 999), "tile/0/999"),
        (tile_path(0, 1000), "tile/0/x001/000"),
        (tile_path(0, 1_234_067, 7), "tile/0/x001/x234/067.p/7"),
        (bundle_path(5, 12), "tile/entries/005.p/12"),
    ],
)
def test_tiles_are_named_as_published(path: str, name: str) -> None:
    assert path == name


def test_a_bundle_prefixes_each_entry_with_its_length() -> None:
    assert bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    with pytest.raises(ValueError, match="longer"):
        bundle([b"x" * 65_536])


def test_trees_of_neighbouring_sizes_differ() -> None:
    roots = [root_of(LEAVES[:size]) for size in range(9)]
    assert all(one != other for one, other in pairwise(roots))
