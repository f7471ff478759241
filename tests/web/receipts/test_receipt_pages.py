"""Receipts in the browser: shown where one pressed, kept as a file, mailed on demand, and checked by anybody."""

import io
import json
import re

import pytest
from sqlalchemy import func, select

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.transparency.publish import publish
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.receipts import receipt_mail
from tests.factories import World
from tests.services.people import ALICE, asked, count, letter, link, state_of, topic_ref
from tests.web.conftest import Browser

_LINK = re.compile(r'href="(/receipt/[\w.-]+)(?:\?[^"]*)?"')


@pytest.fixture
def receipt(ctx: Context, world: World, client: Browser) -> str:
    """The path of the receipt of Alice's consent, from the page that answered her press."""
    world.topic()
    answer = client.submit(f"/confirm/{asked(ctx)}", {"answer": "yes", "topics": topic_ref(ctx).hex()})
    return found(answer.get_data(as_text=True))


def found(page: str) -> str:
    (path,) = set(_LINK.findall(page))
    return str(path)


def mail_of(ctx: Context, world: World) -> bytes:
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.contact).order_by(message.c.id).limit(1)).one()
        topic_id = conn.execute(select(func.max(1))).scalar_one()
    return letter(ctx, world, row.contact, int(topic_id))


def test_the_answer_to_a_yes_leads_to_its_receipt_and_another_browser_is_not_shown_it(
    ctx: Context, world: World, client: Browser, app: object
) -> None:
    world.topic()
    token = asked(ctx)
    answer = client.submit(f"/confirm/{token}", {"answer": "yes", "topics": topic_ref(ctx).hex()})
    page = client.page(found(answer.get_data(as_text=True)))
    assert "You agreed to “Garden tips”" in page
    assert "at most 2 times" in page
    assert "not in a published checkpoint yet" in page
    assert ALICE not in page and "•" not in page
    assert _LINK.findall(app.test_client().page(f"/confirm/{token}")) == []  # type: ignore[attr-defined]


def test_the_page_of_a_stop_shows_its_receipt_in_the_browser_that_pressed_alone(
    ctx: Context, world: World, client: Browser, app: object, receipt: str
) -> None:
    stop = f"/stop/{link(ctx, Purpose.STOP, mail_of(ctx, world))}"
    client.submit(f"{stop}/press", {"how": "page"})
    assert state_of(ctx) == "withdrawn"
    assert "“Garden tips” was stopped" in client.page(found(client.page(stop)))
    assert _LINK.findall(app.test_client().page(stop)) == []  # type: ignore[attr-defined]


def test_another_mails_page_does_not_show_what_was_pressed_behind_this_one(
    ctx: Context, world: World, client: Browser, receipt: str
) -> None:
    pages = [f"/stop/{link(ctx, Purpose.STOP, mail_of(ctx, world))}" for _ in range(2)]
    client.submit(f"{pages[0]}/press", {"how": "page"})
    assert [len(_LINK.findall(client.page(page))) for page in pages] == [1, 0]


def test_why_leads_to_the_receipt_the_mail_rests_on_and_to_that_of_a_change(
    ctx: Context, world: World, client: Browser, receipt: str
) -> None:
    why = f"/why/{link(ctx, Purpose.WHY, mail_of(ctx, world))}"
    assert found(client.page(why)) == receipt
    client.submit(why, {"how": "lower"})
    paths = set(_LINK.findall(client.page(why)))
    assert len(paths) == 2
    (lowered,) = paths - {receipt}
    page = client.page(lowered)
    assert "You set a lower limit for “Garden tips”" in page
    assert "by your own wish up to 1 mail a week" in page


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Mail me this receipt"), ("sv", "/receipts?lang=sv"), ("nl", "/receipts?lang=nl")]
)
def test_the_page_speaks_the_readers_language(client: Browser, receipt: str, language: str, words: str) -> None:
    page = client.page(f"{receipt}?lang={language}")
    assert f'<html lang="{language}"' in page
    assert words in page


def test_the_file_is_what_the_check_takes_pasted_or_chosen(ctx: Context, client: Browser, receipt: str) -> None:
    answer = client.get(f"{receipt}/file")
    assert answer.mimetype == "application/ld+json"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="receipt-')
    assert answer.headers["Cache-Control"] == "no-store"
    publish(ctx, 1)
    text = answer.get_data(as_text=True)
    pasted = client.submit("/receipts", {"receipt": text})
    chosen = client.submit(
        "/receipts", {"file": (io.BytesIO(text.encode()), "receipt.json")}, content_type="multipart/form-data"
    )
    for page in (pasted.get_data(as_text=True), chosen.get_data(as_text=True)):
        assert ">Genuine<" in page
        assert "Our log holds it as entry" in page
        assert "You agreed to “Garden tips”" in page
    newest = client.get(f"{receipt}/file").get_data(as_text=True)
    assert len(json.loads(newest)["proof"]) == 2
    assert "published checkpoint of" in client.page(receipt)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("at most 2 times", "at most 9 times"), "Altered"),
        (("#z6Mk", "#z6Mx"), "Not one of ours"),
        (("{", "["), "This cannot be read"),
    ],
)
def test_a_receipt_that_is_not_ours_is_refused_and_its_words_are_not_shown(
    client: Browser, receipt: str, change: tuple[str, str], outcome: str
) -> None:
    text = client.get(f"{receipt}/file").get_data(as_text=True).replace(*change)
    page = client.submit("/receipts", {"receipt": text}).get_data(as_text=True)
    assert outcome in page
    assert "You agreed to" not in page


def test_checking_needs_no_receipt_of_ours_and_changes_nothing(ctx: Context, client: Browser, receipt: str) -> None:
    before = count(ctx, audit_entry), count(ctx, message)
    assert "Check a receipt" in client.page("/receipts")
    text = client.get(f"{receipt}/file").get_data(as_text=True)
    for brought in ("", "x", text):
        assert client.submit("/receipts", {"receipt": brought}).status_code == 200
    assert client.submit("/receipts", {"receipt": "x" * 500_000}).status_code in {200, 413}
    assert (count(ctx, audit_entry), count(ctx, message)) == before


def test_what_is_brought_is_shown_as_text(client: Browser) -> None:
    page = client.submit("/receipts", {"receipt": "</textarea><script>alert(1)</script>"}).get_data(as_text=True)
    assert "<script>alert" not in page


def test_a_link_that_is_not_ours_says_so_in_the_readers_language(client: Browser) -> None:
    assert "This link is not complete" in client.page("/receipt/nothing", status=404)
    assert "This link is not complete" in client.page("/receipt/nothing/file", status=404)
    assert client.submit("/receipt/nothing/mail").status_code == 404


def test_the_keys_are_published(client: Browser, receipt: str) -> None:
    published = json.loads(client.page("/receipts/key"))
    proof = json.loads(client.get(f"{receipt}/file").get_data(as_text=True))["proof"][0]
    assert [one["id"] for one in published["verificationMethod"]] == [proof["verificationMethod"]]
    assert published["assertionMethod"] == [proof["verificationMethod"]]


def test_the_button_mails_the_receipt_once_and_says_the_same_each_time(
    ctx: Context, client: Browser, receipt: str
) -> None:
    for _ in range(2):
        answer = client.submit(f"{receipt}/mail")
        assert answer.status_code == 303
        assert "the receipt is on its way" in client.page(receipt)
    assert count(ctx, receipt_mail) == 1
    assert count(ctx, audit_entry, audit_entry.c.kind == "receipt.mailed") == 1


def test_looking_mails_nothing(ctx: Context, client: Browser, receipt: str) -> None:
    client.get(f"{receipt}/mail")
    client.head(receipt)
    assert count(ctx, receipt_mail) == 0
