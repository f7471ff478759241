"""Two people write to each other through us, ten mails in three languages: neither address reaches the other's mailbox.

The listener, the intake, the sending worker and the wire are real; the two mailboxes are Maildirs behind an SMTP sink.
"""

import base64
import binascii
import email
import html
import re
import smtplib
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from pathlib import Path
from urllib.parse import unquote

import pytest

from outreach.engines.listener import Listener
from outreach.mail.relays import Router
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.send import Worker
from outreach.services import connections
from outreach.services.context import Context
from outreach.services.intake.process import process_mails
from outreach.services.relaying.looking_after import look_after_relays
from outreach.services.relaying.showing import correspondence
from tests.acceptance.two_mailboxes import Sink, Writer
from tests.factories import World
from tests.services.connecting import connected, entries

ALICE, BOB = "Alice.Berg+garden@inviters.example", "bob.de.wit@recipients.example"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300
CARD = f"BEGIN:VCARD\r\nFN:Bob\r\nEMAIL:{BOB}\r\nEND:VCARD\r\n".encode()

LIST = (("lista å.txt", "text/plain", b"1;2;3\r\n"),)
TWO = (("a.bin", "application/octet-stream", bytes(5000)), ("b.txt", "text/plain", b"b"))

# What they say, and what they send along.
TALK = (
    ("Hej! Här är listan över frön du frågade om. Kålrot, åkerböna, ängsvädd.", LIST),
    ("Dank je wel! Welke zaai ik het eerst?", ()),
    ("Åkerbönan, redan i mars.\nSe bilden.", ((f"bild från {ALICE}.png", "image/png", PICTURE),)),
    ("Prachtig. Hier is mijn kaartje, voor het geval dat.", (("bob.vcf", "text/vcard", CARD),)),
    ("Shall we go on in English? My Dutch is not what it was.", ()),
    ("Of course. I put the plan of the beds into this file.", (("plan.pdf", "application/pdf", b"%PDF-1.7 beds"),)),
    ("Lovely. I would move the beans away from the onions.", ()),
    ("Then where do the onions go?", TWO),
    ("Bredvid morötterna, så klart!", ()),
    ("Doe ik. Tot in het voorjaar!", (("meeting.ics", "text/calendar", f"ORGANIZER:mailto:{BOB}".encode()),)),
)  # fmt: skip

PHONE = "\nOn 22 Nov 2026, at 10:31, {sender} wrote:\n> To: {me}\n"
DESKTOP = (
    "________________________________\nVan: {sender}\nVerzonden: zondag 22 november 2026 10:31\nAan: {me}\n"
    "Onderwerp: {subject}\n\n"
)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    running = Sink(tmp_path / "mailboxes")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def house(ctx: Context, world: World, sink: Sink) -> Context:
    """An installation whose mail goes to the sink."""
    assert world.ctx is ctx
    return replace(ctx, settings=ctx.settings.model_copy(update={"demo_smtp_port": sink.port}))


def squeezed(octets: bytes) -> str:
    return re.sub(r"[\W_]+", "", octets.decode("utf-8", "replace").casefold())


def unpacked(raw: bytes) -> list[bytes]:
    """The raw octets, every header decoded, every part decoded, and whatever else in it is base64, decoded."""
    mail = email.message_from_bytes(raw, policy=policy.default)
    pieces = [raw, *(f"{name}: {value}".encode() for part in mail.walk() for name, value in part.items())]
    pieces += [bytes(part.get_payload(decode=True)) for part in mail.walk() if not part.is_multipart()]
    pieces += [re.sub(rb"[^\x20-\x7e]", b"", raw)]
    for run in re.findall(rb"[A-Za-z0-9+/]{8,}", raw.replace(b"\n", b"")):
        try:
            pieces.append(base64.b64decode(run[: len(run) // 4 * 4]))
        except binascii.Error:
            continue
    return pieces


def tells_of(raw: bytes, address: str) -> list[bytes]:
    """Where an address stands in a mail: as it is, encoded, or with everything but letters and digits dropped."""
    found = []
    for piece in unpacked(raw):
        text = piece.decode("utf-8", "replace")
        for reading in (text, unquote(text), html.unescape(text)):
            bare = squeezed(reading.encode("utf-8", "replace"))
            spellings = {address, address.replace("+garden", "")}
            if any(one.casefold() in reading.casefold() or squeezed(one.encode()) in bare for one in spellings):
                found.append(piece[:200])
    return found


def test_ten_mails_pass_and_neither_address_does(house: Context, world: World, sink: Sink) -> None:
    alice, bob = world.member(ALICE, "Alice Berg", locale="sv"), world.member(BOB, "Bob de Wit", locale="nl")
    ref = connected(house, alice, bob.person)
    to = [correspondence(house, who.actor, ref).write_to for who in (alice, bob)]
    people = (
        Writer("Alice Berg", ALICE, to[0], f"-- \nAlice Berg\n{ALICE}\nSkickat från min iPhone", PHONE),
        Writer("Bob de Wit", BOB, to[1], f"Groet, Bob\nmailto:{BOB.upper()}", DESKTOP),
    )
    router = Router(house.settings, "garden.example")
    worker = Worker(house, router, "express")
    journal = WorkerJournal(worker.journals, worker.name)
    door = Listener(house, port=0)
    door.start()
    try:
        for number, (text, files) in enumerate(TALK):
            writer, reader = people[number % 2], people[1 - number % 2]
            answered = sink.newest(writer.address) if number else None
            writer.send(writer.write(text, answered, files), door.port)
            assert process_mails(house) == 1
            while worker.round(journal):
                pass
            came = sink.newest(reader.address)
            part = came.get_body(("plain",))
            assert part is not None
            assert text.splitlines()[0] in str(part.get_content()).replace("\n", " ")
            if reader.sent:
                assert came["In-Reply-To"] == reader.sent[-1]["Message-ID"]  # their own programme threads it
    finally:
        door.stop()
        router.close()
    assert look_after_relays(house) == len(TALK)
    for writer, reader in (people, people[::-1]):
        box = sink.maildir(reader.address)
        assert len(box) == len(TALK) // 2
        for key in box.keys():  # noqa: SIM118  a Maildir's values are mails
            raw = box.get_bytes(key)
            assert tells_of(raw, writer.address) == []
            own_copy = re.sub(rb"\nTo: [^\n]*\n", b"\n", raw, count=1)
            threads = re.sub(rb"<[^<>]*>", b"", own_copy)  # their own Message-IDs, which are theirs
            assert tells_of(threads, reader.address) == []
    hers = {one.get_filename() for one in _files(sink, ALICE)}
    his = {one.get_filename() for one in _files(sink, BOB)}
    assert his == {"lista å.txt", "bild från.png"}
    assert hers == {"plan.pdf", "a.bin", "b.txt"}
    (picture,) = [one for one in _files(sink, BOB) if one.get_content_type() == "image/png"]
    assert picture.get_payload(decode=True) == PICTURE
    last = sink.newest(ALICE).get_body(("plain",))
    assert last is not None
    assert "meeting.ics" in str(last.get_content())


def test_the_door_refuses_in_words_and_nothing_bounces(house: Context, world: World, sink: Sink) -> None:
    alice, bob, carol = (world.member(f"{name}@x.example", name) for name in ("alice", "bob", "carol"))
    refs = [connected(house, alice, other.person) for other in (bob, carol)]
    to, also = (correspondence(house, alice.actor, ref).write_to for ref in refs)
    vouched = b"Authentication-Results: in.localhost; dkim=pass header.d=x.example\r\n"
    mail = b"From: alice@x.example\r\nSubject: Hi\r\n\r\nHello\r\n"
    door = Listener(house, port=0)
    door.start()
    try:
        with smtplib.SMTP("127.0.0.1", door.port) as client:
            with pytest.raises(smtplib.SMTPDataError) as unproved:
                client.sendmail("alice@x.example", [to], mail)
            apart = client.sendmail("alice@x.example", [to, also], vouched + mail)
            connections.end(house, bob.actor, refs[0])
            with pytest.raises(smtplib.SMTPRecipientsRefused) as ended:
                client.sendmail("alice@x.example", [to], vouched + mail)
    finally:
        door.stop()
    assert (unproved.value.smtp_code, b"SPF or DKIM" in unproved.value.smtp_error) == (550, True)
    assert {code for code, _ in apart.values()} == {452}
    assert [(code, b"has ended" in words) for code, words in ended.value.recipients.values()] == [(550, True)]
    assert process_mails(house) == 1
    assert [entry.kind for entry in entries(house, "relay.taken", "relay.dropped")] == ["relay.dropped"]
    assert list(sink.maildir("alice@x.example")) == []


def _files(sink: Sink, address: str) -> list[email.message.EmailMessage]:
    box = sink.maildir(address)
    mails = [email.message_from_bytes(box.get_bytes(key), policy=policy.default) for key in box.keys()]  # noqa: SIM118
    return [part for mail in mails for part in mail.iter_attachments()]
