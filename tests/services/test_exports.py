"""Exports: what is in them, who may make them, and that the offline verifier agrees, whole log or part."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import TILE
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.exports.make import Export, make_export
from outreach.services.exports.wanted import Wanted, What
from outreach.services.seal import LogKey, seal
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_entry
from outreach.verifier import outreach_verify as offline
from tests.factories import World
from tests.tamper.life import House, live
from tests.tamper.stores import Stores

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
REASON = "a complaint to the authority, 2026-11"
WHOLE = Wanted(what=What.WHOLE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two campaigns on SQLite, with a checkpoint and an export of the time between them."""
    folder = tmp_path_factory.mktemp("exports")
    yield live(Stores(folder, None), folder)


@pytest.fixture
def lived(house: House) -> Iterator[Context]:
    with house.stores.open(house.now) as ctx:
        yield ctx


def saved(made: Export, path: Path) -> Path:
    path.write_bytes(b"".join(made.octets))
    return path


def fill(ctx: Context, count: int) -> None:
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), *(Entry(kind="staff.signed-in", actor="staff:x") for _ in range(count)))
    while seal(ctx, 1) is not None:
        pass


@pytest.mark.parametrize("count", [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 7])
def test_a_whole_export_is_intact_at_every_size(ctx: Context, tmp_path: Path, count: int) -> None:
    fill(ctx, count)
    made = make_export(ctx, OFFICER, WHOLE, REASON)
    report = offline.verify(str(saved(made, tmp_path / "log.zip")))
    assert (report.code, report.size, report.entries, made.entries) == (0, count, count, count), report.findings


@pytest.mark.parametrize("what", ["contact", "campaign", "topic", "period"])
def test_a_part_is_proved_and_its_story_told(house: House, lived: Context, tmp_path: Path, what: str) -> None:
    with lived.db.reading() as conn:
        row = conn.execute(select(audit_entry).where(audit_entry.c.kind == "message.sent")).first()
    assert row is not None
    ref = None if what == "period" else getattr(row, what)
    since, until = (row.at, row.at + 1) if what == "period" else (None, None)
    wanted = Wanted(what=What(what), ref=ref, since=since, until=until, held=house.witnessed)
    path = saved(make_export(lived, OFFICER, wanted, REASON), tmp_path / "part.zip")
    report = offline.verify(str(path), keys=[house.key], witnessed=[house.witnessed], earlier=str(house.earlier))
    assert report.code == 0, (report.findings, report.uncompared)
    assert 0 < report.entries < report.size
    assert report.story["messages"]["sent"] > 0
    assert report.witnessed == house.witnessed_size


def test_a_part_without_the_asked_proof_says_so(house: House, lived: Context, tmp_path: Path) -> None:
    path = saved(make_export(lived, OFFICER, Wanted(what=What.CONTACT, ref=house.contact), REASON), tmp_path / "p.zip")
    report = offline.verify(str(path), witnessed=[house.witnessed])
    assert report.code == 3
    assert "give --log" in report.uncompared[0]


def test_the_story_of_a_whole_log_is_told_in_numbers(house: House, lived: Context, tmp_path: Path) -> None:
    path = saved(make_export(lived, OFFICER, WHOLE, REASON), tmp_path / "log.zip")
    report = offline.verify(str(path), keys=[house.key], witnessed=[house.witnessed], earlier=str(house.earlier))
    assert report.code == 0, report.findings
    assert report.story["consents"] == {"granted": 37, "withdrawn": 3}
    assert report.story["messages"] == {"failed": 4, "sent": 73, "withheld": 3}
    assert [one["planned"] for one in report.story["campaigns"].values()] == [40, 40]
    assert all(one["planned"] == one["settled"] for one in report.story["campaigns"].values())


def test_an_export_holds_what_it_promises_and_no_address(house: House, lived: Context, tmp_path: Path) -> None:
    wanted = Wanted(what=What.CONTACT, ref=house.contact)
    path = saved(make_export(lived, OFFICER, wanted, f"asked by person5@example.org, {REASON}"), tmp_path / "p.zip")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) >= {"checkpoint", "entries.jsonl", "README.txt", "summary.html", "key.txt", "manifest.note"}
    assert b"I would like Northfield to send me garden tips" in files["summary.html"]
    assert any(name.startswith("texts/") for name in files)
    ours = {name: octets for name, octets in files.items() if name != "outreach_verify.py"}
    assert b"example.org" not in b"".join(ours.values())
    assert files["outreach_verify.py"] == Path(offline.__file__).read_bytes()
    lines = [json.loads(line) for line in files["entries.jsonl"].splitlines()]
    kinds = {json.loads(line["entry"])["kind"] for line in lines}
    assert {"consent.confirmed", "topic.text-published", "campaign.created", "message.sent"} <= kinds


def test_an_export_is_in_the_log_with_its_reason(ctx: Context) -> None:
    fill(ctx, 3)
    make_export(ctx, OFFICER, WHOLE, REASON)
    with ctx.db.reading() as conn:
        row = conn.execute(select(audit_entry).where(audit_entry.c.kind == "export.made")).one()
    assert row.actor == OFFICER.name
    assert json.loads(row.body) == {"what": "whole", "reason": REASON, "size": 3}


def test_who_may_not_or_does_not_say_why_gets_nothing(ctx: Context) -> None:
    fill(ctx, 3)
    with pytest.raises(NotAllowedError):
        make_export(ctx, Actor("staff:m", frozenset({Role.MARKETER, Role.ADMINISTRATOR})), WHOLE, REASON)
    faulty = [
        (WHOLE, "because", "reason"),
        (Wanted(what=What.CONTACT), REASON, "ref"),
        (Wanted(what=What.PERIOD, since=5), REASON, "since"),
        (Wanted(what=What.PERIOD, since=5, until=5), REASON, "since"),
        (Wanted(what=What.WHOLE, held="not a checkpoint"), REASON, "held"),
    ]
    for wanted, reason, field in faulty:
        with pytest.raises(InvalidInputError) as caught:
            make_export(ctx, OFFICER, wanted, reason)
        assert caught.value.field == field
    with pytest.raises(InvalidInputError, match="audit export"):
        make_export(ctx, OFFICER, WHOLE, REASON, most=2)
    with pytest.raises(NotFoundError):
        make_export(ctx, OFFICER, Wanted(what=What.CAMPAIGN, ref=b"n" * 16), REASON)
    with ctx.db.reading() as conn:
        assert conn.execute(select(audit_entry).where(audit_entry.c.kind == "export.made")).first() is None


def test_an_empty_log_cannot_be_exported(ctx: Context, world: World) -> None:
    with pytest.raises(ConflictError):
        make_export(ctx, OFFICER, WHOLE, REASON)


def test_an_export_comes_in_pieces(ctx: Context) -> None:
    fill(ctx, 2000)
    pieces = list(make_export(ctx, OFFICER, WHOLE, REASON).octets)
    assert max(map(len, pieces)) < 300_000
    assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).testzip() is None


def test_an_export_cut_short_is_no_export(ctx: Context, tmp_path: Path) -> None:
    fill(ctx, 600)
    octets = b"".join(make_export(ctx, OFFICER, WHOLE, REASON).octets)
    (tmp_path / "cut.zip").write_bytes(octets[: len(octets) // 2])
    with pytest.raises(offline.UnreadableError):
        offline.verify(str(tmp_path / "cut.zip"))


def test_the_key_in_the_export_is_the_one_published(ctx: Context, tmp_path: Path) -> None:
    fill(ctx, 3)
    path = saved(make_export(ctx, OFFICER, WHOLE, REASON), tmp_path / "log.zip")
    key = str(LogKey(ctx.keyring).verifiers[0])
    assert offline.verify(str(path), keys=[key]).code == 0
    with zipfile.ZipFile(path) as archive:
        assert archive.read("key.txt").decode().strip() == key
