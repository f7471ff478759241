"""One leader at a time, each with a higher epoch, and one that lost its lock knows."""

from sqlalchemy import text

from outreach.domain.errors import AuditError
from outreach.engines.leader import leading
from outreach.services.context import Context
from outreach.services.seal import seal
from tests.factories import World


def test_only_one_leads_and_the_next_has_a_higher_epoch(ctx: Context) -> None:
    with leading(ctx) as first:
        assert first is not None
        assert first.still_held()
        with leading(ctx) as second:
            assert second is None
    with leading(ctx) as third:
        assert third is not None
        assert third.epoch == first.epoch + 1


def test_a_leader_of_an_earlier_epoch_seals_nothing(ctx: Context, world: World) -> None:
    from outreach.domain.actors import CONSOLE
    from outreach.services.policy import change_caps

    with leading(ctx) as old:
        pass
    with leading(ctx) as new:
        change_caps(ctx, CONSOLE, "total", [(3, 86400)], "to have an entry")
        assert old is not None
        assert new is not None
        try:
            seal(ctx, old.epoch)
        except AuditError:
            sealed = seal(ctx, new.epoch)
            assert sealed is not None
            assert sealed.count == 1
        else:
            raise AssertionError("a leader whose time is over sealed the log")


def test_a_leader_whose_connection_died_stops_leading(ctx: Context) -> None:
    if ctx.db.is_sqlite:
        return  # a file lock cannot be lost while its process lives
    with leading(ctx) as leadership:
        assert leadership is not None
        with ctx.db.transaction() as conn:
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database = "
                    "(SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            )
        assert not leadership.still_held()
