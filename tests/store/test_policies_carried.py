"""The caps and rules of inviting of an earlier version become versions of policies, with their reasons and times."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from outreach.domain.policies import Name, of_caps
from outreach.store import policies
from outreach.store.database import Database
from outreach.store.migrate import migration_config, upgrade
from tests.postgresql import Cluster

WEEK = 604_800
CAPS = (
    ("total", 9, WEEK, 100, 300, "many at first"),
    ("total", 5, WEEK, 300, None, "fewer then"),
    ("promotional", 2, WEEK, 100, 200, "two offers"),
    ("promotional", 1, 86_400, 100, 200, "two offers"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A store as the version before had it, with its caps and rules."""
    cluster: Cluster | None = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    name = cluster.create() if cluster else ""
    db = Database(cluster.url(name) if cluster else f"sqlite:///{tmp_path / 'outreach.db'}")
    config = migration_config()
    with db.migrating() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0003")
        for scope, n, window, since, ended, reason in CAPS:
            conn.execute(
                text('INSERT INTO cap (scope, n, "window", since, ended, reason) VALUES (:s, :n, :w, :a, :e, :r)'),
                {"s": scope, "n": n, "w": window, "a": since, "e": ended, "r": reason},
            )
        columns = "by_mail, a_day, a_month, recipient_n, recipient_window, keep_days, since, ended, reason"
        for by_mail, since, ended in ((1, 100, 200), (0, 200, None)):
            row = f"{by_mail}, 5, 20, 2, 2592000, 14, {since}, {ended or 'NULL'}, 'as decided'"
            conn.execute(text(f"INSERT INTO invitation_policy ({columns}) VALUES ({row})"))
    yield db
    db.dispose()
    if cluster:
        cluster.drop(name)


def test_what_held_at_any_time_still_reads_so(earlier: Database) -> None:
    upgrade(earlier)
    with earlier.reading() as conn:
        held = [
            [policies.value_at(conn, name, at) for at in (99, 100, 199, 200, 300)]
            for name in (Name.CAP_TOTAL, Name.CAP_PROMOTIONAL)
        ]
        by_mail = [policies.value_at(conn, Name.INVITATIONS, at)["by_mail"] for at in (99, 100, 200)]
        reasons = [one.reason for one in policies.versions(conn)]
        assert all(one.begun == one.since for one in policies.versions(conn))
    default, many, few = of_caps((4, WEEK)), of_caps((9, WEEK)), of_caps((5, WEEK))
    two = of_caps((1, 86_400), (2, WEEK))
    assert held == [[default, many, many, many, few], [of_caps(), two, two, of_caps(), of_caps()]]
    assert by_mail == [False, True, False]
    assert reasons == [
        "two offers", "the caps before it ended", "many at first", "fewer then", "as decided", "as decided"
    ]  # fmt: skip
