"""The demo mailbox's pages: open on one's own machine, nowhere else, and harmless whatever a letter holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from outreach.app import create_app
from outreach.hosts import Relay
from outreach.mail import maildir
from outreach.services.context import Context
from tests.web.conftest import Browser

HTML = '<html><head><title>x</title></head><body><script>alert(1)</script><a href="http://x">Confirm</a></body></html>'


def put(folder: Path, to: str = "ann@example.net", subject: str = "Hello <b>you</b>", html: str = HTML) -> str:
    maildir.prepare(folder)
    content = f"From: news@example.org\r\nSubject: {subject}\r\nContent-Type: text/html\r\n\r\n{html}\r\n"
    return maildir.keep(folder, "news@example.org", [to], content.encode())


def browser(ctx: Context) -> Browser:
    app = create_app(ctx, testing=True)
    app.test_client_class = Browser
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


@pytest.fixture
def folder(ctx: Context) -> Path:
    assert ctx.settings.demo_mailbox is not None
    return ctx.settings.demo_mailbox


def test_an_empty_mailbox_says_what_to_do_next(ctx: Context) -> None:
    assert "No letters yet" in browser(ctx).page("/mailbox")


def test_the_list_shows_letters_with_masked_addresses(ctx: Context, folder: Path) -> None:
    key = put(folder)
    page = browser(ctx).page("/mailbox")
    assert f'href="/mailbox/{key}"' in page
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in page  # CVE-2026-44742: subjects are text
    assert "ann@example.net" not in page


def test_the_list_has_pages_and_no_page_beyond_the_last(ctx: Context, folder: Path) -> None:
    for number in range(31):
        put(folder, subject=f"letter {number}")
    visitor = browser(ctx)
    assert "letter 0" not in visitor.page("/mailbox")
    assert "letter 0" in visitor.page("/mailbox?page=2")
    for beyond in ("3", "0", "-1"):
        visitor.page(f"/mailbox?page={beyond}", 404)


def test_a_letter_is_framed_without_scripts_and_its_links_open_beside_it(ctx: Context, folder: Path) -> None:
    key = put(folder)
    visitor = browser(ctx)
    answer = visitor.get(f"/mailbox/{key}")
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    assert f'src="/mailbox/{key}/html"' in answer.text
    assert "alert(1)" not in answer.text
    framed = visitor.get(f"/mailbox/{key}/html")
    policy = framed.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert framed.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<base target="_blank">' in framed.text


@pytest.mark.parametrize(
    ("view", "shown"), [("text", "<pre"), ("headers", "<dt>Subject</dt>"), ("source", "Subject: ")]
)
def test_each_view_shows_its_side_of_the_letter(ctx: Context, folder: Path, view: str, shown: str) -> None:
    page = browser(ctx).page(f"/mailbox/{put(folder)}?view={view}")
    assert shown in page
    assert "<script>" not in page
    assert 'aria-current="page"' in page


def test_searching_takes_a_whole_address_and_leaves_none_in_a_url(ctx: Context, folder: Path) -> None:
    put(folder, subject="one")
    put(folder, to="bob@example.net", subject="two")
    visitor = browser(ctx)
    found = visitor.submit("/mailbox", {"words": "bob@example.net"})
    assert "two" in found.text
    assert ">one<" not in found.text
    assert visitor.submit("/mailbox", {"words": " "}).status_code == 422
    assert "No letter found" in visitor.submit("/mailbox", {"words": "ann@"}).text


@pytest.mark.parametrize(
    "changes",
    [
        {"public_url": "https://mail.example.org"},
        {"listen_host": "0.0.0.0"},
        {"public_url": "https://mail.example.org", "relays": {"main": Relay(host="relay.example.org")}},
    ],
)  # fmt: skip
def test_it_does_not_exist_where_others_could_look_in(ctx: Context, folder: Path, changes: dict[str, object]) -> None:
    key = put(folder)
    elsewhere = replace(ctx, settings=ctx.settings.model_copy(update=changes))
    host = {"base_url": elsewhere.settings.public_url}
    for path in ("/mailbox", f"/mailbox/{key}", f"/mailbox/{key}/html"):
        assert browser(elsewhere).get(path, **host).status_code == 404


def test_a_letter_that_is_not_there_is_not_found(ctx: Context) -> None:
    visitor = browser(ctx)
    for key in ("1790000000000000.00000000", "x", "..%2f..%2fkeys.json"):
        visitor.page(f"/mailbox/{key}", 404)
