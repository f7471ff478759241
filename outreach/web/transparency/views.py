"""The public page of how the promises are kept, for anybody, in their language. It holds no person and sets nothing."""

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from outreach.services.officer.public_figures import PublicFigures, figures_version, public_figures
from outreach.services.public_text import see_house
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import present_locale, speak_as_asked

blueprint = Blueprint("transparency", __name__)
blueprint.before_request(speak_as_asked)

_Kept = dict[str, tuple[tuple[int, int], PublicFigures | None]]


@blueprint.get("/transparency")
@door("visitor")
def figures() -> ResponseReturnValue:
    return render_template("transparency/figures.html", figures=_figures(present_locale()))


@blueprint.context_processor
def _shared() -> dict[str, object]:
    return {"house": see_house(context()), "ignores_cookies": False}


def _figures(locale: str) -> PublicFigures | None:
    """Added up once for each sealed size, day and language, however many look."""
    kept: _Kept = current_app.extensions.setdefault("outreach.transparency", {})
    version = figures_version(context())
    held = kept.get(locale)
    if held is None or held[0] != version:
        held = kept[locale] = (version, public_figures(context(), locale))
    return held[1]
