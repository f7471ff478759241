"""Where views find the house: the context every service is given."""

from flask import current_app

from outreach.services.context import Context


def context() -> Context:
    """Settings, secrets and store of the application that answers this request."""
    ctx: Context = current_app.extensions["outreach"]
    return ctx
