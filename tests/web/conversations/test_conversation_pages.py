"""The pages of conversations: who may do what, what is never live, and the page everybody may read."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import update

from outreach.domain.inbound_addresses import Door
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import topic
from outreach.store.schema.conversations import conversation, conversation_file, public_answer
from tests.factories import DAY, World
from tests.services.conversations.writing import ALICE, a_file, mailed, replies, rows, said, writes
from tests.services.intake.sending import Sent, letter
from tests.web.conftest import Browser

HOSTILE = "<b>bold</b> https://evil.example/x write to bob@example.net <script>alert(1)</script>"


@pytest.fixture
def robin(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("marketer")


@pytest.fixture
def path(ctx: Context, world: World) -> str:
    """A reply with a file, by Alice; its page."""
    garden, _ = world.topic()
    alice = world.person(ALICE, name="Alice")
    sold = world.campaign(garden, kind="promotional")
    reply = said(HOSTILE, subject=HOSTILE, attachments=(a_file("näh <x>.html", b"<script>x</script>"),))
    return f"/conversations/{replies(ctx, alice, mailed(world, alice, garden, sold), reply).hex()}"


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


def test_from_the_start_page_through_the_inbox_to_an_answer_and_its_end(robin: Browser, path: str) -> None:
    assert "1 conversation</a> without an answer, the oldest waiting less than an hour" in robin.page("/home")
    listed = robin.page("/conversations")
    assert f'action="{path}/open"' in listed
    assert "waiting less than an hour" in listed
    assert "Alice" not in listed
    assert "Open and read" in robin.page(path)
    assert robin.submit(f"{path}/open").location == path
    page = robin.page(path)
    assert "Alice" in page
    assert "a•••@e•••.org" in page
    answer = {"words": "Thank you; we look into it.", "seen": seen(page)}
    assert robin.submit(f"{path}/answer", answer).location == path
    late = robin.submit(f"{path}/answer", {**answer, "words": "Once more, typed at length"})
    assert late.status_code == 422
    assert "You answered meanwhile" in late.text
    assert "Once more, typed at length" in late.text
    assert robin.submit(f"{path}/close").location == path
    assert "None here" in robin.page("/conversations")
    assert f'action="{path}/open"' in robin.page("/conversations?which=closed")


def test_a_reply_in_their_name_that_nobody_vouches_for_says_so(world: World, robin: Browser) -> None:
    sent = Sent(world)
    ref = sent.message(sent.reader(address="bob@example.org"))
    sent.arrive(sent.address(ref, Door.REPLY), letter("Re: roses", "Please send my invoice again"))
    (one,) = rows(world.ctx, conversation.c.ref)
    robin.submit(f"/conversations/{one.ref.hex()}/open")
    page = robin.page(f"/conversations/{one.ref.hex()}")
    assert "Please send my invoice again" in page
    assert "nobody vouches that it is theirs" in page
    assert "another address than the one we hold" not in page


def test_what_people_write_is_text_and_their_files_are_octets(ctx: Context, robin: Browser, path: str) -> None:
    robin.submit(f"{path}/open")
    page = robin.page(path)
    assert "&lt;b&gt;bold" in page
    assert "https://evil.example/x" in page
    assert 'href="https://evil' not in page
    assert "<script>alert" not in page
    assert "bob@example.net" not in page
    (one,) = rows(ctx, conversation_file.c.ref)
    answer = robin.get(f"{path}/files/{one.ref.hex()}")
    assert answer.data == b"<script>x</script>"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_reply_without_words_says_whether_anything_came(ctx: Context, world: World, robin: Browser) -> None:
    garden, _ = world.topic()
    shown = {
        "An empty mail.": said(""),
        "No words, only what came with it.": said("", attachments=(a_file("list.pdf", b"%PDF"),)),
    }
    for words, reply in shown.items():
        alice = world.person()
        path = f"/conversations/{replies(ctx, alice, mailed(world, alice, garden), reply).hex()}"
        robin.submit(f"{path}/open")
        page = robin.page(path)
        assert [one for one in shown if one in page] == [words]


def test_a_file_is_not_read_before_the_conversation_is_opened(ctx: Context, robin: Browser, path: str) -> None:
    (one,) = rows(ctx, conversation_file.c.ref)
    answer = robin.get(f"{path}/files/{one.ref.hex()}")
    assert (answer.status_code, answer.location) == (303, path)


def test_sorting_by_forms_and_narrowing_by_links(robin: Browser, path: str) -> None:
    for act, typed in {
        "take": {},
        "assign": {"to": ""},
        "tags": {"tags": "Frequency, too often"},
        "mark": {"mark": "critical"},
        "note": {"note": "rang in May"},
    }.items():
        assert robin.submit(f"{path}/{act}", typed).location == path, act
    for query in ("tag=frequency", "mark=critical", "which=open", "which=unassigned"):
        assert f'action="{path}/open"' in robin.page(f"/conversations?{query}"), query
    for query in ("tag=delivery", "mark=praise", "which=mine", f"topic={'0' * 32}"):
        assert f'action="{path}/open"' not in robin.page(f"/conversations?{query}"), query
    for act, typed in {
        "assign": {"to": "zz"},
        "tags": {"tags": "bob@example.org"},
        "mark": {"mark": "x"},
        "note": {"note": ""},
        "answer": {"words": " "},
        "close": {"reason": "no"},
    }.items():
        assert robin.submit(f"{path}/{act}", typed).status_code == 422, act
    robin.page("/conversations?which=everything", 404)
    robin.page(f"/conversations/{'0' * 32}", 404)


def test_officers_read_by_the_same_press_and_do_nothing_else(signed_in: Callable[..., Browser], path: str) -> None:
    olga = signed_in("officer")
    assert olga.submit(f"{path}/open").location == path
    page = olga.page(path)
    assert "bold" in page
    assert "Send the answer" not in page
    assert "Take it yourself" not in page
    for act in ("answer", "note", "assign", "take", "tags", "mark", "close", "reopen"):
        assert olga.submit(f"{path}/{act}").status_code == 403, act
    olga.page("/conversations/answers", 403)


def test_a_campaign_page_tells_what_is_owed_and_leads_to_it(ctx: Context, world: World, robin: Browser) -> None:
    world.policy(Name.REPLIES, {"most": 0, "days": 1, "blocks": True})
    garden, text = world.topic()
    sold = world.campaign(garden, author=robin.staff_id, kind="promotional", state="sent", started=world.now)
    draft = world.campaign(garden, author=robin.staff_id, kind="promotional", state="draft", due=None)
    alice = world.person(ALICE)
    world.grant(alice, garden, text)
    replies(ctx, alice, mailed(world, alice, garden, sold), "Too dear")
    with ctx.db.transaction() as conn:
        conn.execute(update(conversation).values(waiting=world.now - 2 * DAY))
    (ours,), (next_one,) = rows(ctx, campaign.c.ref, id=sold), rows(ctx, campaign.c.ref, id=draft)
    for page in ("check", "schedule"):
        shown = robin.page(f"/campaigns/{next_one.ref.hex()}/{page}")
        assert "1 reply to “Pruning roses” has waited" in shown
        assert f"/conversations?campaign={ours.ref.hex()}" in shown
    assert "Only replies to one campaign" in robin.page(f"/conversations?campaign={ours.ref.hex()}")
    now = {"start": "now", "local": "", "zone": "UTC", "occurrence": "", "later_until": "", "priority": "5"}
    refused = robin.submit(f"/campaigns/{next_one.ref.hex()}/schedule", now)
    assert refused.status_code == 422
    assert "Your draft was kept" in refused.text


def test_a_public_answer_from_draft_to_everybodys_page(
    ctx: Context, world: World, client: Browser, robin: Browser
) -> None:
    garden, _ = world.topic()
    (about,) = rows(ctx, topic.c.ref, id=garden)
    public = f"/answers/{about.ref.hex()}"
    for _ in range(6):
        writes(ctx, world.person(), "Too many", about.ref)
    words = {"locale": "en", "title": "Fewer <mails>", "said": "“Stop”, said one.\n\nMany did.", "done": "We did."}
    typed = {"topic": about.ref.hex(), **words, "since": "2020-01-01"}
    assert robin.submit("/conversations/answers/new", {**typed, "said": "bob@example.org"}).status_code == 422
    made = robin.submit("/conversations/answers/new", typed).location
    assert "quotation marks" in robin.page(made)
    assert robin.submit(f"{made}/publish").status_code == 422
    assert "Nothing is published here at present" in client.page(public)
    assert robin.submit(f"{made}/edit", {**typed, "said": "Many wanted fewer."}).location == made
    assert 'value="2020-01-01"' in robin.page(f"{made}/edit")
    assert robin.submit(f"{made}/publish", {"was_read": "y"}).location == made
    answer = client.get(public)
    page = answer.get_data(as_text=True)
    assert "Fewer &lt;mails&gt;" in page
    assert "Many wanted fewer." in page
    assert "<dd>6</dd>" in page
    assert "fewer than 5" in page
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Vary"] == "Accept-Language"
    assert "Set-Cookie" not in answer.headers
    assert len(answer.data) < 20_000
    robin.submit(f"{made}/withdraw", {"reason": "numbers of another topic"})
    assert "Fewer" not in client.page(public)
    assert "taken back" in robin.page("/conversations/answers")
    client.page(f"/answers/{'0' * 32}", 404)
    assert len(rows(ctx, public_answer.c.id)) == 1
