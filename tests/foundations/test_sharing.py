"""That what tests share for speed is what was compiled, and nothing of a store."""

from sqlalchemy import select

from outreach.services.context import Context
from outreach.store.database import Database
from outreach.store.schema.people import mailbox
from tests.sharing import Sharing


def test_engines_share_what_was_compiled_but_no_connection(ctx: Context, sharing: Sharing) -> None:
    other = Database(ctx.db.url)
    with ctx.db.reading() as mine, other.reading() as theirs:
        assert mine.dialect is theirs.dialect
        before = len(sharing.compiled)
        mine.execute(select(mailbox.c.id).where(mailbox.c.id == 4711, mailbox.c.id != 4712, mailbox.c.id > 0)).all()
        once = len(sharing.compiled)
        theirs.execute(select(mailbox.c.id).where(mailbox.c.id == 4711, mailbox.c.id != 4712, mailbox.c.id > 0)).all()
        assert len(sharing.compiled) == once >= before
        assert mine.connection.driver_connection is not theirs.connection.driver_connection
    other.dispose()
