"""An officer's way: find somebody, read their history, print the proof, reveal with a reason, caps, verify."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import Reader, reading
from tests.guards.letters import recipients

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


def _find(reader: Reader, address: str) -> None:
    reader.open("/compliance/find")
    reader.page.get_by_label("Address in full").fill(address)
    reader.press("Look up")


def _somebody(demo: Product) -> str:
    return min(address for address in recipients(demo.instance / "mailbox") if address.startswith("elsa"))


def test_from_an_address_to_the_proof_of_consent(chromium: Browser, demo: Product) -> None:
    somebody = _somebody(demo)
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance")
        reader.look()
        _find(reader, somebody)
        assert "@" not in reader.page.url
        page = reader.page.locator("main")
        assert "•••@" not in page.inner_text()
        reader.look()
        reader.press("Show the masked address and the evidence, and note it in the log")
        assert "•••@" in page.inner_text()
        assert somebody not in reader.page.content()
        reader.look()
        with reader.page.expect_navigation():
            page.get_by_role("link", name=re.compile("^Proof of")).first.click()
        reader.look()
        reader.press("Make the proof and note it in the log")
        assert "Proof of consent:" in reader.heading()
        assert somebody not in reader.page.content()
        reader.look()


def test_a_reveal_needs_a_reason_and_is_in_the_log(chromium: Browser, demo: Product) -> None:
    somebody = _somebody(demo)
    reason = "A court asks for it, file 2026-11"
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        _find(reader, somebody)
        reader.follow("Reveal the address")
        reader.look()
        reader.page.get_by_label("Why you need the address").fill("because")
        reader.press("Show the address and note it in the log")
        reader.faults.clear()  # the browser notes the 422
        assert somebody not in reader.page.content()
        reader.page.get_by_label("Why you need the address").fill(reason)
        reader.press("Show the address and note it in the log")
        assert somebody in reader.page.locator("main").inner_text()
        reader.look()
        reader.follow("Hide it")
        assert somebody not in reader.page.content()
        reader.follow("All entries in the log")
        assert reason in reader.page.locator("main").inner_text()
        assert _ADDRESS.findall(reader.page.locator("main").inner_text()) == []
        reader.look()


def test_nobody_is_found_under_an_unknown_address(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        _find(reader, "nobody.we.know@unheard.example")
        assert "Nobody is held" in reader.heading()
        assert "unheard" not in reader.page.content()
        reader.look()


def test_caps_are_changed_with_a_reason(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/policy")
        reader.look()
        reader.follow("Caps on offers")
        reader.look()
        reader.follow("Change it")
        reader.look()
        reader.page.get_by_label("At most, mails").first.fill("1")
        reader.page.get_by_label("Why this changes").fill("Members asked for it at the meeting")
        reader.press("Decide this")
        expect(reader.page.get_by_role("status")).to_contain_text("This holds from")
        reader.look()


def test_the_log_is_verified_now(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance")
        reader.press("Verify the log now")
        assert reader.heading() == "The log is whole"
        reader.look()
        reader.open("/compliance/log?kind=consent.")
        assert reader.page.locator("main .table-wrap tbody tr").count() == 50
        reader.follow("Older entries")
        reader.look()


def test_an_officers_pages_by_keyboard(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        for path in (
            "/compliance",
            "/compliance/find",
            "/compliance/log?kind=contact.",
            "/compliance/register",
            "/desk",
        ):
            reader.open(path)
            reader.tab_through()


def test_a_suspended_inviter_is_heard_and_let_invite_again(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/invitations")
        reader.look()
        assert "@" not in reader.page.inner_text("main"), "an inviter goes by a code"
        with reader.page.expect_navigation():
            reader.page.locator("main tbody tr", has_text="appeals").get_by_role("link").click()
        expect(reader.page.get_by_role("heading", level=1)).to_contain_text("Inviter ")
        reader.look()
        reader.follow("Read and answer the appeal")
        reader.look()
        reader.press("Read the appeal and note it in the log")
        expect(reader.page.locator("main")).to_contain_text("They bought a shed from me once")
        reader.look()
        reader.open("/invitations/policy")
        reader.look()
        reader.open("/compliance/policy/invitations/change")
        reader.look()
        reader.tab_through()
