"""The officer's page for exports: a press with a reason gives the ZIP; nothing else does, nobody else gets in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.store.audit import Entry, record
from outreach.verifier import outreach_verify as offline
from tests.factories import World
from tests.services.staffing import kinds
from tests.web.conftest import Browser

PATH = "/compliance/exports"
REASON = "a complaint to the authority, 2026-11"


@pytest.fixture
def officer(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("officer")


@pytest.fixture
def sealed(ctx: Context, world: World) -> bytes:
    """A person's ref, with two entries in the log."""
    person = world.person("anna.berg@example.org")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        record(conn, now, *(Entry(kind="contact.read", actor="staff:x", contact=person.ref) for _ in range(2)))
    seal(ctx, 1)
    return person.ref


def test_only_an_officer_gets_in(client: Browser, signed_in: Callable[..., Browser]) -> None:
    assert client.get(PATH).status_code == 303
    other = signed_in("marketer", "administrator")
    assert other.get(PATH).status_code == 403
    assert other.submit(PATH, {"what": "whole", "reason": REASON}).status_code == 403


def test_looking_exports_nothing(ctx: Context, officer: Browser, sealed: bytes) -> None:
    before = kinds(ctx)
    page = officer.page(f"{PATH}?what=contact&ref={sealed.hex()}")
    assert sealed.hex() in page
    assert kinds(ctx) == before


@pytest.mark.parametrize("what", ["whole", "contact"])
def test_a_press_with_a_reason_gives_an_export_that_verifies(
    ctx: Context, officer: Browser, sealed: bytes, tmp_path: Path, what: str
) -> None:
    answer = officer.submit(PATH, {"what": what, "ref": sealed.hex() if what == "contact" else "", "reason": REASON})
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    (tmp_path / "log.zip").write_bytes(answer.data)
    report = offline.verify(str(tmp_path / "log.zip"))
    assert (report.code, report.entries) == (0, 2)
    assert kinds(ctx).count("export.made") == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"what": "whole", "reason": ""}, "Say why."),
        ({"what": "whole", "reason": "because"}, "10 to 500"),
        ({"what": "contact", "reason": REASON}, "Give the reference"),
        ({"what": "contact", "ref": "anna", "reason": REASON}, "32 letters and digits"),
        ({"what": "campaign", "ref": "0" * 32, "reason": REASON}, "holds nothing of this"),
        ({"what": "period", "since": "2026-11-22", "reason": REASON}, "first and the last day"),
    ],
)
def test_what_is_missing_is_named(
    ctx: Context, officer: Browser, sealed: bytes, typed: dict[str, str], said: str
) -> None:
    answer = officer.submit(PATH, typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert "export.made" not in kinds(ctx)


def test_the_days_of_a_period_are_whole(officer: Browser, sealed: bytes) -> None:
    asked = {"what": "period", "since": "2026-01-01", "until": "2199-12-31", "reason": REASON}
    assert officer.submit(PATH, asked).status_code == 200
