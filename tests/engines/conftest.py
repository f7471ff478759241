"""A broker for the whole run, and a site that has everything but its processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outreach.config import Settings, load_keyring
from outreach.services.context import context_of
from outreach.store.database import Database
from tests.acceptance.postman import postman
from tests.engines.site import Site
from tests.postgresql import Cluster
from tests.rabbitmq import Broker, broker


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    with broker() as running:
        yield running


@pytest.fixture
def site(rabbitmq: Broker, postgresql: Cluster, postgresql_template: str, tmp_path: Path) -> Iterator[Site]:
    name = postgresql.create(postgresql_template)
    (tmp_path / "office").mkdir()
    settings = Settings(instance=tmp_path / "office", database_url=postgresql.url(name))
    keyring = load_keyring(settings)
    ctx = context_of(settings, keyring, Database(settings.database))
    with postman(tmp_path / "post", {}) as post:
        made = Site(ctx, rabbitmq.url, post, tmp_path)
        try:
            yield made
        finally:
            made.close()
            ctx.db.dispose()
            postgresql.drop(name)
