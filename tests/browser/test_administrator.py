"""An administrator's way: the first set-up, inviting staff, the first topic and its text; then the settings' pages."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import Reader, reading

PASSWORD = "a wet spring and a long ladder"


def _set_up(reader: Reader, link: str) -> None:
    reader.open(link)
    reader.look()
    page = reader.page
    page.get_by_label("Name of the organisation").fill("Beanfield Society")
    page.get_by_label("Postal address").fill("2 Field Road\nBeanfield")
    page.get_by_label("Country").select_option("SE")
    page.get_by_label("Time zone").select_option("Europe/Stockholm")
    page.get_by_label("Name of the sender").fill("Beanfield")
    page.get_by_label("From address, before the @").fill("letters")
    page.get_by_label("From domain, after the @").fill("beanfield.example")
    page.get_by_label("Your name").fill("Berit Bean")
    page.get_by_label("Your e-mail address").fill("berit@beanfield.example")
    for box in page.locator("input[type=checkbox]").all():
        box.check()
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    with page.expect_navigation():
        page.locator("main button").last.click()
    assert reader.heading() == "What needs doing", reader.page.get_by_role("alert").inner_text()


def _invite(reader: Reader) -> None:
    reader.open("/settings/staff")
    reader.look()
    reader.follow("Invite somebody")
    reader.look()
    reader.page.get_by_label("Name").fill("Mats Marketer")
    reader.page.get_by_label("E-mail address").fill("mats@beanfield.example")
    reader.page.get_by_label("Marketer").check()
    reader.press("Invite")
    assert "Mats Marketer" in reader.page.locator("main table").inner_text()
    assert "mats@beanfield.example" not in reader.page.content()


def _publish(reader: Reader) -> None:
    page = reader.page
    reader.open("/topics")
    reader.look()
    with page.expect_navigation():
        page.locator("main a[href='/topics/new']").first.click()
    page.get_by_label("Name, for staff").fill("Bean letters")
    page.get_by_label("Address of its sign-up page").fill("bean-letters")
    page.get_by_label("Sender").select_option(label="Beanfield")
    page.get_by_label("Purpose").fill("Letters about beans")
    page.get_by_label("not aimed at children").check()
    reader.look()
    reader.press("Create the topic")
    page.get_by_label("Title the person reads").fill("Bean letters")
    page.get_by_label("What they get").fill("what grows, and how")
    page.get_by_label("At most so many mails").fill("1")
    page.get_by_label("Informational").check()
    page.get_by_label("The sentence the person agrees to").fill(
        "I would like Beanfield to send me bean letters weekly."
    )
    reader.look()
    reader.press("See it as a recipient will")
    reader.look()
    reader.press("Publish version 1")
    expect(page.get_by_role("status")).to_contain_text("Version 1 is published")
    reader.look()


def _newcomer_chooses_a_password(chromium: Browser, product: Product) -> None:
    with reading(chromium, product.url) as reader:
        reader.open("/mailbox")
        for _ in range(100):
            reader.page.get_by_label("An address in full").fill("mats@beanfield.example")
            reader.press("Find letters")
            if reader.page.locator(".mailbox-list a").count():
                break
        with reader.page.expect_navigation():
            reader.page.locator(".mailbox-list a").first.click()
        reader.follow("Plain text")
        found = re.search(r"http\S+/password/[\w.-]+", reader.page.locator("pre").inner_text())
        assert found
        reader.open(found.group(0))
        reader.look()
        for field in reader.page.locator("input[type=password]").all():
            field.fill(PASSWORD)
        with reader.page.expect_navigation():
            reader.page.locator("main button").last.click()
        reader.page.get_by_label("Your e-mail address").fill("mats@beanfield.example")
        reader.page.get_by_label("Password").fill(PASSWORD)
        reader.press("Sign in")
        assert reader.heading() == "What needs doing"
        jobs = reader.page.get_by_role("navigation", name="Main").inner_text()
        assert "Campaigns" in jobs and "Compliance" not in jobs and "Settings" not in jobs


def test_a_new_installation_until_people_can_sign_up(chromium: Browser, empty: Product) -> None:
    with reading(chromium, empty.url) as reader:
        _set_up(reader, empty.set_up_link)
        reader.look()
        _invite(reader)
        _publish(reader)
        reader.open("/sign-up/bean-letters")
        assert reader.heading() == "Bean letters"
        reader.look()
    _newcomer_chooses_a_password(chromium, empty)
    with reading(chromium, empty.url) as stranger:
        stranger.open(empty.set_up_link)
        assert stranger.page.locator("form").count() == 0


def test_the_settings_pages(chromium: Browser, demo: Product) -> None:
    paths = (
        "/settings",
        "/settings/senders",
        "/settings/senders/new",
        "/settings/sending",
        "/settings/sending/forget",
        "/settings/system",
        "/account",
        "/account/password",
    )
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        for path in (
            *paths,
            "/account",
            "/account/password",
            "/desk",
            "/desk/stop",
            "/desk/opt-in",
            "/desk/deceased",
            "/audience/import",
        ):
            reader.open(path)
            reader.look()
        reader.open("/settings/senders")
        reader.follow("Northfield Garden Society")
        reader.look()
        reader.open("/embed/garden-tips")
        reader.look()


def test_an_administrators_pages_by_keyboard(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        for path in ("/settings", "/settings/staff", "/account"):
            reader.open(path)
            reader.tab_through()
