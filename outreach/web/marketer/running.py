"""Pages of a campaign on its way: the list, live progress, the mails behind each number, and the buttons."""

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.actors import Actor
from outreach.domain.campaign import State
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services import campaign_mails, campaign_pages, campaigns
from outreach.services import why_not as why_not_service
from outreach.services.context import Context
from outreach.services.intake.lines import PAUSES
from outreach.services.intake.reports import heard_of_campaign
from outreach.web import security
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.marketer.forms import FindForm
from outreach.web.marketer.slice import blueprint


@blueprint.get("/campaigns")
@door("marketer")
def campaign_list() -> ResponseReturnValue:
    tab = request.args.get("tab", "all")
    found = campaign_pages.see_campaigns(context(), current_actor(), tab, request.args.get("older", ""))
    return render_template("marketer/campaigns.html", found=found, tab=tab)


@blueprint.get("/campaigns/<ref:campaign>")
@door("marketer")
def campaign(campaign: bytes) -> ResponseReturnValue:
    one = campaign_pages.see_campaign(context(), current_actor(), campaign)
    if one.state in {State.DRAFT, State.SCHEDULED}:
        if one.is_starting:
            security.allow(connect_src="'self'")
        return render_template("marketer/campaign.html", campaign=one, progress=None)
    security.allow(connect_src="'self'")
    progress = campaign_pages.see_progress(context(), current_actor(), campaign)
    heard = heard_of_campaign(context(), current_actor(), campaign)
    return render_template("marketer/campaign.html", campaign=one, progress=progress, heard=heard, pauses=PAUSES)


@blueprint.get("/campaigns/<ref:campaign>/progress")
@door("marketer")
def progress(campaign: bytes) -> ResponseReturnValue:
    """The part of the campaign's page that changes while it is sent."""
    one = campaign_pages.see_campaign(context(), current_actor(), campaign)
    shown = campaign_pages.see_progress(context(), current_actor(), campaign)
    return render_template("marketer/progress.html", campaign=one, progress=shown)


@blueprint.get("/campaigns/<ref:campaign>/messages")
@door("marketer")
def mails(campaign: bytes) -> ResponseReturnValue:
    which = request.args.get("state", "sent")
    one = campaign_pages.see_campaign(context(), current_actor(), campaign)
    found = campaign_mails.see_mails(context(), current_actor(), campaign, which, request.args.get("further", ""))
    return render_template("marketer/mails.html", campaign=one, found=found, which=which, form=FindForm(), line=None)


@blueprint.post("/campaigns/<ref:campaign>/messages")
@door("marketer")
def find_mail(campaign: bytes) -> ResponseReturnValue:
    """What became of the mail to one contact. A POST keeps the reference out of histories; it changes nothing."""
    form = FindForm()
    one = campaign_pages.see_campaign(context(), current_actor(), campaign)
    line = None
    try:
        line = campaign_mails.see_mail_to(context(), current_actor(), campaign, form.text("contact"))
    except InvalidInputError as error:
        form.fail(error)
    page = render_template("marketer/mails.html", campaign=one, found=None, which="", form=form, line=line)
    return page, 422 if line is None else 200


@blueprint.get("/campaigns/<ref:campaign>/why-not")
@door("marketer")
def why_not(campaign: bytes) -> ResponseReturnValue:
    return _why_not(campaign, FindForm(), None)


@blueprint.post("/campaigns/<ref:campaign>/why-not")
@door("marketer")
def why_not_one(campaign: bytes) -> ResponseReturnValue:
    """Why one contact got no mail of it. A POST keeps the reference out of histories; it changes nothing."""
    form = FindForm()
    try:
        line = campaign_mails.see_mail_to(context(), current_actor(), campaign, form.text("contact"))
    except InvalidInputError as error:
        form.fail(error)
        return _why_not(campaign, form, None), 422
    return _why_not(campaign, form, line)


@blueprint.post("/campaigns/<ref:campaign>/unschedule")
@door("marketer")
def unschedule(campaign: bytes) -> ResponseReturnValue:
    return _act(campaign, campaigns.unschedule_campaign, "It is a draft again. Nobody was mailed.")


@blueprint.post("/campaigns/<ref:campaign>/pause")
@door("marketer")
def pause(campaign: bytes) -> ResponseReturnValue:
    return _act(campaign, campaigns.pause_campaign, "Paused. Mails already at the relay cannot be called back.")


@blueprint.post("/campaigns/<ref:campaign>/resume")
@door("marketer")
def resume(campaign: bytes) -> ResponseReturnValue:
    return _act(campaign, campaigns.resume_campaign, "It goes on.")


@blueprint.post("/campaigns/<ref:campaign>/cancel")
@door("marketer")
def cancel(campaign: bytes) -> ResponseReturnValue:
    return _act(campaign, campaigns.cancel_campaign, "Cancelled. What has not gone out is withheld for good.")


@blueprint.post("/campaigns/<ref:campaign>/adopt")
@door("marketer")
def adopt(campaign: bytes) -> ResponseReturnValue:
    return _act(campaign, campaigns.adopt_campaign, "It is yours now. It stays paused until somebody resumes it.")


@blueprint.post("/campaigns/<ref:campaign>/copy")
@door("marketer")
def copy(campaign: bytes) -> ResponseReturnValue:
    made = campaigns.copy_campaign(context(), current_actor(), campaign)
    flash("This is a new draft with the same words and audience.", "ok")
    return redirect(url_for("marketer.words", campaign=made), 303)


def _why_not(campaign: bytes, form: FindForm, line: campaign_mails.MailLine | None) -> str:
    one = campaign_pages.see_campaign(context(), current_actor(), campaign)
    why = why_not_service.see_why_not(context(), current_actor(), campaign)
    return render_template("marketer/why_not.html", campaign=one, why=why, form=form, line=line)


def _act(campaign: bytes, act: Callable[[Context, Actor, bytes], None], done: str) -> ResponseReturnValue:
    try:
        act(context(), current_actor(), campaign)
    except ConflictError as error:
        flash(str(error), "warn")
    else:
        flash(done, "ok")
    return redirect(url_for("marketer.campaign", campaign=campaign), 303)
