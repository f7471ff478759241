"""The rehearsal of `make acceptance`, with fewer people, over both engines and both stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.budgets import show_budgets
from tests.acceptance.product import Where
from tests.acceptance.rehearsal import rehearse
from tests.postgresql import Cluster
from tests.rabbitmq import broker

PEOPLE = {"sqlite": 100, "postgresql": 100, "machines": 60}


def where(request: pytest.FixtureRequest, shape: str) -> Where:
    """An empty store, and for several machines a broker."""
    if shape == "sqlite":
        return Where()
    server: Cluster = request.getfixturevalue("postgresql")
    broker_url = request.getfixturevalue("broker_url") if shape == "machines" else ""
    return Where(server.url(server.create()), broker_url)


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    with broker() as running:
        yield running.url


@pytest.mark.parametrize("shape", PEOPLE)
def test_people_get_what_they_agreed_to_once_and_within_the_cap_whatever_happens(
    shape: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tally = rehearse(tmp_path, where(request, shape), PEOPLE[shape])
    print(tally.line())
    tally.must_be_clean()


@pytest.mark.parametrize("shape", PEOPLE)
def test_default_budgets_hold_back_confirmation_mail_and_drop_none(
    shape: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    show_budgets(tmp_path, where(request, shape))
