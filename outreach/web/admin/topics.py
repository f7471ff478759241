"""Topics: everybody on the staff reads them; an officer creates, publishes texts after seeing them, and closes."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from markupsafe import Markup

from outreach.domain.errors import InvalidInputError
from outreach.services import topics as service
from outreach.services.policies.versions import total_caps
from outreach.services.public_text import Promise
from outreach.services.senders import list_senders
from outreach.web.admin.forms import CloseForm, TextForm, TopicForm
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, door
from outreach.web.home import context


@blueprint.get("/topics")
@door("staff")
def topics() -> ResponseReturnValue:
    return render_template("admin/topics.html", topics=service.list_topics(context(), current_actor()))


@blueprint.get("/topics/new")
@door("officer")
def new_topic() -> ResponseReturnValue:
    form = TopicForm(data={"retention_days": 1095})
    form.sender.choices = _senders()
    return render_template("admin/topic_new.html", form=form)


@blueprint.post("/topics/new")
@door("officer")
def create_topic() -> ResponseReturnValue:
    form = TopicForm()
    form.sender.choices = _senders()
    if form.validate():
        new = service.NewTopic(
            slug=form.text("slug"),
            sender=bytes.fromhex(form.text("sender")),
            name=form.text("name"),
            purpose=form.text("purpose"),
            retention_days=form.retention_days.data or 0,
            expires_days=form.expires_days.data,
            not_for_children=bool(form.not_for_children.data),
        )
        try:
            ref = service.create_topic(context(), current_actor(), new)
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The topic is created. Nobody can sign up until its first text is published.", "ok")
            return redirect(url_for("admin.new_text", topic=ref), 303)
    return render_template("admin/topic_new.html", form=form), 422


@blueprint.get("/topics/<ref:topic>")
@door("staff")
def topic(topic: bytes) -> ResponseReturnValue:
    return _topic_page(topic, CloseForm())


@blueprint.post("/topics/<ref:topic>/close")
@door("officer")
def close_topic(topic: bytes) -> ResponseReturnValue:
    form = CloseForm()
    if form.validate():
        service.close_topic(context(), current_actor(), topic, form.text("reason"))
        flash("The topic is closed. Nobody new can sign up; consents stay as they are.", "ok")
        return redirect(url_for("admin.topic", topic=topic), 303)
    return _topic_page(topic, form), 422


@blueprint.get("/topics/<ref:topic>/text")
@door("officer")
def new_text(topic: bytes) -> ResponseReturnValue:
    page = service.see_topic(context(), current_actor(), topic)
    locale = request.args.get("locale", "")
    held = next((text for text in page.texts if text.is_current and text.locale == locale), None)
    form = TextForm(data=_typed(held)) if held else TextForm(data={"ratio_k": 0, "window": "7", "locale": locale})
    return render_template("admin/text_new.html", form=form, page=page)


@blueprint.post("/topics/<ref:topic>/text")
@door("officer")
def preview_text(topic: bytes) -> ResponseReturnValue:
    """Shows what was typed as a recipient will see it; writes nothing until "publish" is pressed there."""
    form = TextForm()
    page = service.see_topic(context(), current_actor(), topic)
    if form.validate() and "change" not in request.form:
        try:
            new = _text_of(form)
            if "publish" in request.form:
                version = service.publish_text(context(), current_actor(), topic, new)
                flash(f"Version {version} is published. People who agreed to an earlier one keep it.", "ok")
                return redirect(url_for("admin.topic", topic=topic), 303)
            promise = service.preview_text(context(), current_actor(), topic, new)
        except InvalidInputError as error:
            form.fail(_at_field(error))
        else:
            shown = _as_recipients_see(promise)
            return render_template("admin/text_preview.html", form=form, page=page, promise=promise, shown=shown)
    return render_template("admin/text_new.html", form=form, page=page), 422 if form.errors else 200


def _topic_page(topic: bytes, form: CloseForm) -> str:
    page = service.see_topic(context(), current_actor(), topic)
    public = context().settings.public_url
    return render_template("admin/topic.html", page=page, form=form, sign_up=f"{public}/sign-up/{page.topic.slug}")


def _as_recipients_see(promise: Promise) -> Markup:
    """The card above the confirming buttons, in the text's own language."""
    ceiling = min(((cap.n, cap.window) for cap in total_caps(context())), key=lambda cap: cap[0] / cap[1])
    with force_locale(promise.locale):
        return Markup(render_template("admin/promise.html", promise=promise, ceiling=ceiling))  # noqa: S704  our template


def _senders() -> dict[str, str]:
    held = [sender for sender in list_senders(context(), current_actor()) if sender.closed is None]
    return {sender.ref.hex(): sender.name for sender in held}


def _text_of(form: TextForm) -> service.NewText:
    days = int(form.text("window")) or form.days.data or 0
    if not days:
        raise InvalidInputError("Give the number of days.", "days")
    return service.NewText(
        locale=form.text("locale"),
        title=form.text("title"),
        gets=form.text("gets"),
        wording=form.text("wording"),
        kinds=tuple(form.kinds.data or ()),
        cap_n=form.cap_n.data or 0,
        cap_window=days * service.DAY,
        ratio_k=form.ratio_k.data or 0,
    )


def _typed(text: service.TextVersion) -> dict[str, object]:
    """A published version as the form shows it, to begin the next from."""
    days = text.cap_window // service.DAY
    is_named = str(days) in {"1", "7", "30"}
    return {**vars(text), "window": str(days) if is_named else "0", "days": None if is_named else days}


def _at_field(error: InvalidInputError) -> InvalidInputError:
    return InvalidInputError(str(error), "days") if error.field == "cap_window" else error
