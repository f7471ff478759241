"""What staff do, as their browsers would: set up, invite by mail, publish texts, set the cap, write and schedule."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.acceptance.browser import Browser, Form, Page
from tests.acceptance.people import GARDEN, SALES
from tests.acceptance.postman import Postman, wait_for
from tests.acceptance.product import Product

PASSWORD = "seven quiet gardens in november"
WORDINGS = {
    "en": "I would like Northfield to send me mail about {0}, at most 5 times a week.",
    "sv": "Jag vill att Northfield skickar mejl om {0} till mig, högst 5 gånger i veckan.",
    "nl": "Ik wil dat Northfield mij mail over {0} stuurt, hoogstens 5 keer per week.",
}
TITLES = {
    GARDEN: {"en": "Garden tips", "sv": "Trädgårdstips", "nl": "Tuintips"},
    SALES: {"en": "Plant sales", "sv": "Växtförsäljning", "nl": "Plantenverkoop"},
}


@dataclass
class Member:
    """Somebody on the staff, who signs in again whenever asked to."""

    browser: Browser
    address: str

    def see(self, path: str) -> Page:
        """A page of theirs."""
        page = self.browser.get(path)
        if "/sign-in" in page.url:
            form = page.form_with("address", "password")
            page = self.browser.send(page, form, address=self.address, password=PASSWORD)
            page = self.browser.get(path)
        assert page.status == 200, f"{path}: {page.status}"
        return page

    def submit(self, page: Page, form: Form, /, button: str = "", **values: str | Sequence[str]) -> Page:
        """Press the form's (first or named) button; the page it leads to."""
        chosen = next((one for one in form.buttons if one.name == button), None) if button else None
        answer = self.browser.send(page, form, chosen, **values)
        assert answer.status == 200, f"{form.action or page.url}: {answer.status}\n{_problems(answer)}"
        return answer


def _problems(page: Page) -> str:
    start = page.text.find('role="alert"')
    return page.text[start : start + 1500] if start >= 0 else page.text[-3000:]


@dataclass(frozen=True)
class Office:
    """The staff of the rehearsal's organisation."""

    administrator: Member
    officer: Member
    marketer: Member


def open_office(product: Product, post: Postman) -> Office:
    """Set the installation up through its one-time link; invite an officer and a marketer, who answer their mails."""
    administrator = Member(product.browser(), "ada@northfield.example")
    page = administrator.browser.get(product.set_up_link)
    answer = administrator.submit(
        page,
        page.form_with("sender_from_domain"),
        name="Northfield Garden Society",
        postal_address="1 Orchard Lane\n12345 Northfield",
        country="SE",
        locale="en",
        timezone="Europe/Stockholm",
        sender_name="Northfield",
        sender_from_local="news",
        sender_from_domain="northfield.example",
        your_name="Ada Lund",
        address=administrator.address,
        password=PASSWORD,
        again=PASSWORD,
    )
    assert "/home" in answer.url, answer.url
    spent = product.browser().get(product.set_up_link).status
    assert spent in {404, 409, 410}, f"the set-up link works twice: {spent}"
    officer, marketer = (_invite(product, post, administrator, role) for role in ("officer", "marketer"))
    page = officer.see("/compliance/policy/quiet-hours/change")
    hours = {"quiet_from": "00:00", "quiet_to": "00:00", "reason": "nobody is here to be disturbed yet"}
    officer.submit(page, page.form_with("quiet_from"), **hours)
    return Office(administrator, officer, marketer)


def _invite(product: Product, post: Postman, administrator: Member, role: str) -> Member:
    member = Member(product.browser(), f"{role}@northfield.example")
    page = administrator.see("/settings/staff/invite")
    administrator.submit(
        page, page.form_with("address", "roles"), name=f"The {role}", address=member.address, roles=[role]
    )
    wait_for(f"the {role}'s invitation", lambda: post.look().to(member.address))
    page = member.browser.get(post.to(member.address)[0].link("/password/"))
    member.submit(page, page.form_with("password", "again"), password=PASSWORD, again=PASSWORD)
    member.see("/home")
    return member


def publish_topics(office: Office) -> None:
    """Two topics, each with a text in three languages that promises five mails a week at most."""
    officer = office.officer
    for slug, titles in TITLES.items():
        page = officer.see("/topics/new")
        form = page.form_with("slug")
        sender = next(control for control in form.controls if control.name == "sender").options[-1]
        page = officer.submit(
            page,
            form,
            name=titles["en"],
            slug=slug,
            sender=sender,
            purpose="what to sow, prune and plant, and when",
            not_for_children="y",
        )
        action = page.form_with("wording").action
        for locale, title in titles.items():
            _publish_text(officer, action, locale, title)


def _publish_text(officer: Member, path: str, locale: str, title: str) -> None:
    page = officer.see(path)
    page = officer.submit(
        page,
        page.form_with("wording"),
        locale=locale,
        title=title,
        gets=f"{title}, by our members",
        cap_n="5",
        window="7",
        kinds=["informational", "promotional"],
        ratio_k="0",
        wording=WORDINGS[locale].format(title),
    )
    officer.submit(page, page.form_with("publish"), button="publish")


def set_cap_of_one_a_week(office: Office) -> None:
    """One promotional mail in any seven days, whatever the texts would allow."""
    page = office.officer.see("/compliance/policy/cap-promotional/change")
    form = page.form_with("n_1")
    days = _choice(page, form, "unit_1", "days")
    reason = "one offer a week is enough"
    office.officer.submit(page, form, n_1="1", length_1="7", unit_1=days, reason=reason)


@dataclass(frozen=True)
class Campaign:
    """A campaign to one topic. `priority`: the lower goes first; `later_until`: a date, or empty."""

    subject: str
    topic: str
    kind: str
    priority: int = 5
    later_until: str = ""


def schedule(office: Office, campaign: Campaign) -> None:
    """Write, check and schedule it to begin at once."""
    marketer = office.marketer
    page = marketer.see("/campaigns/new")
    form = page.form_with("topic", "kind")
    topic = _choice(page, form, "topic", TITLES[campaign.topic]["en"])
    page = marketer.submit(page, form, name=campaign.subject, topic=topic, kind=campaign.kind)
    words = page.url
    body = "# {{ name | default: 'Dear gardener' }}\n\nSow broad beans now. [More](https://northfield.example/beans)\n"
    typed = {"name": campaign.subject, "subject": campaign.subject, "preheader": "In good time", "body": body}
    marketer.submit(page, page.form_with("body"), **typed)
    marketer.see(words.replace("/words", "/check"))
    page = marketer.see(words.replace("/words", "/schedule"))
    marketer.submit(
        page,
        page.form_with("later_until"),
        start="now",
        later_until=campaign.later_until,
        priority=str(campaign.priority),
    )


def _choice(page: Page, form: Form, name: str, label: str) -> str:
    """The value of a select's option by its words."""
    values = next(control for control in form.controls if control.name == name).options
    for value in values:
        if f'value="{value}">{label}<' in page.text:
            return value
    raise AssertionError(f"no “{label}” among the choices of {name}")
