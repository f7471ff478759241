"""A small house for the case of 2007: the running product with its demo mailbox, an officer, and members with links."""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.acceptance.browser import Browser, Page
from tests.acceptance.office import PASSWORD
from tests.acceptance.postman import wait_for
from tests.browser.product import Product
from tests.guards.letters import Letter, read_letters

_SET_UP = {
    "name": "Northfield Garden Society",
    "postal_address": "1 Orchard Lane\n12345 Northfield",
    "country": "SE",
    "locale": "en",
    "timezone": "UTC",
    "sender_name": "Northfield",
    "sender_from_local": "news",
    "sender_from_domain": "northfield.example",
    "your_name": "Ada Lund",
    "address": "ada@northfield.example",
    "password": PASSWORD,
    "again": PASSWORD,
}
_WATCHED = (
    "invitation",
    "request",
    "message",
    "confirmation",
    "connection",
    "disclosure",
    "connect_link",
    "member",
    "consent",
    "suppression",
    "appeal",
)


@dataclass
class Neighbourhood:
    """Everybody's browsers, by name. Addresses are `<name>@example.org`."""

    product: Product
    browsers: dict[str, Browser] = field(default_factory=dict)

    def browser(self) -> Browser:
        """Somebody new, without cookies."""
        return Browser(self.product.url, urlsplit(self.product.url).port or 80)

    def set_up(self) -> None:
        """An administrator who is officer too, and an officer's yes to invitations by mail."""
        admin = self.browsers["ada"] = self.browser()
        page = admin.get(self.product.set_up_link)
        page = admin.send(page, page.form_with("sender_from_domain"), **_SET_UP, roles=["officer", "marketer"])
        assert "/home" in page.url, page.url
        page = admin.get("/compliance/policy/quiet-hours/change")
        hours = {"quiet_from": "00:00", "quiet_to": "00:00", "reason": "nobody is here to be disturbed yet"}
        admin.send(page, page.form_with("quiet_from"), **hours)
        page = admin.get("/compliance/policy/invitations/change")
        form = page.form_with("by_mail", "reason")
        page = admin.send(page, form, by_mail="y", reason="Members asked for it, and we look at refusals every week")
        assert page.status == 200, page.text[-2000:]

    def join(self, name: str) -> Browser:
        """A new member, from typing the address to the first page of their own."""
        browser = self.browsers[name] = self.browser()
        page = browser.get("/members/start")
        browser.send(page, page.form_with("address"), address=address_of(name))
        wait_for(f"the account mail of {name}", lambda: self.letters(name))
        page = browser.get(self.link(name, "/members/choose/"))
        shown = f"{name.title()} Holm"
        page = browser.send(page, page.form_with("password"), name=shown, password=PASSWORD, again=PASSWORD)
        assert urlsplit(page.url).path == "/me", page.url
        return browser

    def make_link(self, name: str, label: str) -> str:
        """A connect link of this member's; its public address."""
        browser = self.browsers[name]
        page = browser.get("/me/links")
        page = browser.send(page, page.form_with("label"), label=label)
        found = re.search(rf"{re.escape(self.product.url)}/connect/[0-9a-f]{{32}}", page.text)
        assert found is not None, page.text[-2000:]
        return found[0]

    def invite(self, name: str, whom: str) -> Page:
        """Invite by mail: form, preview, the labelled button."""
        browser = self.browsers[name]
        page = browser.get("/me/invite?way=mail")
        draft = {"address": address_of(whom), "relationship": "friend", "note": "We met at the fair", "locale": "en"}
        page = browser.send(page, page.form_with("address", "relationship"), **draft)
        return browser.send(page, page.form_to("/me/invite/send"))

    def letters(self, name: str = "") -> list[Letter]:
        """The mails this person got, or all, newest first."""
        every = read_letters(self.product.instance / "mailbox")
        return [letter for letter in every if not name or letter.to == address_of(name)]

    def link(self, name: str, path: str) -> str:
        """The newest link of this person's mails that leads there."""
        found = [link for letter in self.letters(name) for link in letter.links if urlsplit(link).path.startswith(path)]
        assert found, f"no {path} link came to {name}"
        return found[0]

    def rest(self) -> None:
        """Wait until the engine has nothing left to do."""
        wait_for("the engine to rest", lambda: not self._rows(_BUSY)[0][0], seconds=60)

    def state(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows that inviting, connecting and mailing leave."""
        return {table: self._rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in _WATCHED}

    def incoming(self, name: str) -> str:
        """The path of what waits for this member's answer."""
        found = re.search(r"/me/incoming/[0-9a-f]{32}", self.browsers[name].get("/me/incoming").text)
        assert found is not None, f"nothing came in for {name}"
        return found[0]

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"file:{self.product.instance}/outreach.db?mode=ro", uri=True)) as store:
            return store.execute(query).fetchall()


_BUSY = """
    SELECT (SELECT COUNT(*) FROM message WHERE state IN ('planned', 'attempted'))
      + (SELECT COUNT(*) FROM request WHERE settled IS NULL
         AND not_before <= CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + 1000000)"""


def address_of(name: str) -> str:
    """Everybody's address, from their name."""
    return f"{name}@example.org"
