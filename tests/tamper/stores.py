"""Whole installations that can be kept and opened again as they were, on either database: the thief's, too."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from outreach.config import Settings, load_keyring
from outreach.services.context import Context, context_of
from outreach.store.database import Database
from outreach.store.migrate import upgrade
from tests.postgresql import Cluster


class Stores:
    """Snapshots by name in `folder`; with a cluster their databases are in it, else they are files beside the keys."""

    def __init__(self, folder: Path, cluster: Cluster | None) -> None:
        self._folder, self._cluster = folder, cluster
        self._databases: dict[Path, str] = {}
        self._count = 0

    @property
    def name(self) -> str:
        return "postgresql" if self._cluster else "sqlite"

    @contextmanager
    def new(self) -> Iterator[Context]:
        """An installation with an empty store."""
        place = self._place()
        place.mkdir()
        with self._opened(place, None) as ctx:
            upgrade(ctx.db)
            yield ctx

    def keep(self, ctx: Context) -> Path:
        """A snapshot of an installation as it is now."""
        ctx.db.dispose()
        place = self._place()
        shutil.copytree(ctx.settings.instance, place)
        if self._cluster:
            self._databases[place] = self._cluster.create(self._databases[ctx.settings.instance])
        return place

    @contextmanager
    def open(self, kept: Path) -> Iterator[Context]:
        """A copy of a snapshot, to do anything to; gone at the end."""
        place = self._place()
        shutil.copytree(kept, place)
        with self._opened(place, self._databases.get(kept)) as ctx:
            yield ctx

    def close(self) -> None:
        """Let all snapshots go."""
        for name in self._databases.values():
            if self._cluster:
                self._cluster.drop(name)

    def _place(self) -> Path:
        self._count += 1
        return self._folder / f"{self.name}-{self._count}"

    @contextmanager
    def _opened(self, place: Path, template: str | None) -> Iterator[Context]:
        with ExitStack() as closing:
            url = ""
            if self._cluster:
                name = self._cluster.create(template) if template else self._cluster.create()
                closing.callback(self._cluster.drop, name)
                self._databases[place] = name
                closing.callback(self._databases.pop, place)
                url = self._cluster.url(name)
            settings = Settings(instance=place, database_url=url, clock_file=place / "clock")
            keyring = load_keyring(settings)
            db = Database(settings.database, clock_file=settings.clock_file)
            closing.callback(db.dispose)
            yield context_of(settings, keyring, db)
