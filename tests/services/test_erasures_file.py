"""The list of who was erased: whole lines only, survived power cuts, and completed with those whom time erased."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import ENGINE
from outreach.domain.errors import SettingsError
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.rights.erasures_file import Erased, append, erasures_path, every_erasure, newest
from outreach.services.rights.restored import list_erasures
from outreach.store.schema.people import contact_key
from tests.factories import World

ONE = Erased(5, b"a" * 16, b"k" * 32, 7)
TWO = Erased(9, b"b" * 16)


def test_lines_read_back_as_they_were_written_and_name_nobody(ctx: Context, world: World) -> None:
    append(ctx, [ONE])
    append(ctx, [TWO])
    assert list(every_erasure(ctx)) == [ONE, TWO]
    assert newest(ctx) == (9, {ONE.contact, TWO.contact})
    assert "@" not in erasures_path(ctx).read_text()
    assert erasures_path(ctx).stat().st_mode & 0o077 == 0


def test_a_line_torn_by_a_power_cut_spoils_no_other(ctx: Context, world: World) -> None:
    append(ctx, [ONE])
    with erasures_path(ctx).open("a") as file:
        file.write(TWO.line()[:30])
    append(ctx, [TWO])
    assert list(every_erasure(ctx)) == [ONE, TWO]


def test_a_line_that_is_none_is_named(ctx: Context, world: World) -> None:
    erasures_path(ctx).write_text("who wrote this?\n" + ONE.line())
    with pytest.raises(SettingsError, match="line 1"):
        list(every_erasure(ctx))


def test_whom_others_erase_is_listed_within_the_next_round_and_once(ctx: Context, world: World) -> None:
    person = world.person()
    with ctx.db.transaction() as conn:
        assert erase_strangers(conn, ctx.db.now(conn), [person.id], actor=ENGINE, reason="never confirmed") == 1
    assert (list_erasures(ctx), list_erasures(ctx)) == (1, 0)
    (line,) = every_erasure(ctx)
    assert (line.contact, line.address_key) == (person.ref, None)
    with ctx.db.reading() as conn:
        assert conn.execute(select(contact_key)).first() is None
