"""The log goes to another key: the old one vouches for it in the log, and whoever follows the entries needs no more."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from outreach.cli import main
from outreach.config import Settings, load_keyring
from outreach.domain.audit import open_note
from outreach.domain.errors import AuditError
from outreach.domain.rotation import KIND, Signed, read_rotation
from outreach.services.context import Context, open_context
from outreach.services.seal import LogKey, checkpoint_file, is_genuine, kept_notes, seal
from outreach.services.transparency import rotate as rotating
from outreach.services.transparency.public_log import see_keys
from outreach.services.transparency.publish import publish
from outreach.services.transparency.rotate import rotate_log_key
from outreach.services.verify import verify
from outreach.store import audit_log
from outreach.store.migrate import upgrade
from outreach.store.schema.audit import audit_entry, audit_leaf
from tests.services.transparency.logs import write, write_and_seal
from tests.tampering import loosen


def restarted(ctx: Context) -> Context:
    """As a process started now would see the installation."""
    return replace(ctx, keyring=load_keyring(ctx.settings))


def entries(ctx: Context) -> dict[int, Signed]:
    """The rotations the log tells of, by their place."""
    query = select(audit_leaf.c.position, audit_entry.c.body).join(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
    with ctx.db.reading() as conn:
        rows = conn.execute(query.where(audit_entry.c.kind == KIND).order_by(audit_leaf.c.position)).all()
    return {row.position: read_rotation(json.loads(row.body)) for row in rows}


def follow(ctx: Context, first: bytes) -> list[int]:
    """Open every note that was kept, knowing the first key alone: as anybody would who reads the entries."""
    told, key, sizes = entries(ctx), first, []
    for note in kept_notes(checkpoint_file(ctx)):
        size = int(note.splitlines()[1])
        for place in sorted(place for place in told if place < size):
            one = told[place]
            if one.rotation.old == key and one.holds(is_genuine) and one.rotation.size == place:
                key = one.rotation.new
        sizes.append(open_note(note, ctx.keyring.audit_name, key, partial(is_genuine, key)).size)
    return sizes


def test_who_knows_the_first_key_follows_the_log_through_rotations(ctx: Context) -> None:
    first = LogKey(ctx.keyring).public
    write_and_seal(ctx, 3)
    write(ctx, 2)  # what still waits is vouched for by the old key
    rotate_log_key(ctx, 1)
    ctx = restarted(ctx)
    write_and_seal(ctx, 2)
    rotate_log_key(ctx, 1)
    ctx = restarted(ctx)
    write_and_seal(ctx)
    assert list(entries(ctx)) == [5, 8]
    assert follow(ctx, first) == [3, 5, 6, 8, 9, 10]
    assert verify(ctx).is_clean
    assert publish(ctx, 1) is not None


def test_the_old_key_is_gone_and_its_public_part_stays(ctx: Context) -> None:
    before = ctx.keyring
    rotate_log_key(ctx, 1)
    written = (ctx.settings.instance / "keys.json").read_text()
    after = load_keyring(ctx.settings)
    assert after.audit_seed != before.audit_seed
    assert replace(after, audit_seed=before.audit_seed, audit_former=()) == before
    assert json.loads(written)["audit"]["seed"] not in json.dumps(after.audit_former[0].body())
    keys = see_keys(restarted(ctx)).splitlines()
    assert [key.split("+")[0] for key in keys] == [before.audit_name] * 2
    assert keys[1] == see_keys(ctx).strip()


def test_neither_key_signs_what_is_the_others(ctx: Context) -> None:
    write_and_seal(ctx)
    old = LogKey(ctx.keyring)
    rotate_log_key(ctx, 1)
    new = LogKey(load_keyring(ctx.settings))
    with pytest.raises(AuditError, match="changed after size 1"):
        new.sign(1, b"r" * 32)
    with pytest.raises(AuditError, match="signature"):
        new.open(old.sign(2, b"r" * 32))
    assert new.open(old.sign(1, b"r" * 32)).size == 1


def test_an_engine_that_still_has_the_old_key_is_found(ctx: Context) -> None:
    write_and_seal(ctx)
    rotate_log_key(ctx, 1)
    write(ctx)
    with pytest.raises(AuditError):
        seal(ctx, 1)
    write(ctx)
    assert seal(restarted(ctx), 1) is not None
    assert verify(restarted(ctx)).is_clean


def test_a_crash_before_the_entry_is_made_good_by_the_next_seal(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    write_and_seal(ctx, 2)

    def crash(*_args: object) -> None:
        if (ctx.settings.instance / "keys.json").stat().st_size > size:
            raise KeyboardInterrupt

    size = (ctx.settings.instance / "keys.json").stat().st_size
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(rotating, "seal", crash)
        rotate_log_key(ctx, 1)
    assert entries(ctx) == {}
    write(ctx, 3)
    ctx = restarted(ctx)
    while seal(ctx, 1):
        pass
    assert list(entries(ctx)) == [2]
    assert verify(ctx).is_clean


def test_a_log_that_was_changed_gets_no_new_key(ctx: Context) -> None:
    write_and_seal(ctx, 2)
    before = (ctx.settings.instance / "keys.json").read_text()
    loosen(ctx, "DELETE FROM checkpoint_note", "DELETE FROM checkpoint", "DELETE FROM audit_leaf")
    write(ctx)
    with pytest.raises(AuditError):
        rotate_log_key(ctx, 1)
    assert (ctx.settings.instance / "keys.json").read_text() == before


def test_a_rotation_of_another_history_stops_the_sealing(ctx: Context) -> None:
    write_and_seal(ctx, 2)
    rotate_log_key(ctx, 1)
    ctx = restarted(ctx)
    (held,) = ctx.keyring.audit_former
    other = replace(held, rotation=replace(held.rotation, size=3, root=b"r" * 32))
    forged = replace(ctx, keyring=replace(ctx.keyring, audit_former=(other,)))
    write(ctx)
    with pytest.raises(AuditError):
        seal(forged, 1)
    with ctx.db.reading() as conn:
        assert audit_log.count_pending(conn) == 1


@pytest.mark.parametrize("field", ["root", "old", "new", "by_old", "by_new", "size", "origin"])
def test_any_change_to_a_rotation_shows(ctx: Context, field: str) -> None:
    rotate_log_key(ctx, 1)
    (told,) = entries(ctx).values()
    assert told.holds(is_genuine)
    body = told.body()
    body[field] = 7 if field == "size" else (body["new"] if field in {"old", "root"} else body["by_old"][::-1])
    if field in {"new", "by_new"}:
        body[field] = told.body()["old"] if field == "new" else told.body()["by_old"]
    try:
        assert not read_rotation(body).holds(is_genuine)
    except AuditError as error:
        assert "cannot be read" in str(error)


@contextmanager
def _installation(folder: Path) -> Iterator[Context]:
    ctx = open_context(Settings(instance=folder))
    upgrade(ctx.db)
    yield ctx
    ctx.db.dispose()


def test_an_operator_rotates_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_INSTANCE", str(tmp_path))
    monkeypatch.setenv("OUTREACH_LISTEN_PORT", "1")
    with _installation(tmp_path) as ctx:
        write_and_seal(ctx, 4)
        before = CliRunner().invoke(main, ["keys", "log"]).output
        done = CliRunner().invoke(main, ["keys", "rotate-log"])
        assert done.exit_code == 0, done.output
        after = CliRunner().invoke(main, ["keys", "log"]).output
        assert after.splitlines()[1:] == before.splitlines()
        assert after.splitlines()[0] in done.output
        assert "witnesses" in done.output
        assert list(entries(ctx)) == [4]
        assert verify(restarted(ctx)).is_clean
