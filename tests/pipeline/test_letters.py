"""A batch of letters written: each reader their own, one that cannot be written failing alone."""

import email
import email.policy
import itertools
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, event, insert, select, update

from outreach.domain.actors import Role
from outreach.domain.inbound_addresses import Door
from outreach.domain.tokens import Purpose
from outreach.mail.content import prepare
from outreach.mail.transport import Parcel, Result
from outreach.pipeline.letters import Letters, write_letters
from outreach.services import senders
from outreach.services.context import Context
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import campaign, content, message
from outreach.store.schema.consents import confirmation, confirmation_topic
from outreach.store.schema.organisation import sender
from outreach.store.schema.people import contact_key
from tests.factories import World
from tests.services.staffing import actor

BODY = "Dear {{ first_name | default: 'reader' }},\n\nthe garden of {{ town }} is open."
LINK = re.compile(r"/(stop|why)/([A-Za-z0-9_.-]+)")


class Desk:
    """A campaign whose messages are decided, or a message of another origin; and letters by address."""

    def __init__(self, world: World) -> None:
        self.world, self.ctx = world, world.ctx
        self.topic, self.text = world.topic(cap_n=3, window=86_400)
        self.campaign = world.campaign(self.topic)
        self.content = self.freeze(BODY)

    def freeze(self, body: str) -> int:
        values = {"ref": secrets.token_bytes(16), "campaign": self.campaign, "version": next(_VERSIONS)}
        values |= {"subject": "s", "preheader": "", "body": body, "sha256": bytes(32), "frozen": self.world.now}
        values["prepared"] = prepare("Open day for {{ first_name }}", "", body).to_json()
        with self.ctx.db.transaction() as conn:
            return int(conn.execute(insert(content).values(values).returning(content.c.id)).scalar_one())

    def reader(self, address: str, *, text: int | None = None, locale: str = "en", **fields: str) -> Person:
        person = self.world.person(address, locale=locale, **fields)
        self.world.grant(person, self.topic, text or self.text)
        return person

    def message(self, person: Person, origin: str = "campaign", **more: Any) -> int:
        values: dict[str, Any] = {"ref": secrets.token_bytes(16), "origin": origin, "kind": "informational"}
        values |= {"lane": "5-campaign-1-other", "contact": person.id, "mailbox": person.mailbox, "state": "attempted"}
        values |= {"planned": self.world.now, "due": self.world.now}
        if origin == "campaign":
            values |= {"campaign": self.campaign, "topic": self.topic, "content": self.content}
        with self.ctx.db.transaction() as conn:
            made = conn.execute(insert(message).values(values | more).returning(message.c.id)).scalar_one()
        return int(made)

    def ref(self, message_id: int) -> bytes:
        with self.ctx.db.reading() as conn:
            return bytes(conn.execute(select(message.c.ref).where(message.c.id == message_id)).scalar_one())

    def confirmation(self, person: Person) -> int:
        values = {"ref": secrets.token_bytes(16), "contact": person.id, "locale": "en", "network": bytes(32)}
        values |= {"requested": self.world.now, "created": self.world.now, "expires": self.world.now + 1}
        with self.ctx.db.transaction() as conn:
            made = conn.execute(insert(confirmation).values(values).returning(confirmation.c.id)).scalar_one()
            asked = {"confirmation": made, "topic": self.topic, "text": self.text}
            conn.execute(insert(confirmation_topic).values(asked))
        return self.message(person, "confirmation", confirmation=made, kind="service", lane="1-confirmation")


_VERSIONS = itertools.count(1)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def one(letters: Letters) -> Parcel:
    (parcels,) = letters.parcels.values()
    (parcel,) = parcels
    return parcel


def read(parcel: Parcel) -> EmailMessage:
    parsed = email.message_from_bytes(parcel.data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def text_of(parcel: Parcel, kind: str = "plain") -> str:
    body = read(parcel).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def statements(ctx: Context, act: Callable[[], object]) -> int:
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(ctx.db.engine, "before_cursor_execute", note)
    return len(seen)


def test_every_reader_gets_their_own_words_links_and_promise(ctx: Context, desk: Desk) -> None:
    weekly = desk.world.text(desk.topic, version=2, cap_n=2, window=7 * 86_400)
    anna = desk.reader("anna@gmail.com", first_name="Anna", town="Åmål")
    bert = desk.reader("bert@example.org", text=weekly, locale="sv", town="= Berg & Co")
    ids = [desk.message(anna), desk.message(bert)]
    letters = write_letters(ctx, ids, 7.5)
    assert letters.failed == []
    parcels = {parcel.rcpt_to: parcel for parcel in letters.parcels["main"]}
    first, second = parcels["anna@gmail.com"], parcels["bert@example.org"]
    assert [(one.message_id, one.provider, one.decided) for one in (first, second)] == [
        (ids[0], "gmail", 7.5),
        (ids[1], "other", 7.5),
    ]
    assert [ctx.inbound.read(one.mail_from.partition("@")[0]) for one in (first, second)] == [
        (Door.BOUNCE, desk.ref(one)) for one in ids
    ]
    assert "Dear Anna,\n\nthe garden of Åmål is open." in text_of(first)
    assert "Dear reader,\n\nthe garden of = Berg & Co is open." in text_of(second)
    assert "at most 3 mails" in text_of(first)
    assert "högst 2 mejl per 7 dagar" in text_of(second)
    for parcel, person in ((first, anna), (second, bert)):
        ref = desk.ref(parcel.message_id)
        code = "-".join(person.code[start : start + 4] for start in range(0, len(person.code), 4))
        for kind in ("plain", "html"):
            shown = text_of(parcel, kind)
            assert code in shown
            assert "1 Orchard Lane" in shown
            links = dict(LINK.findall(shown))
            assert ctx.tokens.read(Purpose.STOP, links["stop"], 0).ref == ref
            assert ctx.tokens.read(Purpose.WHY, links["why"], 0).ref == ref
        mail = read(parcel)
        found = LINK.search(mail["List-Unsubscribe"])
        assert found is not None
        assert ctx.tokens.read(Purpose.STOP, found[2], 0).ref == ref
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_where_no_mail_comes_in_the_sender_stands_on_the_envelope(ctx: Context, desk: Desk) -> None:
    ids = [desk.message(desk.reader("anna@example.org")), desk.confirmation(desk.world.person("bert@example.org"))]
    elsewhere = replace(ctx, settings=ctx.settings.model_copy(update={"relays": {"main": ctx.settings.relay("main")}}))
    parcels = write_letters(elsewhere, ids, 0.0).parcels["main"]
    assert {one.mail_from for one in parcels} == {"news@northfield.example"}
    for one in parcels:
        assert not {"Reply-To", "CFBL-Address", "CFBL-Feedback-ID"} & set(read(one).keys())
        assert "mailto:" not in str(read(one)["List-Unsubscribe"])


def test_a_message_keeps_its_id_at_every_attempt(ctx: Context, desk: Desk) -> None:
    only = desk.message(desk.reader("anna@example.org"))
    ids = {read(one(write_letters(ctx, [only], 0.0)))["Message-ID"] for _ in range(2)}
    assert ids == {f"<{desk.ref(only).hex()}@northfield.example>"}


def test_two_threads_write_at_once_what_one_would(ctx: Context, desk: Desk) -> None:
    ids = [desk.message(desk.reader(f"r{n}@example.org", first_name=f"Name{n}", town="X")) for n in range(40)]
    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(lambda part: write_letters(ctx, part, 0.0), [ids[n::8] for n in range(8)]))
    parcels = [parcel for letters in written for parcel in letters.parcels["main"]]
    assert sorted(parcel.message_id for parcel in parcels) == ids
    for parcel in parcels:
        name = parcel.rcpt_to.partition("@")[0].replace("r", "Name")
        assert read(parcel)["Subject"] == f"Open day for {name}"
        assert f"Dear {name}," in text_of(parcel)


def test_a_letter_that_cannot_be_written_fails_alone(ctx: Context, desk: Desk) -> None:
    gone, kept, too_long = (desk.reader(f"{name}@example.org") for name in ("gone", "kept", "long"))
    big = desk.world.person("big@example.org", first_name="ö" * 60_000)
    desk.world.grant(big, desk.topic, desk.text)
    with ctx.db.transaction() as conn:
        conn.execute(delete(contact_key).where(contact_key.c.contact == gone.id))
    ids = {person: desk.message(person) for person in (gone, kept, too_long, big)}
    letters = write_letters(ctx, list(ids.values()), 0.0)
    assert sorted(parcel.message_id for parcel in letters.parcels["main"]) == sorted([ids[kept], ids[too_long]])
    why = {outcome.message_id: outcome for outcome in letters.failed}
    assert {outcome.result for outcome in letters.failed} == {Result.FAILED}
    assert "the person was erased" in why[ids[gone]].reply
    assert "larger than 100 kB" in why[ids[big]].reply


def test_campaign_mail_and_our_own_go_in_one_batch(ctx: Context, desk: Desk) -> None:
    anna, bert = desk.reader("anna@example.org"), desk.world.person("bert@gmail.com")
    ids = [desk.message(anna), desk.confirmation(bert)]
    letters = write_letters(ctx, ids, 0.0)
    parcels = {parcel.message_id: parcel for parcel in letters.parcels["main"]}
    assert read(parcels[ids[0]])["List-Id"] is not None
    asked = read(parcels[ids[1]])
    assert asked["Auto-Submitted"] == "auto-generated"
    assert asked["List-Id"] is None
    assert "/confirm/" in text_of(parcels[ids[1]])
    assert parcels[ids[1]].provider == "gmail"
    assert list(letters.evidence) == [ids[1]]


def test_a_test_mail_has_footer_and_links_and_no_promise(ctx: Context, desk: Desk) -> None:
    """Whoever tests a campaign need not have agreed to it."""
    tester = desk.world.person("tester@example.org", name="Tess Tester")
    parcel = one(write_letters(ctx, [desk.message(tester, "test", content=desk.content)], 0.0))
    assert "Dear Tess," in text_of(parcel)
    assert "at most" not in text_of(parcel)
    assert {name for name, _ in LINK.findall(text_of(parcel))} == {"stop", "why"}


def test_words_with_more_than_fields_go_the_same_way(ctx: Context, desk: Desk) -> None:
    written = desk.freeze("Dear {{ first_name | upcase }},\n\n{% if town %}in {{ town }}{% endif %}")
    only = desk.message(desk.reader("anna@example.org", first_name="Anna"), content=written)
    parcel = one(write_letters(ctx, [only], 0.0))
    assert "Dear ANNA," in text_of(parcel)
    assert "at most 3 mails" in text_of(parcel)
    assert LINK.search(read(parcel)["List-Unsubscribe"])


def test_what_a_sender_changes_shows_in_the_next_batch(ctx: Context, desk: Desk) -> None:
    only = desk.message(desk.reader("anna@example.org"))
    assert "1 Orchard Lane" in text_of(one(write_letters(ctx, [only], 0.0)))
    with ctx.db.transaction() as conn:
        conn.execute(update(sender).values(postal_address="2 Mill Road, Southfield"))
    assert "2 Mill Road" in text_of(one(write_letters(ctx, [only], 0.0)))


def test_a_sender_with_two_keys_signs_twice_within_a_minute(
    ctx: Context, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = actor(Role.ADMINISTRATOR)
    only = desk.message(desk.reader("anna@example.org"))
    with ctx.db.reading() as conn:
        brand = conn.execute(select(sender.c.ref)).scalar_one()
    for minute, (kind, algorithms) in enumerate({"rsa": [b"rsa"], "ed25519": [b"rsa", b"ed25519"]}.items()):
        senders.make_signing_key(ctx, admin, brand, kind)
        senders.use_signing_key(ctx, admin, brand, kind)
        clock = SimpleNamespace(monotonic=partial(float, 60 * minute))
        monkeypatch.setattr("outreach.pipeline.letters.time", clock)
        head = one(write_letters(ctx, [only], 0.0)).data.partition(b"\r\n\r\n")[0]
        assert re.findall(rb"a=(\w+)-sha256;", head) == algorithms
    selectors = [key.host.partition(".")[0].encode() for key in senders.see_sender(ctx, admin, brand)[1]]
    assert re.findall(rb"s=(\w+);", head) == selectors


def test_as_many_statements_however_many_letters(ctx: Context, desk: Desk) -> None:
    ids = [desk.message(desk.reader(f"r{n}@example.org")) for n in range(12)]
    few = statements(ctx, lambda: write_letters(ctx, ids[:2], 0.0))
    assert statements(ctx, lambda: write_letters(ctx, ids, 0.0)) == few


def test_another_campaign_in_the_batch_has_its_own_words_and_list(ctx: Context, desk: Desk) -> None:
    anna = desk.reader("anna@example.org")
    topic, text = desk.world.topic(cap_n=5)
    desk.world.grant(anna, topic, text)
    other = desk.world.campaign(topic)
    first = desk.message(anna)
    desk.campaign, desk.topic = other, topic
    second = desk.message(anna, content=desk.freeze("Something else for {{ town }}"))
    parcels = {parcel.message_id: parcel for parcel in write_letters(ctx, [first, second], 0.0).parcels["main"]}
    assert "is open" in text_of(parcels[first])
    assert "Something else" in text_of(parcels[second])
    assert "at most 3 mails" in text_of(parcels[first])
    assert "at most 5 mails" in text_of(parcels[second])
    assert read(parcels[first])["List-Id"] != read(parcels[second])["List-Id"]
    with ctx.db.reading() as conn:
        ref = conn.execute(select(campaign.c.ref).where(campaign.c.id == other)).scalar_one()
    assert read(parcels[second])["Feedback-ID"].startswith(ref.hex())
