"""The key file, the keyed hashes and the boxes: made once, read by nobody else, rotated without an address at hand."""

import base64
import hmac
import json
import multiprocessing
import stat
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from outreach.config import Settings, load_keyring, new_keys
from outreach.domain.errors import SettingsError
from outreach.domain.keys import Keyring
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys, seal, unseal
from outreach.store.schema.people import contact, contact_key
from tests.factories import World

K1, K2 = b"1" * 32, b"2" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance=tmp_path / "instance")


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return load_keyring(settings)


def test_the_key_file_is_made_once_and_for_us_alone(settings: Settings) -> None:
    first = load_keyring(settings)
    path = settings.instance / "keys.json"
    written = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.instance.stat().st_mode) == 0o700
    assert load_keyring(settings) == first
    assert path.read_bytes() == written


def test_every_installation_has_keys_of_its_own(tmp_path: Path, keyring: Keyring) -> None:
    other = load_keyring(Settings(instance=tmp_path / "other"))
    assert set(_secrets(keyring)).isdisjoint(_secrets(other))
    assert len(set(_secrets(keyring))) == len(_secrets(keyring))
    assert {len(secret) for secret in _secrets(keyring)} == {32}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_file_others_may_use_is_refused(settings: Settings, mode: int) -> None:
    load_keyring(settings)
    (settings.instance / "keys.json").chmod(mode)
    with pytest.raises(SettingsError, match=r"^keys\.json: .*chmod 600"):
        load_keyring(settings)


@pytest.mark.parametrize("part", sorted(new_keys("host")))
def test_a_key_file_without_one_of_its_parts_is_refused(settings: Settings, part: str) -> None:
    def lose(raw: dict[str, Any]) -> None:
        del raw[part]

    assert "complete" in _refused(settings, lose)


def test_a_key_that_is_not_base64_is_refused_and_not_shown(settings: Settings) -> None:
    def spoil(raw: dict[str, Any]) -> None:
        raw["doors"] = "not base64!"

    assert "not base64!" not in _refused(settings, spoil)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"keys"'])
def test_a_key_file_cut_short_is_refused_and_left_as_it_is(settings: Settings, content: str) -> None:
    load_keyring(settings)
    path = settings.instance / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"^keys\.json: "):
        load_keyring(settings)
    assert path.read_text() == content


def test_processes_that_start_at_once_agree_on_one_file(tmp_path: Path) -> None:
    together, rounds = 4, 25
    fork = multiprocessing.get_context("fork")
    barrier, found = fork.Barrier(together), fork.Queue()
    starters = [fork.Process(target=_start, args=(tmp_path, rounds, barrier, found)) for _ in range(together)]
    for starter in starters:
        starter.start()
    said = [found.get(timeout=90) for _ in starters]
    for starter in starters:
        starter.join()
    assert len(said[0]) == rounds
    assert all(said[0] == other for other in said)


def _start(folder: Path, rounds: int, barrier: Barrier, found: "multiprocessing.Queue[list[str]]") -> None:
    said = []
    for number in range(rounds):
        barrier.wait(90)
        try:
            said.append(load_keyring(Settings(instance=folder / str(number))).doors.hex())
        except SettingsError as error:
            said.append(str(error))
    found.put(said)


def test_a_keyring_shows_no_secret(keyring: Keyring) -> None:
    shown = repr(keyring) + str(keyring)
    for secret in _secrets(keyring):
        for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode()):
            assert form not in shown


def test_a_hash_is_carried_to_a_newer_key_without_the_address(keyring: Keyring) -> None:
    old, new = (replace(keyring, address=keys) for keys in ((K1,), (K1, K2)))
    for purpose in ("address", "mailbox", "network"):
        known = old.blind(purpose, "ada@example.org")
        assert new.blind(purpose, "ada@example.org") == hmac.digest(K2, known, "sha256") != known


def test_a_hash_tells_texts_and_purposes_apart(keyring: Keyring) -> None:
    hashes = {
        keyring.blind(purpose, text)
        for purpose in ("address", "mailbox", "network")
        for text in ("ada@example.org", "bob@example.org")
    }
    assert len(hashes) == 6
    assert {len(value) for value in hashes} == {32}
    assert keyring.blind("address", "ada@example.org") in hashes


def test_contacts_under_the_old_key_open_and_new_ones_take_the_newest(ctx: Context, world: World) -> None:
    before = world.person("ada@example.org")
    rotated = replace(ctx.keyring, keks=ctx.keyring.keks | {"k2": K2})
    after = World.person(_under(world, rotated), "bob@example.org")
    with ctx.db.reading() as conn:
        assert _wrapped_by(conn, before.id) == "k1"
        assert _wrapped_by(conn, after.id) == "k2"
        keys = ContactKeys(rotated, conn)
        assert keys.text(before.id, _address_box(conn, before.id)) == "ada@example.org"
        assert keys.text(after.id, _address_box(conn, after.id)) == "bob@example.org"


def test_a_box_with_any_byte_changed_does_not_open() -> None:
    box = seal(K1, b"ada@example.org")
    assert unseal(K1, box) == b"ada@example.org"
    for place in range(len(box)):
        tampered = bytearray(box)
        tampered[place] ^= 1
        with pytest.raises(ValueError, match="does not open"):
            unseal(K1, bytes(tampered))


def test_a_box_does_not_open_with_another_key_and_never_looks_the_same() -> None:
    box = seal(K1, b"ada@example.org")
    with pytest.raises(ValueError, match="does not open"):
        unseal(K2, box)
    assert b"ada" not in box
    assert seal(K1, b"ada@example.org") != box


def test_a_box_of_another_contact_does_not_open(ctx: Context, world: World) -> None:
    ada, bob = world.person("ada@example.org"), world.person("bob@example.org")
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        with pytest.raises(ValueError, match="does not open"):
            keys.text(bob.id, _address_box(conn, ada.id))


def test_without_its_key_a_contact_has_no_words_left(ctx: Context, world: World) -> None:
    ada = world.person("ada@example.org", name="Ada Lovelace")
    with ctx.db.transaction() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        assert keys.facts(ada.id, _fields_box(conn, ada.id)) == {"name": "Ada Lovelace"}
        conn.execute(delete(contact_key).where(contact_key.c.contact == ada.id))
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        assert keys.facts(ada.id, _fields_box(conn, ada.id)) == {}
        assert keys.text(ada.id, _address_box(conn, ada.id)) is None


def _secrets(keyring: Keyring) -> list[bytes]:
    tokens = [key.secret for key in keyring.tokens]
    return [*keyring.address, *keyring.keks.values(), *tokens, keyring.doors, keyring.sessions, keyring.audit_seed]


def _refused(settings: Settings, change: Callable[[dict[str, Any]], None]) -> str:
    load_keyring(settings)
    path = settings.instance / "keys.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(SettingsError) as caught:
        load_keyring(settings)
    line = str(caught.value)
    assert line.startswith("keys.json: ")
    assert "\n" not in line
    return line


def _under(world: World, keyring: Keyring) -> World:
    """The same organisation, after a restart with other keys."""
    world.ctx = replace(world.ctx, keyring=keyring)
    return world


def _wrapped_by(conn: Any, contact_id: int) -> str:
    return str(conn.execute(select(contact_key.c.kek).where(contact_key.c.contact == contact_id)).scalar_one())


def _address_box(conn: Any, contact_id: int) -> bytes:
    return bytes(conn.execute(select(contact.c.address_box).where(contact.c.id == contact_id)).scalar_one())


def _fields_box(conn: Any, contact_id: int) -> bytes:
    return bytes(conn.execute(select(contact.c.fields_box).where(contact.c.id == contact_id)).scalar_one())
