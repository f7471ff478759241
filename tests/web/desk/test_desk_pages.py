"""The desk and imports in the browser: any staff, one answer, and nothing that grants."""

import io
from collections.abc import Callable

from outreach.services.context import Context
from outreach.services.sign_up import process_requests
from outreach.store.schema.consents import consent
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.services.people import ALICE, count, state_of
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]


def test_a_stop_reads_the_same_for_known_and_unknown(ctx: Context, world: World, signed_in: SignIn) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(ALICE), topic_id, text_id)
    bob = signed_in("marketer")
    pages = []
    for who in (ALICE, "nobody@example.org"):
        assert bob.submit("/desk/stop", {"who": who, "topic": "", "reason": "rang us"}).status_code == 303
        pages.append(bob.page("/desk"))
    assert "The stop is recorded." in pages[0]
    assert pages[0] == pages[1] or len(pages[0]) == len(pages[1])
    assert state_of(ctx) == "withdrawn"


def test_faults_are_named_at_their_field(world: World, signed_in: SignIn) -> None:
    world.topic()
    bob = signed_in("marketer")
    answer = bob.submit("/desk/stop", {"who": "nonsense", "topic": "", "reason": "rang us"})
    assert answer.status_code == 422
    assert "Type the whole address" in answer.get_data(as_text=True)


def test_deceased_bars_for_good(ctx: Context, signed_in: SignIn) -> None:
    bob = signed_in("administrator")
    bob.submit("/desk/deceased", {"who": ALICE, "reason": "her son wrote"})
    assert count(ctx, suppression, suppression.c.kind == "deceased") == 1


def test_a_sign_up_from_paper_starts_a_double_opt_in(ctx: Context, world: World, signed_in: SignIn) -> None:
    world.topic()
    bob = signed_in("officer")
    assert "checked" not in bob.page("/desk/opt-in")
    form = {"address": ALICE, "topics": ["topic-1"], "locale": "sv", "source": "paper", "note": "fair"}
    assert bob.submit("/desk/opt-in", form).status_code == 303
    process_requests(ctx)
    assert state_of(ctx) == "pending"


def test_visitors_are_sent_to_sign_in_and_marketers_do_not_import(
    world: World, client: Browser, signed_in: SignIn
) -> None:
    for path in ("/desk", "/desk/stop", "/audience/import", "/embed/topic-1"):
        assert client.get(path).status_code == 303
    assert signed_in("marketer").get("/audience/import").status_code == 403


def test_an_import_is_rehearsed_then_applied(ctx: Context, world: World, signed_in: SignIn) -> None:
    world.topic()
    officer = signed_in("officer")
    rows = f"address,topic,source,time,text\n{ALICE},topic-1,fair,2025-03-03,Yes\nb@example.org,topic-1,,,\n".encode()

    def send(act: str, **more: object) -> str:
        data = {"rows": (io.BytesIO(rows), "people.csv"), "act": act, **more}
        answer = officer.submit("/audience/import", data, content_type="multipart/form-data")
        return str(answer.get_data(as_text=True))

    assert "First the people who must not be written to" in send("rehearse")
    page = send("rehearse", no_suppressions="y")
    assert "What would happen" in page
    assert "source, time or text of the consent is missing" in page
    assert ALICE not in page
    assert count(ctx, consent) == 0
    assert '<h2 id="outcome">Imported</h2>' in send("import", no_suppressions="y")
    assert state_of(ctx) == "granted"


def test_the_snippet_is_shown_as_text_and_needs_nothing_from_here(world: World, signed_in: SignIn) -> None:
    world.topic()
    page = signed_in("marketer").page("/embed/topic-1")
    assert "&lt;form method=&#34;post&#34; action=&#34;http://127.0.0.1:8460/sign-up?lang=en&#34;" in page
    assert "&lt;script" not in page
