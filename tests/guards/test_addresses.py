"""Promise 2: an address stands nowhere but with its owner. Pages, URLs, headers, log lines, entries, errors, files."""

import re
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask

from outreach.app import create_app
from outreach.domain import addresses
from outreach.services.context import Context
from outreach.web.auth import door
from tests.guards import living
from tests.guards.crawl import Visit, listening
from tests.guards.letters import recipients
from tests.guards.pages import ADDRESS, Page, urls_in
from tests.guards.store import Private
from tests.guards.visitors import OWN, WHO, browser, csrf_token

# Printed for everybody to write to, or examples in the words of a form.
PUBLIC = {"privacy@northfield.example", "letters@northfield.example", "anna@example.org"}

# The demo mailbox is every reader's own inbox, and only while the house lives on this machine alone; what is held about
# a person is theirs to read, behind a link of half an hour that was mailed to them.
_INBOX = re.compile("/mailbox|/rights/[^/]+/result/")

# In a binary file any few octets may look like an address by chance; these are long enough not to.
_LONG = re.compile(rb"[a-z0-9.+-]{4,}@[a-z0-9-]{4,}\.(?:[a-z0-9-]+\.)*[a-z]{3,}")
_TOKEN = re.compile(r"\bt1\.[A-Za-z0-9_-]{20,}")


# At which somebody reaches whom they are connected with: it tells of neither.
_RELAY = re.compile(r"with-[a-z2-7]{26}@in\.localhost")


def _addresses_in(text: str) -> set[str]:
    found = {one.replace("%40", "@") for one in ADDRESS.findall(text)} - PUBLIC
    return {one for one in found if not _RELAY.fullmatch(one)}


@pytest.fixture(scope="module")
def pages(visits: list[Visit]) -> list[Visit]:
    return [visit for visit in visits if not _INBOX.match(visit.url) and visit.endpoint != "static"]


def test_there_is_something_to_find(private: Private) -> None:
    assert len(private.addresses) > 500
    assert len(private.names) > 20


def test_no_page_shows_an_address(pages: list[Visit], private: Private) -> None:
    shown = [f"{v}: {found}" for v in pages if (found := _addresses_in(v.body) - {OWN[v.who]})]
    shown += [
        f"{v}: {found}" for v in pages if (found := set(private.found_in(v.body)) - {OWN[v.who]} - _staff(private))
    ]
    assert shown == []


def _staff(private: Private) -> set[str]:
    """Names of staff, whom colleagues may know; their addresses are masked like anyone's."""
    return {name for name in private.names if name.startswith(("Ada ", "Guarding "))}


def test_no_url_holds_an_address(visits: list[Visit], private: Private) -> None:
    urls = {visit.url for visit in visits}
    urls |= {value for visit in visits for name, value in visit.headers if name in {"Location", "Link", "Refresh"}}
    urls |= {url for visit in visits if visit.is_page for url in urls_in(Page(visit.body))}
    assert len(urls) > 300
    for url in urls - {f"mailto:{address}" for address in PUBLIC}:
        assert "@" not in unquote(url), url
        assert private.found_in(unquote(url)) == [], url


def test_no_header_holds_an_address(visits: list[Visit], private: Private) -> None:
    for visit in visits:
        text = "\n".join(value for _, value in visit.headers)
        assert not _addresses_in(text), visit


def test_no_log_line_of_the_web_holds_an_address_or_a_token(visits: list[Visit], private: Private) -> None:
    lines = [line for visit in visits for line in visit.logged]
    assert len(lines) > 1000
    text = "\n".join(lines)
    assert ADDRESS.findall(text) == []
    assert _TOKEN.findall(text) == []
    assert private.found_in(text) == []


def test_no_log_line_of_sixty_days_holds_an_address_or_a_token(lived: Path, private: Private) -> None:
    text = (lived / living.LOG).read_text()
    assert ADDRESS.findall(text) == []
    assert _TOKEN.findall(text) == []
    assert private.found_in(text) == []


def test_no_audit_entry_holds_an_address_or_a_name(house: Context, private: Private) -> None:
    raw = sqlite3.connect(house.settings.database.removeprefix("sqlite:///"))
    entries = raw.execute("SELECT kind, actor, body FROM audit_entry").fetchall()
    raw.close()
    assert len(entries) > 1000
    text = "\n".join(map(str, entries))
    assert ADDRESS.findall(text) == []
    assert private.found_in(text) == []


def test_no_file_holds_an_address_or_a_name_in_the_clear(lived: Path, private: Private, tmp_path: Path) -> None:
    ctx = living.open_copy(lived, tmp_path / "instance")
    ctx.db.dispose()
    raw = sqlite3.connect(tmp_path / "instance" / "outreach.db")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    everything = [path for path in (tmp_path / "instance").rglob("*") if path.is_file()]
    for path in everything:
        if "mailbox" in path.parts or path.name == "sign-in.txt":
            continue  # the readers' own inbox, and how to sign in to the demonstration
        octets = path.read_bytes().lower()
        needles = {value.lower().encode() for value in private.addresses | private.names}
        assert [needle for needle in needles if needle in octets] == [], path.name
        local_parts = {needle.partition(b"@")[0] for needle in needles if b"@" in needle}
        assert [part for part in local_parts if len(part) > 9 and part in octets] == [], path.name
        for public in PUBLIC:
            octets = octets.replace(public.encode(), b" ")
        assert _LONG.findall(octets) == [], path.name


def test_an_address_typed_wrongly_is_not_repeated_by_errors_or_log(site: Flask, private: Private) -> None:
    typed = ["somebody.private@unheard.example", "nobody@@twice.example", "someone@gmial.com"]
    with listening() as lines:
        for who in WHO:
            client = browser(site, who)
            for path in ("/sign-in", "/forgot", "/sign-up", "/members/sign-in", "/members/start"):
                for address in typed:
                    data = {"address": address, "password": "wrong", "csrf_token": csrf_token(client)}
                    answer = client.post(path, data=data)
                    assert "@" not in unquote(answer.location or ""), path
            for path in ("/compliance/look-up", "/desk/stop", "/mailbox"):
                client.post(path, data={"who": typed[0], "words": typed[0], "csrf_token": csrf_token(client)})
    text = "\n".join(lines)
    assert len(lines) > 20
    assert ADDRESS.findall(text) == []
    assert "unheard" not in text


def test_a_fault_tells_nobody_what_was_in_it(house: Context) -> None:
    app = create_app(house)

    def break_down() -> str:
        raise RuntimeError("could not deliver to somebody.private@unheard.example")

    app.add_url_rule("/breaks", "breaks", door("visitor")(break_down))
    with listening() as lines:
        answer = app.test_client().get("/breaks")
    assert answer.status_code == 500
    assert "unheard" not in answer.text + "\n".join(lines)
    assert any("RuntimeError" in line for line in lines)


def test_our_own_errors_speak_without_addresses(private: Private) -> None:
    for address in sorted(private.addresses)[:50]:
        broken = address.replace("@", "@@")
        with pytest.raises(addresses.AddressError) as caught:
            addresses.parse(broken)
        assert address.partition("@")[0] not in str(caught.value)


def test_only_a_reveal_with_a_reason_shows_an_address(site: Flask, house: Context, lived: Path) -> None:
    from tests.guards.material import gather

    (ref,) = (gather(house).by_names[frozenset({"contact", "topic"})][0]["contact"],)
    client = browser(site, "officer")
    path = f"/compliance/contacts/{ref.hex()}/reveal"
    everybody = recipients(lived / "instance" / "mailbox")
    assert not _addresses_in(client.get(path).text)
    refused = client.post(path, data={"reason": "", "csrf_token": csrf_token(client)})
    assert refused.status_code == 422 and not _addresses_in(refused.text)
    shown = client.post(path, data={"reason": "They rang and want a letter on paper", "csrf_token": csrf_token(client)})
    assert shown.status_code == 200
    assert len(_addresses_in(shown.text)) == 1
    assert _addresses_in(shown.text) <= everybody | {"ada@northfield.example"}
    assert shown.headers["Cache-Control"] == "no-store"
