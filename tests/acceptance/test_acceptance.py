"""The rehearsal of `make acceptance`, with fewer people, on both stores."""

from pathlib import Path

import pytest

from tests.acceptance.budgets import show_budgets
from tests.acceptance.rehearsal import rehearse
from tests.postgresql import Cluster

PEOPLE = 100


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """An empty database; empty text is the product's own SQLite file."""
    if request.param == "sqlite":
        return ""
    server: Cluster = request.getfixturevalue("postgresql")
    return server.url(server.create())


def test_people_get_what_they_agreed_to_once_and_within_the_cap_whatever_happens(
    store_url: str, tmp_path: Path
) -> None:
    tally = rehearse(tmp_path, store_url, PEOPLE)
    print(tally.line())
    tally.must_be_clean()


def test_default_budgets_hold_back_confirmation_mail_and_drop_none(store_url: str, tmp_path: Path) -> None:
    show_budgets(tmp_path, store_url)
