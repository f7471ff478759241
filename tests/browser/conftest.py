"""The running product, with data and empty, and Chromium to look at it with."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.product import Product, running
from tests.browser.reader import launch


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """`outreach demo`: sixty days of an invented organisation, and everything running."""
    with running(tmp_path_factory.mktemp("demo") / "house", "demo") as product:
        yield product


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """`outreach run` for the very first time."""
    with running(tmp_path_factory.mktemp("empty") / "house", "run") as product:
        yield product
