"""The way back, end to end: our mail leaves by a real Postfix, a real peer answers, and what comes back is acted on."""

import smtplib
from collections.abc import Iterator, Sequence
from pathlib import Path

import dkim
import pytest
from sqlalchemy import select

from outreach.config import Settings, load_keyring
from outreach.domain.inbound_addresses import Door
from outreach.engines.listener import Listener
from outreach.hosts import Relay
from outreach.mail.dkim import dns_record, load_key, make_key
from outreach.mail.relays import Router
from outreach.pipeline.send import Worker
from outreach.services.context import Context, context_of
from outreach.services.intake.process import process_mails
from outreach.store.database import Database
from outreach.store.schema.campaigns import message
from outreach.store.schema.inbound import inbound_report
from outreach.store.schema.people import contact
from tests.acceptance.postfix import READERS, Neighbours, postfixes
from tests.acceptance.postman import wait_for
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.intake.sending import Sent, complaint_of

DOMAIN = "in.northfield.example"
WHO = ("unknown", "late", "full", "refused", "good")
KEY = make_key("rsa")


class Names:
    """A DNS that knows the key of the readers' provider."""

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        return [dns_record(load_key(KEY))] if (name, kind) == (f"s1._domainkey.{READERS}", "TXT") else []


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    with postfixes(DOMAIN) as running:
        yield running


@pytest.fixture
def ctx(database_url: str, tmp_path: Path, neighbours: Neighbours) -> Iterator[Context]:
    """An installation whose relay is Postfix, and to whose door Postfix brings mail by LMTP."""
    settings = Settings(
        instance=tmp_path,
        database_url=database_url,
        clock_file=tmp_path / "clock",
        public_url="https://mail.northfield.example",
        relays={"main": Relay(host="127.0.0.1", port=neighbours.relay, security="none", dsn=True)},
        inbound_domain=DOMAIN,
        inbound_protocol="lmtp",
        inbound_port=neighbours.door,
    )
    db = Database(settings.database, clock_file=settings.clock_file)
    yield context_of(settings, load_keyring(settings), db)
    db.dispose()


@pytest.fixture
def door(ctx: Context) -> Iterator[None]:
    listener = Listener(ctx)
    listener.start()
    yield
    listener.stop()


def found(ctx: Context, names: dict[int, str]) -> dict[str, set[tuple[str, str]]]:
    """(kind, what was done) of the reports, by reader, after acting on what has come."""
    process_mails(ctx, Names())
    told: dict[str, set[tuple[str, str]]] = {}
    with ctx.db.reading() as conn:
        for row in conn.execute(select(inbound_report)):
            told.setdefault(names[row.contact], set()).add((row.kind, row.did))
    return told


def test_bounces_delays_refusals_and_a_complaint_come_back_and_change_what_we_do(
    world: World, neighbours: Neighbours, door: None
) -> None:
    ctx, sent, line = world.ctx, Sent(world), Line(world)
    people = {local: sent.reader(address=f"{local}@{READERS}") for local in WHO}
    names = {person.id: local for local, person in people.items()}
    campaign = line.campaign(sent.topic, author=world.staff())
    router = Router(ctx.settings, "mail.northfield.example")
    line.worker = Worker(ctx, router, "bulk")
    try:
        line.plan()
        line.rounds()
    finally:
        router.close()
    assert set(line.states(campaign).values()) == {("sent", None)}
    wanted = {
        "unknown": {("hard-bounce", "barred")},
        "late": {("hard-bounce", "barred")},
        "full": {("delay", "noted"), ("soft-bounce", "noted")},
        "refused": {("blocked", "noted")},
    }
    wait_for("four readers' reports", lambda: found(ctx, names) == wanted, seconds=60)
    with ctx.db.reading() as conn:
        whose = select(message.c.ref).where(message.c.contact == people["good"].id, message.c.campaign == campaign)
        ref = bytes(conn.execute(whose).scalar_one())
        words = list(conn.execute(select(inbound_report.c.words)).scalars())
        assert not any(f"@{READERS}" in said for said in words)
        assert conn.execute(select(contact.c.rest_until).where(contact.c.rest_until.is_not(None))).all() == []
    for octets in (complaint_of(ref), signed(complaint_of(ref))):
        with smtplib.SMTP("127.0.0.1", neighbours.relay) as provider:
            provider.sendmail(f"fbl@{READERS}", [f"{sent.address(ref, Door.REPORT)}@{DOMAIN}"], octets)
    complaints = {("unproved-complaint", "unproved"), ("complaint", "withdrew")}
    wait_for("the complaint", lambda: found(ctx, names).get("good") == complaints, seconds=60)
    assert sent.states(people["good"]) == ["withdrawn"]
    assert sorted(sent.bars()) == ["bounce", "bounce", "complaint"]


def signed(octets: bytes) -> bytes:
    """As the readers' provider signs it."""
    octets = octets.replace(b"fbl@example.org", f"fbl@{READERS}".encode(), 1)
    return bytes(dkim.sign(octets, b"s1", READERS.encode(), KEY)) + octets
