"""An officer's way through policies and approvals; the demonstration has one officer, so a day is the second one."""

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import reading

REASON = "The board decided so on Monday"
LATER = ("bounces", "lines", "replies", "re-permission", "soft-opt-in")


def test_a_policy_is_changed_and_one_that_gives_more_waits_for_people(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        for path in ("cap-total", "quiet-hours", "give-ratio", "retention", "expiry", "approvals", "notice", *LATER):
            reader.open(f"/compliance/policy/{path}/change")
            reader.look()
        reader.open("/compliance/policy/notice/change")
        reader.page.get_by_label("Days before a change").fill("13")
        reader.page.get_by_label("Why this changes").fill(REASON)
        reader.press("Decide this")
        expect(reader.page.get_by_role("status")).to_contain_text("told first, from now on")
        expect(reader.page.locator("main")).to_contain_text("14 days after the last is told")
        reader.look()
        reader.tab_through()


def test_alone_weakening_the_rules_waits_a_day_and_can_be_taken_back(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/policy/approvals/change")
        over = "Campaigns that reach more people than"
        reader.page.get_by_label(over).fill("100000")
        reader.page.get_by_label("Why this changes").fill(REASON)
        reader.press("Decide this")
        expect(reader.page.locator("main")).to_contain_text("campaigns over 100,000 people")
        reader.follow("Change it")
        reader.page.get_by_label(over).fill("")
        reader.page.get_by_label("Why this changes").fill(REASON)
        reader.press("Decide this")
        expect(reader.page.get_by_role("status")).to_contain_text("it waits 24 hours")
        reader.open("/compliance/approvals")
        reader.look()
        reader.follow("A change of “Second person”")
        expect(reader.page.locator("main")).to_contain_text("Nobody else could approve this")
        assert reader.page.get_by_role("button", name="Approve exactly this").count() == 0
        reader.look()
        reader.tab_through()
        reader.page.get_by_label("Why not").fill("It was a mistake of mine")
        reader.press("Take it back")
        expect(reader.page.locator("main")).to_contain_text("Nothing waits.")
        reader.look()
