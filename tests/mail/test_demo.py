"""The demo mailbox from both sides: mail handed to it over SMTP, and letters read from its Maildir."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outreach.config import Settings
from outreach.domain.errors import NotFoundError, SettingsError
from outreach.hosts import Relay
from outreach.mail import maildir
from outreach.mail.compose import Envelope, Sender, compose
from outreach.mail.content import Filled
from outreach.mail.demo import DemoServer
from outreach.mail.transport import Result
from tests.mail.relays import PATIENT, Diary, free_port, handing, parcel

WORDS = Filled(
    "Hej på dig, åäö: en lång rubrik som måste delas i två", "", "<p>Ärlig <b>post</b></p>", ".\n..\nÄrlig post\n"
)


def letter(to: str) -> bytes:
    return compose(Envelope(Sender("Gården", "news@example.org"), to, "m1@example.org", 1_790_000_000_000_000), WORDS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance=tmp_path, demo_smtp_port=free_port())


@pytest.fixture
def folder(settings: Settings) -> Path:
    assert settings.demo_mailbox is not None
    return settings.demo_mailbox


@pytest.fixture
def server(settings: Settings) -> Iterator[DemoServer]:
    running = DemoServer(settings)
    running.start()
    yield running
    running.stop()


def send(settings: Settings, *addresses: str) -> list[Result]:
    with handing(settings.relay("any"), PATIENT) as transport:
        parcels = [parcel(number, to, letter(to)) for number, to in enumerate(addresses)]
        return [outcome.result for outcome in transport.hand_off(parcels, Diary())]


@pytest.mark.usefixtures("server")
def test_a_letter_is_read_as_it_was_sent(settings: Settings, folder: Path) -> None:
    assert send(settings, "ann@example.net") == [Result.SENT]
    lines, total = maildir.page(folder, 0, 10)
    assert total == 1
    assert (lines[0].to, lines[0].subject, lines[0].sender) == (
        "ann@example.net",
        WORDS.subject,
        "Gården <news@example.org>",
    )
    shown = maildir.read(folder, lines[0].key)
    assert (shown.subject, shown.text, shown.html) == (WORDS.subject, WORDS.text.rstrip(), WORDS.html)
    assert dict(shown.headers)["X-Envelope-From"] == "<news@example.org>"
    assert abs(shown.received / 1_000_000 - time.time()) < 60
    assert shown.source.startswith("X-Envelope-From:")


@pytest.mark.usefixtures("server")
def test_letters_are_listed_newest_first_and_found_by_whole_address_or_subject(
    settings: Settings, folder: Path
) -> None:
    for name in ("ann", "bob", "cyd"):
        send(settings, f"{name}@example.net")
    lines, total = maildir.page(folder, 0, 2)
    assert ([line.to for line in lines], total) == (["cyd@example.net", "bob@example.net"], 3)
    assert [line.to for line in maildir.page(folder, 2, 2)[0]] == ["ann@example.net"]
    assert [line.to for line in maildir.find(folder, " BOB@example.net", 9)] == ["bob@example.net"]
    assert maildir.find(folder, "bob", 9) == []
    assert len(maildir.find(folder, "LÅNG rubrik", 9)) == 3


@pytest.mark.usefixtures("server")
def test_an_address_with_letters_beyond_ascii_arrives(settings: Settings, folder: Path) -> None:
    assert send(settings, "jörg@example.net") == [Result.SENT]
    assert maildir.page(folder, 0, 1)[0][0].to == "jörg@example.net"


@pytest.mark.usefixtures("server")
def test_a_busy_engine_is_not_held_up(settings: Settings, folder: Path) -> None:
    addresses = [f"reader{number}@example.net" for number in range(200)]
    began = time.perf_counter()
    assert set(send(settings, *addresses)) == {Result.SENT}
    assert time.perf_counter() - began < 4
    assert maildir.page(folder, 0, 1)[1] == 200


def test_it_is_gone_after_stop_and_comes_back(settings: Settings) -> None:
    for _ in range(2):
        running = DemoServer(settings)
        running.start()
        assert send(settings, "ann@example.net") == [Result.SENT]
        running.stop()
    assert send(settings, "ann@example.net") == [Result.DEFERRED]


def test_a_port_in_use_is_said_at_once(settings: Settings, server: DemoServer) -> None:
    with pytest.raises(OSError, match="in use"):
        DemoServer(settings).start()


def test_with_a_relay_configured_there_is_none(tmp_path: Path) -> None:
    relays = {"main": Relay(host="relay.example.org")}
    with pytest.raises(SettingsError):
        DemoServer(Settings(instance=tmp_path, relays=relays, public_url="https://mail.example.org"))


@pytest.mark.parametrize("key", ["../../keys.json", "1", "", "0" * 16 + ".../../..", "1790000000000000.00000000"])
def test_only_letters_can_be_read(tmp_path: Path, key: str) -> None:
    maildir.prepare(tmp_path)
    with pytest.raises(NotFoundError):
        maildir.read(tmp_path, key)


def test_an_empty_or_missing_mailbox_is_empty(tmp_path: Path) -> None:
    assert maildir.page(tmp_path / "none", 0, 10) == ([], 0)


@pytest.mark.parametrize(
    "content",
    [b"", b"no header at all", b"Subject: =?nonsense?q?x?=\r\n\r\n",
     b"Content-Type: text/html; charset=klingon\r\n\r\n\xff\xfe"],
)  # fmt: skip
def test_a_letter_of_any_make_can_be_listed_and_read(tmp_path: Path, content: bytes) -> None:
    maildir.prepare(tmp_path)
    key = maildir.keep(tmp_path, "a@example.org", ["b@example.org"], content)
    assert maildir.page(tmp_path, 0, 1)[0][0].key == key
    assert maildir.read(tmp_path, key).to == "b@example.org"
