"""The least a web application does that writes: a Flask view, one update by primary key, SQLAlchemy Core.

`bench.web` serves it with the product's own server and options, from the product's own database (`BENCH_DATABASE`).
"""

import os
from typing import Any

from flask import Flask
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event, update

counter = Table("bench_counter", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))


def connect(url: str) -> Engine:
    """SQLAlchemy's defaults; SQLite keeps what it commits, as the product's does."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if url.startswith("sqlite"):

        @event.listens_for(engine, "connect")
        def _durably(connection: Any, _record: Any) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")

    return engine


def create_app() -> Flask:
    """One route: POST /<id>."""
    app, engine = Flask(__name__), connect(os.environ["BENCH_DATABASE"])

    @app.post("/<int:number>")
    def add(number: int) -> str:
        with engine.begin() as conn:
            conn.execute(update(counter).where(counter.c.id == number).values(n=counter.c.n + 1))
        return "done"

    return app


if "BENCH_DATABASE" in os.environ:
    app = create_app()
