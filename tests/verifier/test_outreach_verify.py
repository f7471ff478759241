"""The offline verifier: the tree it builds is the one the log builds, its rules are the house's, it stands alone."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain import audit
from outreach.domain.consent import Event, State, transition
from outreach.domain.errors import ConflictError
from outreach.domain.rotation import Rotation, Signed
from outreach.verifier import outreach_verify as offline

SOURCE = Path(offline.__file__)
NAME = "mail.example.org/outreach"
LEAVES = st.lists(st.binary(max_size=4).map(audit.leaf_hash), min_size=1, max_size=700)


def key(seed: bytes) -> tuple[Ed25519PrivateKey, bytes, str]:
    """The key, its public half, and the line by which it is published."""
    made = Ed25519PrivateKey.from_private_bytes(seed * 32)
    public = made.public_key().public_bytes_raw()
    packed = base64.b64encode(b"\1" + public).decode()
    return made, public, f"{NAME}+{audit.key_id(NAME, public).hex()}+{packed}"


@given(LEAVES, st.lists(st.integers(1, 300), max_size=8))
def test_the_tree_is_the_same_however_it_is_cut(leaves: list[bytes], cuts: list[int]) -> None:
    edge: list[bytes] = []
    size = start = 0
    for cut in [*cuts, len(leaves)]:
        size = offline.extend(edge, size, leaves[start : start + cut])
        start += cut
    assert size == len(leaves)
    assert offline.root_of(edge) == audit.root_of(leaves)


def test_an_empty_tree_has_the_published_root() -> None:
    assert offline.root_of([]) == audit.EMPTY_ROOT


@given(LEAVES, st.data())
def test_proofs_lead_where_ours_lead(leaves: list[bytes], data: st.DataObject) -> None:
    size, subtree = len(leaves), audit.subtree_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = audit.inclusion_proof(subtree, index, size)
    assert offline.root_by_path(leaves[index], index, size, path) == audit.root_of(leaves)
    assert offline.root_by_path(leaves[index], index, size, [*path, bytes(32)]) is None
    old = data.draw(st.integers(1, size))
    roots = audit.root_of(leaves[:old]), audit.root_of(leaves)
    steps = audit.consistency_proof(subtree, old, size)
    assert offline.is_continued(old, roots[0], size, roots[1], steps)
    assert old == size or not offline.is_continued(old, bytes(32), size, roots[1], steps)
    assert old == size or not offline.is_continued(old, roots[0], size, bytes(32), steps)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_are_taken_apart(entries: list[bytes]) -> None:
    assert offline.entries_of(audit.bundle(entries)) == entries
    assert offline.leaf_hashes(entries) == [audit.leaf_hash(entry) for entry in entries]


@pytest.mark.parametrize("place", [(0, 0, 256), (0, 1_234_067, 7), (2, 999, 256), (1, 1000, 1)])
def test_tiles_have_their_published_names(place: tuple[int, int, int]) -> None:
    assert offline.tile_name(*place) == audit.tile_path(*place)


@pytest.mark.parametrize("event", Event)
def test_its_consent_machine_is_the_houses(event: Event) -> None:
    for state in State:
        for before in State:
            try:
                after: str = transition(state, event, before)
            except ConflictError:
                after = "-"
            said = offline.AFTER[event.value, state.value]
            if event is Event.RESTORED and said == "live":
                assert after == (before if before in {State.GRANTED, State.PAUSED} else "-")
            else:
                assert said == after, (event, state)


def test_a_note_opens_with_its_key_alone() -> None:
    made, public, line = key(b"a")
    note = audit.sign_note(audit.Checkpoint(NAME, 3, bytes(32)), public, made.sign)
    assert offline.opened(offline.Keys([line]), note, "it").size == 3
    with_more = note + f"— witness.example {base64.b64encode(bytes(76)).decode()}\n"
    assert offline.opened(offline.Keys([line]), with_more, "it").size == 3
    for bent in (note.replace("\n3\n", "\n4\n"), note.replace("— ", "- "), note[:-9]):
        with pytest.raises(offline.UnreadableError):
            offline.opened(offline.Keys([line]), bent, "it")
    with pytest.raises(offline.UnreadableError):
        offline.opened(offline.Keys([key(b"b")[2]]), note, "it")


def test_notes_that_stand_one_after_another_are_told_apart() -> None:
    made, public, _ = key(b"a")
    notes = [audit.sign_note(audit.Checkpoint(NAME, size, bytes(32)), public, made.sign) for size in (1, 2)]
    assert list(offline.notes_in("\n" + "".join(notes))) == notes
    assert list(offline.notes_in("\n\n".join(notes))) == [notes[0], notes[1]]


def rotation(size: int, old: bytes, new: bytes) -> dict[str, Any]:
    (old_key, old_public, _), (new_key, new_public, _) = key(old), key(new)
    turned = Rotation(NAME, size, bytes(32), old_public, new_public)
    message = turned.text.encode()
    return Signed(turned, old_key.sign(message), new_key.sign(message)).body()


@pytest.mark.parametrize("trusted", [b"a", b"b", b"c"])
def test_whoever_trusts_one_key_follows_the_log_to_the_others(trusted: bytes) -> None:
    """Each key for its own sizes: a → b after 10, b → c after 20."""
    keys = offline.Keys([key(trusted)[2]], [rotation(20, b"b", b"c"), rotation(10, b"a", b"b")])
    for seed, least, most in ((b"a", 0, 10), (b"b", 11, 20), (b"c", 21, 99)):
        made, public, _ = key(seed)
        for size in range(5, 100, 5):
            note = audit.sign_note(audit.Checkpoint(NAME, size, bytes(32)), public, made.sign)
            if least <= size <= most:
                assert offline.opened(keys, note, "it").size == size
            else:
                with pytest.raises(offline.UnreadableError):
                    offline.opened(keys, note, "it")


def test_a_rotation_one_key_did_not_sign_leads_nowhere() -> None:
    forged = rotation(10, b"a", b"b") | {"by_old": rotation(11, b"a", b"b")["by_old"]}
    assert len(offline.Keys([key(b"a")[2]], [forged]).known) == 1


def test_it_imports_nothing_of_ours_and_runs_alone(tmp_path: Path) -> None:
    copy = shutil.copy(SOURCE, tmp_path / "outreach_verify.py")
    code = (
        "import sys; sys.path.insert(0, '.'); import outreach_verify\n"
        "mine = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(sorted(name for name in mine if not name.startswith('_')))"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert set(json.loads(shown.stdout.replace("'", '"'))) - {"cffi"} == {"cryptography", "outreach_verify"}
    asked = subprocess.run(
        [sys.executable, "-I", copy, "no.zip"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "no whole export" in asked.stderr


def tell(*entries: Mapping[str, Any], what: str = "whole") -> list[str]:
    """What it finds in a story."""
    report = offline.Report()
    story = offline.Story(offline.COMPLETE[what], report, offline.Keys([]))
    for position, entry in enumerate(entries):
        blank = dict.fromkeys(("contact", "topic", "campaign", "message"))
        said = {**blank, "at": 10**15, "actor": "engine", **entry, "body": json.dumps(entry.get("body", {}))}
        story.add(position, json.dumps(said).encode())
    return [f"{one.entry} {one.what}" for one in report.findings]


HOUR = 3_600_000_000
TEXT: dict[str, Any] = {
    "kind": "topic.text-published",
    "topic": "t",
    "body": {"text": "x", "cap_n": 1, "cap_window": 86_400},
}
YES: dict[str, Any] = {
    "kind": "consent.confirmed",
    "contact": "c",
    "topic": "t",
    "body": {"from": "none", "to": "granted", "text": "x"},
}
LETTER: dict[str, Any] = {"kind": "campaign.created", "campaign": "k", "topic": "t", "body": {"kind": "informational"}}


def sent(message: str, at: int) -> dict[str, Any]:
    return {"kind": "message.sent", "contact": "c", "topic": "t", "campaign": "k", "message": message, "at": at}


def test_more_mail_than_was_promised_is_found() -> None:
    start = 10**15 + HOUR
    day = 24 * HOUR
    assert tell(TEXT, YES, LETTER, sent("m", start), sent("n", start + day)) == []
    assert "promises 1" in tell(TEXT, YES, LETTER, sent("m", start), sent("n", start + day - 1))[0]


def test_more_mail_than_their_own_limit_allows_is_found_until_they_take_it_back() -> None:
    often = {**TEXT, "body": {**TEXT["body"], "cap_n": 9}}
    own: dict[str, Any] = {
        "kind": "consent.limited",
        "contact": "c",
        "topic": "t",
        "body": {"from": "granted", "to": "granted"},
    }
    lowered = {**own, "body": {**own["body"], "own": [1, 7200]}}
    raised = {**own, "kind": "consent.unlimited", "body": {**own["body"], "own": None}, "at": 10**15 + 1}
    again = {**YES, "body": {**YES["body"], "from": "granted"}, "at": 10**15 + 1}
    mails = (sent("m", 10**15 + HOUR), sent("n", 10**15 + HOUR + 1))
    assert "where their own limit allows 1" in tell(often, YES, LETTER, lowered, *mails)[0]
    assert "their own limit" in tell(often, YES, LETTER, lowered, again, *mails)[0], "agreeing again keeps it"
    assert tell(often, YES, LETTER, lowered, raised, *mails) == []


def test_mail_of_a_kind_that_was_not_agreed_to_is_found() -> None:
    named = {**TEXT, "body": {**TEXT["body"], "kinds": "informational"}}
    offer = {**LETTER, "body": {"kind": "promotional"}}
    assert tell(named, YES, LETTER, sent("m", 10**15 + HOUR)) == []
    assert "kind (promotional)" in tell(named, YES, offer, sent("m", 10**15 + HOUR))[0]
    assert tell(TEXT, YES, offer, sent("m", 10**15 + HOUR)) == [], "its entry did not say so then"


def test_mail_on_a_purchase_is_found_where_policy_allowed_none() -> None:
    soft = {**YES, "kind": "consent.soft"}
    on: dict[str, Any] = {"kind": "policy.begun", "body": {"name": "soft-opt-in", "value": {"on": True, "months": 24}}}
    off = {**on, "at": 10**15 + HOUR, "body": {**on["body"], "value": {"on": False, "months": 24}}}
    assert tell(TEXT, on, soft, LETTER, sent("m", 10**15 + HOUR)) == []
    assert tell(TEXT, on, soft, LETTER, off, sent("m", 10**15 + HOUR + 1)) == [], "it was on its way"
    for story in ((TEXT, soft, LETTER), (TEXT, on, soft, LETTER, off)):
        assert "stood on a purchase" in tell(*story, sent("m", 10**15 + 2 * HOUR))[0]
    assert tell(TEXT, soft, LETTER, sent("m", 10**15 + HOUR), what="topic") == [], "it holds no policy"


def test_more_mail_than_the_cap_allows_is_found() -> None:
    cap = {"kind": "policy.cap-changed", "body": {"scope": "total", "caps": [[1, 7200]]}}
    start = 10**15 + HOUR
    assert "the cap (total) allows 1" in tell(cap, YES, LETTER, sent("m", start), sent("n", start + 1))[0]


def test_mail_without_consent_is_found_but_not_mail_that_was_on_its_way() -> None:
    no = {"kind": "consent.withdrawn", "contact": "c", "topic": "t", "at": 10**15 + HOUR,
          "body": {"from": "granted", "to": "withdrawn"}}  # fmt: skip
    assert tell(YES, LETTER, no, sent("m", 10**15 + HOUR + 1_000_000)) == []
    assert "while consent was withdrawn" in tell(YES, LETTER, no, sent("m", 10**15 + 2 * HOUR))[0]
    assert "while consent was none" in tell(LETTER, sent("m", 10**15))[0]


def test_a_campaign_that_lost_somebody_is_found() -> None:
    planned = {"kind": "campaign.slice-planned", "campaign": "k", "body": {"planned": 2, "paused": 1}}
    withheld = {"kind": "message.withheld", "contact": "d", "campaign": "k", "message": "w"}
    over = {"kind": "campaign.finished", "campaign": "k"}
    assert tell(YES, LETTER, planned, withheld, sent("m", 10**15), sent("n", 10**15), over) == []
    assert "2 mails accounted for of 3" in tell(YES, LETTER, planned, withheld, sent("m", 10**15), over)[0]


def test_mail_to_the_erased_and_entries_out_of_time_are_found() -> None:
    gone = {"kind": "contact.erased", "contact": "c"}
    assert "after the same contact was erased" in tell(YES, LETTER, gone, sent("m", 10**15))[0]
    assert "dated more than an hour before" in tell(YES, {"kind": "staff.signed-in", "at": 10**15 - HOUR - 1})[0]
    assert tell(YES, {"kind": "staff.signed-in", "at": 10**15 - HOUR}) == []


def test_a_part_is_not_blamed_for_what_lies_outside_it() -> None:
    no = {"kind": "consent.withdrawn", "contact": "c", "topic": "t", "body": {"from": "granted", "to": "withdrawn"}}
    assert tell(no, LETTER, sent("m", 10**15), {"kind": "campaign.finished", "campaign": "k"}, what="period") == []


def test_an_unreadable_entry_is_found() -> None:
    report = offline.Report()
    story = offline.Story(set(), report, offline.Keys([]))
    for position, raw in enumerate((b"{", b"[]", b'{"at":1,"kind":"x","contact":null,"body":"[]"}', b"")):
        story.add(position, raw)
    assert [(one.entry, one.last) for one in report.findings] == [(0, 2)]


def test_hashes_are_plain_sha256() -> None:
    assert offline.leaf_hashes([b"x"]) == [hashlib.sha256(b"\0x").digest()]
