"""Pages of a person's own room about all mail together: one limit for everything, and when and how mail comes."""

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.services.room import settings
from outreach.services.room.settings import Times
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.room import words
from outreach.web.room.caps import cap_value, read_cap
from outreach.web.room.forms import TimesForm, regions, shown
from outreach.web.room.slice import back, blueprint, forget, greet, remember, way_back


@blueprint.get("/room/<token>/limits")
@door("recipient")
def limits(token: str) -> ResponseReturnValue:
    return _limits_page(token)


@blueprint.post("/room/<token>/limits")
@door("recipient")
def limit(token: str) -> ResponseReturnValue:
    try:
        wanted = read_cap(request.form.get("cap", ""))
        before = settings.set_total(context(), token, wanted)
    except InvalidInputError as error:
        return _limits_page(token, error), 422
    greet(settings.see_limits(context(), token).room)
    forget()
    if before != wanted:
        fields = [("cap", "" if before is None else cap_value(before))]
        remember(token, "room.limit", fields, gettext("the limit for all mail"))
    tell(gettext("Kept. It counts from the very next mail."))
    return back("room.limits", token)


@blueprint.get("/room/<token>/times")
@door("recipient")
def times(token: str) -> ResponseReturnValue:
    room, stands = settings.see_times(context(), token)
    greet(room)
    region = request.args.get("region", "")
    form = TimesForm(formdata=None, data=shown(stands)).offer(stands, region if region in regions() else "")
    return _times_page(token, form)


@blueprint.post("/room/<token>/times")
@door("recipient")
def set_times(token: str) -> ResponseReturnValue:
    room, stands = settings.see_times(context(), token)
    greet(room)
    form = TimesForm().offer(stands)
    if form.validate():
        try:
            wanted = form.wanted(stands)
            settings.set_times(context(), token, wanted)
        except InvalidInputError as error:
            form.say(error, words.refusal(error))
        else:
            _remember(token, stands, wanted)
            tell(gettext("Kept. It counts from the very next mail."))
            return back("room.times", token)
    return _times_page(token, form), 422


def _limits_page(token: str, error: InvalidInputError | None = None) -> str:
    seen = settings.see_limits(context(), token)
    greet(seen.room)
    undo, fault = (way_back(token), "") if error is None else (None, words.refusal(error))
    return render_template("room/limits.html", limits=seen, token=token, undo=undo, fault=fault)


def _times_page(token: str, form: TimesForm) -> str:
    shown = {"undo": None if form.errors else way_back(token), "regions": regions(), "chosen": chosen_locale()}
    return render_template("room/times.html", form=form, token=token, **shown)


def _remember(token: str, before: Times, wanted: Times) -> None:
    forget()
    if before != wanted:
        fields = [(name, _posted(value)) for name, value in shown(before).items() if value is not None]
        remember(token, "room.set_times", fields, gettext("quiet hours, time zone and language"))


def _posted(value: object) -> str:
    """As a form posts it: times as 21:00."""
    return str(value)[:5] if hasattr(value, "hour") else str(value)
