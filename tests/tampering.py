"""Changes to the store behind the product's back, for tests that they are noticed."""

from sqlalchemy import text

from outreach.services.context import Context


def loosen(ctx: Context, *statements: str) -> None:
    """Change the store as somebody with its password could, triggers and foreign keys out of the way."""
    with ctx.db.engine.connect() as conn:
        if ctx.db.is_sqlite:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            conn.exec_driver_sql("BEGIN IMMEDIATE")
            for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
                conn.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            conn.exec_driver_sql("SET session_replication_role = replica")
        for statement in statements:
            conn.exec_driver_sql(statement)
        conn.commit()
        if ctx.db.is_sqlite:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA foreign_keys=ON")
        conn.exec_driver_sql("SELECT 1" if ctx.db.is_sqlite else "SET session_replication_role = origin")
        conn.commit()
