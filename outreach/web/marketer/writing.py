"""Pages on which a campaign is made: started, written, aimed, checked, previewed, tested and scheduled."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.campaign import FEW, Segment, day_begins
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import campaign_content, campaign_pages, campaigns
from outreach.services.campaign_pages import CampaignView
from outreach.services.conversations.owing import see_owing
from outreach.web import security
from outreach.web.auth import current_actor, current_session, door
from outreach.web.choices import languages
from outreach.web.framed import mail_alone
from outreach.web.home import context
from outreach.web.marketer.forms import KINDS, AudienceForm, NewCampaignForm, ScheduleForm, WordsForm
from outreach.web.marketer.slice import blueprint


@blueprint.get("/campaigns/new")
@door("marketer")
def new_campaign() -> ResponseReturnValue:
    return _new_page(NewCampaignForm(), 200)


@blueprint.post("/campaigns/new")
@door("marketer")
def create_campaign() -> ResponseReturnValue:
    form = NewCampaignForm()
    form.topic.choices = {topic.ref: topic.name for topic in campaign_pages.see_topics(context(), current_actor())}
    if form.validate():
        new = campaigns.NewCampaign(
            name=form.text("name"), topic=bytes.fromhex(form.text("topic")), kind=form.text("kind")
        )
        try:
            ref = campaigns.create_campaign(context(), current_actor(), new)
        except InvalidInputError as error:
            form.fail(error)
        else:
            return redirect(url_for("marketer.words", campaign=ref), 303)
    return _new_page(form, 422)


def _new_page(form: NewCampaignForm, status: int) -> tuple[str, int]:
    topics = campaign_pages.see_topics(context(), current_actor())
    form.topic.choices = {topic.ref: topic.name for topic in topics}
    return render_template("marketer/new.html", form=form, topics=topics), status


@blueprint.get("/campaigns/<ref:campaign>/words")
@door("marketer")
def words(campaign: bytes) -> ResponseReturnValue:
    one = _see(campaign)
    data = {"name": one.name, "subject": one.subject, "preheader": one.preheader, "body": one.body}
    return _words_page(one, WordsForm(data=data), 200)


@blueprint.post("/campaigns/<ref:campaign>/words")
@door("marketer")
def save_words(campaign: bytes) -> ResponseReturnValue:
    form = WordsForm()
    if form.validate():
        typed = campaigns.Words(
            name=form.text("name"),
            subject=form.text("subject"),
            preheader=form.text("preheader"),
            body=form.secret("body").replace("\r\n", "\n"),
        )
        try:
            campaigns.edit_words(context(), current_actor(), campaign, typed)
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("marketer.words", campaign=campaign), 303)
    return _words_page(_see(campaign), form, 422)


def _words_page(one: CampaignView, form: WordsForm, status: int) -> tuple[str, int]:
    report = campaign_content.report_words(context(), current_actor(), bytes.fromhex(one.ref))
    return render_template("marketer/words.html", campaign=one, form=form, report=report), status


@blueprint.get("/campaigns/<ref:campaign>/audience")
@door("marketer")
def audience(campaign: bytes) -> ResponseReturnValue:
    one = _see(campaign)
    form = AudienceForm(
        data={
            "kind": one.kind,
            "locales": list(one.segment.locales),
            "agreed_after": _day(one.segment.agreed_after),
            "agreed_before": _day(one.segment.agreed_before),
        }
    )
    return _audience_page(one, form, 200)


@blueprint.post("/campaigns/<ref:campaign>/audience")
@door("marketer")
def save_audience(campaign: bytes) -> ResponseReturnValue:
    one = _see(campaign)
    form = _offer(AudienceForm(), one)
    if form.validate():
        try:
            segment = Segment(
                tuple(sorted(form.locales.data or ())),
                _typed_day(form, "agreed_after"),
                _typed_day(form, "agreed_before"),
            )
            campaigns.edit_audience(context(), current_actor(), campaign, segment, form.text("kind"))
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("marketer.check", campaign=campaign), 303)
    return _audience_page(one, form, 422)


def _audience_page(one: CampaignView, form: AudienceForm, status: int) -> tuple[str, int]:
    return render_template("marketer/audience.html", campaign=one, form=_offer(form, one)), status


def _offer(form: AudienceForm, one: CampaignView) -> AudienceForm:
    named = languages()
    codes = dict.fromkeys((*named, *(promise.locale for promise in one.promises), *one.segment.locales))
    form.locales.choices = {code: named.get(code, code) for code in codes}
    form.kind.choices = {kind: KINDS[kind] for kind in one.kinds}
    return form


@blueprint.get("/campaigns/<ref:campaign>/check")
@door("marketer")
def check(campaign: bytes) -> ResponseReturnValue:
    one = _see(campaign)
    result = campaign_pages.see_check(context(), current_actor(), campaign)
    owing = see_owing(context(), current_actor(), campaign)
    return render_template("marketer/check.html", campaign=one, check=result, owing=owing)


@blueprint.get("/campaigns/<ref:campaign>/preview")
@door("marketer")
def preview(campaign: bytes) -> ResponseReturnValue:
    """The mail as one contact would read it: the one named, or somebody at random."""
    code = request.args.get("contact", "").strip()
    if not code:
        return preview_next(campaign)
    shown, fault = None, ""
    try:
        shown = campaign_content.preview(context(), current_actor(), campaign, code)
    except (NotFoundError, InvalidInputError) as error:
        fault = str(error)
    security.allow(frame_src="'self'")
    page = render_template("marketer/preview.html", campaign=_see(campaign), shown=shown, code=code, fault=fault)
    return page, 422 if fault else 200


@blueprint.get("/campaigns/<ref:campaign>/preview/next")
@door("marketer")
def preview_next(campaign: bytes) -> ResponseReturnValue:
    code = campaign_content.next_contact(context(), current_actor(), campaign)
    if code is None:
        return render_template("marketer/preview.html", campaign=_see(campaign), shown=None, code="", fault="")
    return redirect(url_for("marketer.preview", campaign=campaign, contact=code), 303)


@blueprint.get("/campaigns/<ref:campaign>/preview/mail")
@door("marketer")
def preview_mail(campaign: bytes) -> ResponseReturnValue:
    """The HTML part alone, for the frame."""
    shown = campaign_content.preview(context(), current_actor(), campaign, request.args.get("contact", ""))
    return mail_alone(shown.html)


@blueprint.post("/campaigns/<ref:campaign>/test")
@door("marketer")
def send_test(campaign: bytes) -> ResponseReturnValue:
    try:
        campaign_content.send_test(context(), current_actor(), campaign)
    except InvalidInputError as error:
        flash(f"No test mail was sent. {error}", "warn")
    else:
        flash("A test mail is on its way to your own address.", "ok")
    return redirect(url_for("marketer.preview", campaign=campaign), 303)


@blueprint.get("/campaigns/<ref:campaign>/schedule")
@door("marketer")
def schedule(campaign: bytes) -> ResponseReturnValue:
    one = _see(campaign)
    zone = one.zone if one.due else current_session().timezone
    is_set = one.due is not None and one.due > current_session().now
    data = {
        "start": "at" if is_set else "now",
        "local": _wall(one.due, zone) if is_set else "",
        "zone": zone,
        "priority": str(one.priority),
        "later_until": _day(one.later_until, zone),
    }
    return _schedule_page(one, ScheduleForm(data=data), 200)


@blueprint.post("/campaigns/<ref:campaign>/schedule")
@door("marketer")
def schedule_now(campaign: bytes) -> ResponseReturnValue:
    form = ScheduleForm()
    if form.validate():
        timing = campaigns.Timing(
            local=form.text("local")[:16] if form.text("start") == "at" else "",
            zone=form.text("zone"),
            occurrence=form.text("occurrence"),
            later_until=form.text("later_until"),
            priority=int(form.text("priority")),
        )
        try:
            if form.text("start") == "at" and not timing.local:
                raise InvalidInputError("Give the day and the time, or start now.", "local")
            done = campaigns.schedule_campaign(context(), current_actor(), campaign, timing)
        except (InvalidInputError, ConflictError, NotAllowedError) as error:
            form.fail(error)
        else:
            reached = done.now + done.later
            people = f"{reached if reached >= FEW else f'fewer than {FEW}'} people as things stand"
            if done.waits is None:
                flash(f"Scheduled. It reaches {people}.", "ok")
            else:
                flash(f"Scheduled, and waits for approval: it reaches {people}.", "warn")
            return redirect(url_for("marketer.campaign", campaign=campaign), 303)
    return _schedule_page(_see(campaign), form, 422)


def _schedule_page(one: CampaignView, form: ScheduleForm, status: int) -> tuple[str, int]:
    result = campaign_pages.see_check(context(), current_actor(), bytes.fromhex(one.ref))
    owing = see_owing(context(), current_actor(), bytes.fromhex(one.ref))
    return render_template("marketer/schedule.html", campaign=one, form=form, check=result, owing=owing), status


def _see(campaign: bytes) -> CampaignView:
    return campaign_pages.see_campaign(context(), current_actor(), campaign)


def _wall(value: int | None, zone: str = "", shape: str = "%Y-%m-%dT%H:%M") -> str:
    """An instant as <input> takes it, on a clock in `zone` or the reader's."""
    if value is None:
        return ""
    where = ZoneInfo(zone or current_session().timezone)
    return datetime.fromtimestamp(value / 1_000_000, UTC).astimezone(where).strftime(shape)


def _day(value: int | None, zone: str = "") -> str:
    return _wall(value, zone, "%Y-%m-%d")


def _typed_day(form: AudienceForm, name: str) -> int | None:
    typed = form.text(name)
    return day_begins(typed, current_session().timezone, name) if typed else None
