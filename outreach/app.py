"""The only wiring: settings, extensions, guards and the slices become one Flask application."""

from pathlib import Path

from flask import Flask
from flask_bootstrap import Bootstrap5
from jinja2 import StrictUndefined

from outreach.config import Settings
from outreach.services.context import Context, open_context
from outreach.web import auth, errors, formats, language, layout, limits, log, pages, refs, security
from outreach.web.account.views import blueprint as account
from outreach.web.admin.views import blueprint as admin
from outreach.web.answers.views import blueprint as answers
from outreach.web.conversations.views import blueprint as conversations
from outreach.web.desk.views import blueprint as desk
from outreach.web.mailbox.views import blueprint as mailbox
from outreach.web.marketer.views import blueprint as marketer
from outreach.web.member.views import blueprint as member
from outreach.web.officer.views import blueprint as officer
from outreach.web.published_log.views import blueprint as published_log
from outreach.web.receipts.views import blueprint as receipts
from outreach.web.recipient.views import blueprint as recipient
from outreach.web.rights.views import blueprint as rights
from outreach.web.room.views import blueprint as room
from outreach.web.transparency.views import blueprint as transparency

ROOT = Path(__file__).parent.parent
SLICES = (
    recipient,
    receipts,
    transparency,
    answers,
    rights,
    room,
    member,
    marketer,
    conversations,
    officer,
    admin,
    desk,
    account,
    mailbox,
    published_log,
)


def create_app(given: Settings | Context, *, testing: bool = False) -> Flask:
    """The web application over a migrated store."""
    ctx = open_context(given) if isinstance(given, Settings) else given
    app = Flask("outreach", root_path=str(Path(__file__).parent), template_folder=ROOT / "templates")
    app.static_folder = str(ROOT / "static")
    app.testing = testing
    app.jinja_environment = pages.Pages
    app.extensions["outreach"] = ctx
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.autoescape = True  # Flask would leave out what is imported from files named .jinja
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.url_map.converters["ref"] = refs.RefConverter
    log.log_requests(app)
    security.protect(app, ctx.settings, ctx.keyring)
    Bootstrap5(app)
    limits.limit(app, ctx.settings)
    auth.watch_doors(app)
    formats.set_up_formats(app)
    layout.set_up_layout(app)
    language.set_up_language(app)
    errors.handle_errors(app)
    for blueprint in SLICES:
        app.register_blueprint(blueprint)
    return app
