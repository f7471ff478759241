"""Whose mails are opened: people who agreed, were sent a campaign and asked by mail, all by the product itself."""

import csv
import io
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http.client import HTTPConnection
from urllib.parse import quote

from sqlalchemy import ColumnElement, Select, Table, func, select

from bench.installation import Engines, Installation
from bench.web_load import HOST, Request
from bench.web_servers import ROWS
from outreach.domain.actors import CONSOLE
from outreach.domain.tokens import Purpose
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.sign_up import SignUp, submit_sign_up
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, consent_text

ENDLESS = {"OUTREACH_CONFIRMATIONS_PER_NETWORK": "1000000", "OUTREACH_CONFIRMATIONS_TOTAL": "1000000"}
_OPENED_AGAIN = 3_000
_BROWSERS = 4
_PATIENCE_SECONDS = 600.0
_ONE_CLICK = "List-Unsubscribe=One-Click"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_TOPIC = re.compile(r'name="topics" value="([0-9a-f]{32})"')


class People:
    """The readers of one installation and those who asked to become some; hands out each of their links once."""

    def __init__(self, here: Installation, readers: int) -> None:
        self._here, self._ctx, self._readers = here, here.ctx, readers
        self._dice = random.Random("web")  # noqa: S311  no secret
        self._pages: Iterator[Request] = iter(())
        self._stops: Iterator[Request] = iter(())

    def import_all(self) -> None:
        """Readers with the evidence of another system, as an officer brings them."""
        with self._ctx.db.reading() as conn:
            wording = conn.execute(select(consent_text.c.wording).where(consent_text.c.id == self._here.text)).scalar()
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(("address", "topic", "source", "time", "text", "locale", "name", "town", "club"))
        for number in range(self._readers):
            agreed = ("topic-1", "a form at the fair", "2025-01-10T10:00:00Z", wording, "en")
            writer.writerow((f"reader{number}@example.org", *agreed, f"Reader {number}", "Lund", "Garden Society"))
        files = Import(file.getvalue().encode(), no_suppressions=True)
        rehearse_import(self._ctx, CONSOLE, files)
        assert apply_import(self._ctx, CONSOLE, files).granted == self._readers

    def ask(self, count: int) -> None:
        """So many newcomers fill in the form; waits until the engine's question has been taken by the relay."""
        for number in range(count):
            form = SignUp(
                address=f"newcomer{number}@example.net",
                topics=["topic-1"],
                locale="en",
                form_url=f"https://{HOST}/sign-up/topic-1",
                network=f"198.51.{number % 250}.0/24",
                ip=f"198.51.{number % 250}.7",
                browser="Firefox",
                seconds=30.0,
            )
            submit_sign_up(self._ctx, form)
        asked = (message.c.origin == "confirmation", message.c.state == "sent")
        self._wait(lambda: self._count(message, *asked) == count)

    def open_pages(self, port: int) -> None:
        """Newcomers open the link of their mail, each in a browser of their own; readers' links are made ready.

        More than ten seconds after the mail, or they would be taken for programs.
        """
        newest = select(func.max(message.c.counted)).where(message.c.origin == "confirmation")

        def is_old() -> bool:
            with self._ctx.db.reading() as conn:
                return bool(self._ctx.db.now(conn) - int(conn.execute(newest).scalar_one()) > 11_000_000)

        self._wait(is_old)
        refs = self._refs(select(confirmation.c.ref).order_by(confirmation.c.id))
        tokens = self._tokens(Purpose.CONFIRM, refs)
        with ThreadPoolExecutor(_BROWSERS) as pool:
            shares = pool.map(
                lambda share: _opened(port, share), (tokens[place::_BROWSERS] for place in range(_BROWSERS))
            )
            self._pages = iter([page for share in shares for page in share])
        campaign = select(message.c.ref).where(message.c.origin == "campaign", message.c.state == "sent")
        self._sent = self._refs(campaign.order_by(message.c.id))
        self._stops = (
            Request("POST", f"/stop/{token}", body=_ONE_CLICK) for token in self._tokens(Purpose.STOP, self._sent)
        )

    def bare(self) -> list[Request]:
        """Any row of the bare view's table."""
        return [Request("POST", f"/{self._dice.randint(1, ROWS)}") for _ in range(_OPENED_AGAIN)]

    def why(self) -> list[Request]:
        """Why links of readers who still get the topic's mail: the last to be asked for a stop."""
        return [Request("GET", f"/why/{token}") for token in self._tokens(Purpose.WHY, self._sent[-_OPENED_AGAIN:])]

    def confirm(self, most: int) -> list[Request]:
        """Presses of Confirm, each the first by its newcomer."""
        return [page for page, _ in zip(self._pages, range(most), strict=False)]

    def one_click(self, most: int) -> list[Request]:
        """Stops of readers, each the first."""
        return [stop for stop, _ in zip(self._stops, range(most), strict=False)]

    def acted(self, page: str) -> int:
        """How many have confirmed, or stopped, so far."""
        if page == "confirm":
            return self._count(confirmation, confirmation.c.answer == "confirmed")
        return self._count(consent, consent.c.state == "withdrawn")

    def wait_for_mail(self, campaign_id: int, running: Engines) -> None:
        """Until the first of a campaign's mails has left."""
        sent = (message.c.campaign == campaign_id, message.c.state == "sent")

        def has_begun() -> bool:
            running.must_live()
            return self._count(message, *sent) > 0

        self._wait(has_begun)

    def waits(self, campaign_id: int) -> bool:
        """Whether mail of a campaign is still to go."""
        return self._count(message, message.c.campaign == campaign_id, message.c.state == "planned") > 0

    def _refs(self, query: Select[bytes]) -> list[bytes]:
        with self._ctx.db.reading() as conn:
            return [bytes(ref) for ref in conn.execute(query).scalars()]

    def _tokens(self, purpose: Purpose, refs: list[bytes]) -> list[str]:
        with self._ctx.db.reading() as conn:
            now = self._ctx.db.now(conn)
        return [self._ctx.tokens.issue(purpose, ref, now) for ref in refs]

    def _count(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        with self._ctx.db.reading() as conn:
            return int(conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())

    def _wait(self, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not ready():
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.2)


def _opened(port: int, tokens: list[str]) -> list[Request]:
    """What each one's browser sends when Confirm is pressed on the page it was shown."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    pages = []
    for token in tokens:
        connection.request("GET", f"/confirm/{token}", headers={"Host": HOST})
        answer = connection.getresponse()
        shown = answer.read().decode()
        assert answer.status == 200, answer.status
        cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        form, topic = _TOKEN.search(shown), _TOPIC.search(shown)
        assert form is not None and topic is not None, shown[-3000:]
        body = f"csrf_token={quote(unescape(form[1]))}&topics={topic[1]}&answer=yes"
        pages.append(Request("POST", f"/confirm/{token}", cookie, body))
    connection.close()
    return pages
