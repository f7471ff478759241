"""`outreach store restored` on an installation whose database is older than the list of who was erased."""

from pathlib import Path

from outreach.config import Settings
from outreach.services.context import open_context
from outreach.services.rights.erasures_file import Erased, append
from outreach.store.migrate import upgrade
from outreach.store.schema.people import contact_key
from tests.factories import World
from tests.foundations.installation import ROOT
from tests.foundations.test_command import ask
from tests.services.people import count


def test_it_erases_again_whoever_the_list_names(tmp_path: Path) -> None:
    ctx = open_context(Settings(instance=tmp_path / "instance"))
    upgrade(ctx.db)
    world = World(ctx)
    anna, bob = world.person("anna@example.org"), world.person("bob@example.org")
    key = ctx.keyring.blind("address", "anna@example.org")
    append(ctx, [Erased(world.now, anna.ref, key), Erased(world.now, bytes(16))])
    ctx.db.dispose()
    named = {"OUTREACH_INSTANCE": str(tmp_path / "instance"), "OUTREACH_LISTEN_PORT": "1"}
    ended = ask(ROOT / "bin" / "outreach", "store", "restored", at=tmp_path, **named)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("1 people were erased again, 1 addresses barred again.")
    assert count(ctx, contact_key) == count(ctx, contact_key, contact_key.c.contact == bob.id) == 1
    ctx.db.dispose()


def test_a_list_that_cannot_be_read_stops_it_with_its_line(tmp_path: Path) -> None:
    ctx = open_context(Settings(instance=tmp_path / "instance"))
    upgrade(ctx.db)
    ctx.db.dispose()
    (tmp_path / "instance" / "erasures.txt").write_text("what is this\n1 2 3 4\n")
    named = {"OUTREACH_INSTANCE": str(tmp_path / "instance"), "OUTREACH_LISTEN_PORT": "1"}
    ended = ask(ROOT / "bin" / "outreach", "store", "restored", at=tmp_path, **named)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "line 1 cannot be read" in ended.stderr
