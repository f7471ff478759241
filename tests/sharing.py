"""What SQLAlchemy learns once in the product's life, tests learn once a process: the text of each statement.

The product has one engine, which compiles a statement the first time it is used. Tests make an engine each, and would
compile the same statements thousands of times. Here all engines of a process on the same kind of database share one
dialect and one memory of compiled statements.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.util import LRUCache

_MOST = 5000


class Sharing:
    """`create_engine` as the product calls it; `learn` an engine that has connected, whose dialect others then use."""

    def __init__(self, create_engine: Callable[..., Engine]) -> None:
        self._create_engine = create_engine
        self._dialects: dict[str, Dialect] = {}
        self.compiled: LRUCache[Any, Any] = LRUCache(_MOST)

    def learn(self, engine: Engine) -> None:
        """Let later engines share its dialect, which knows its server by now."""
        self._dialects.setdefault(engine.dialect.name, engine.dialect)

    def create_engine(self, *args: Any, **options: Any) -> Engine:
        """An engine with a pool of its own."""
        engine = self._create_engine(*args, **options)
        if shared := self._dialects.get(engine.dialect.name):
            engine.dialect = shared
            engine.update_execution_options(compiled_cache=self.compiled)
        return engine
