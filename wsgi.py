"""What a web server loads: `wsgi:app`. Refuses to start, in one line, on wrong settings or an old store."""

import sys

from outreach.app import create_app
from outreach.config import load_settings
from outreach.domain.errors import OutreachError, SettingsError
from outreach.logs import configure_logs
from outreach.memory import keep_what_is_loaded
from outreach.services.context import open_context
from outreach.store.migrate import is_current

try:
    _ctx = open_context(load_settings())
    if not is_current(_ctx.db):
        raise SettingsError("database: not at the newest migration; run `python -m outreach upgrade`")
    configure_logs(_ctx.settings.log_level)
    app = create_app(_ctx)
    keep_what_is_loaded()
except OutreachError as error:
    sys.exit(f"outreach: {error}")
