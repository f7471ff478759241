"""The door for mail that comes in, by a real SMTP conversation: who is let in, and that what was promised is kept."""

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from outreach.domain.errors import SettingsError
from outreach.domain.inbound_addresses import Door
from outreach.engines import listener as engine
from outreach.engines.listener import Listener, listening, run_listener
from outreach.services.context import Context
from outreach.store.schema.inbound import inbound_mail
from tests.factories import World
from tests.services.intake.sending import Sent, letter, report_of

DOMAIN = "in.localhost"


@contextmanager
def open_door(ctx: Context, **settings: object) -> Iterator[int]:
    listener = Listener(replace(ctx, settings=ctx.settings.model_copy(update=settings)), port=0)
    listener.start()
    try:
        yield listener.port
    finally:
        listener.stop()


@pytest.fixture
def sent(world: World) -> Sent:
    return Sent(world)


@pytest.fixture
def door(sent: Sent) -> Iterator[smtplib.SMTP]:
    with open_door(sent.ctx) as port, smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        yield client


def kept(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(inbound_mail)).scalar_one())


def test_what_is_answered_with_250_is_on_disk(sent: Sent, door: smtplib.SMTP) -> None:
    ref = sent.message(sent.reader())
    refused = door.sendmail("", [f"{sent.address(ref)}@{DOMAIN}"], report_of("5.1.1"))
    assert (refused, kept(sent.ctx)) == ({}, 1)


def test_each_recipient_is_decided_apart_and_kept_apart(sent: Sent, door: smtplib.SMTP) -> None:
    one, other = (sent.address(sent.message(sent.reader()), Door.REPLY) for _ in range(2))
    wrong = [f"webmaster@{DOMAIN}", f"{one[:-1]}x@{DOMAIN}", f"{one}@elsewhere.example"]
    refused = door.sendmail("bob@example.org", [f"{one}@{DOMAIN}", *wrong, f"{other}@IN.localhost"], letter("Re", "x"))
    assert {code for code, _ in refused.values()} == {550}
    assert all(text.startswith(b"5.1.1 ") for _, text in refused.values())
    assert (set(refused), kept(sent.ctx)) == (set(wrong), 2)


def test_the_offices_of_a_domain_are_taken_and_only_their_mail_is_logged(
    sent: Sent, door: smtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_UNKNOWN", 0)
    monkeypatch.setattr(engine, "_is_ours", lambda _host: False)
    with capture_logs() as logs:
        for address in ("postmaster", "Postmaster", f"POSTMASTER@{DOMAIN}", f"abuse@{DOMAIN}"):
            assert door.docmd("MAIL FROM:<bob@example.org>")[0] == 250
            assert door.docmd(f"RCPT TO:<{address}>")[0] == 250
            assert door.data(letter("Your mail", "It is spam"))[0] == 250
    told = [one for one in logs if one["event"] == "intake.office"]
    assert [one["address"] for one in told] == ["postmaster"] * 3 + ["abuse"]
    assert "spam" not in str(logs)
    assert kept(sent.ctx) == 0
    door.docmd("MAIL FROM:<bob@example.org>")
    assert door.docmd("RCPT TO:<postmaster@elsewhere.example>")[0] == 421


def test_a_mail_that_comes_twice_is_kept_once(sent: Sent, door: smtplib.SMTP) -> None:
    address = f"{sent.address(sent.message(sent.reader()))}@{DOMAIN}"
    octets = report_of("5.1.1")
    for _ in range(2):
        assert door.sendmail("", [address], octets) == {}
    assert kept(sent.ctx) == 1


def test_a_mail_that_is_too_large_is_refused_before_and_after_it_came(sent: Sent) -> None:
    address = f"{sent.address(sent.message(sent.reader()), Door.REPLY)}@{DOMAIN}"
    octets = letter("Re", "wort " * 210_000)
    with open_door(sent.ctx, inbound_most_mb=1) as port, smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        assert client.mail("bob@example.org", [f"SIZE={len(octets)}"])[0] == 552
        client.mail("bob@example.org")
        client.rcpt(address)
        assert client.data(octets)[0] == 552
        assert client.noop()[0] == 250
    assert kept(sent.ctx) == 0


def test_while_the_store_is_away_mail_is_asked_to_come_again(
    sent: Sent, door: smtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{sent.address(sent.message(sent.reader()))}@{DOMAIN}"

    def away(*_: object) -> None:
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as patched:
        patched.setattr(engine, "may_accept", away)
        door.mail("")
        assert door.rcpt(address)[0] == 451
    door.rset()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "take_in", away)
        door.mail("")
        assert door.rcpt(address)[0] == 250
        assert door.data(report_of("5.1.1"))[0] == 451
    assert kept(sent.ctx) == 0
    assert door.sendmail("", [address], report_of("5.1.1")) == {}


def test_a_mail_that_goes_in_circles_is_refused(sent: Sent, door: smtplib.SMTP) -> None:
    address = f"{sent.address(sent.message(sent.reader()))}@{DOMAIN}"
    hops = b"Received: from a by b\r\n" * (engine.MOST_HOPS + 1)
    with pytest.raises(smtplib.SMTPDataError) as caught:
        door.sendmail("", [address], hops + report_of("5.1.1"))
    assert (caught.value.smtp_code, kept(sent.ctx)) == (554, 0)


def test_a_stranger_who_tries_addresses_is_hung_up_on(door: smtplib.SMTP, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_ours", lambda _host: False)
    door.mail("bob@example.org")
    codes = [door.rcpt(f"bounce+{number:056x}@{DOMAIN}")[0] for number in range(engine.MOST_UNKNOWN + 1)]
    assert codes == [550] * engine.MOST_UNKNOWN + [421]


def test_more_recipients_than_one_mail_may_have_are_to_come_apart(
    sent: Sent, door: smtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_RECIPIENTS", 1)
    addresses = [f"{sent.address(sent.message(sent.reader()))}@{DOMAIN}" for _ in range(2)]
    door.mail("")
    assert [door.rcpt(address)[0] for address in addresses] == [250, 452]


def test_strangers_have_their_share_of_connections_and_mails(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_ours", lambda _host: False)
    monkeypatch.setattr(engine, "MOST_CONNECTIONS_A_PEER", 1)
    monkeypatch.setattr(engine, "MAILS_A_MINUTE", 2)
    with open_door(sent.ctx) as port, smtplib.SMTP("127.0.0.1", port) as first:
        first.ehlo()
        with pytest.raises(smtplib.SMTPConnectError) as caught:
            smtplib.SMTP("127.0.0.1", port)
        assert caught.value.smtp_code == 421
        codes = []
        for _ in range(3):
            codes.append(first.mail("bob@example.org")[0])
            first.rset()
        assert codes == [250, 250, 451]


def test_by_lmtp_each_recipient_has_an_answer_of_its_own(sent: Sent) -> None:
    addresses = [f"{sent.address(sent.message(sent.reader()))}@{DOMAIN}" for _ in range(2)]
    lines = ["LHLO mx.example.net", "MAIL FROM:<>", *(f"RCPT TO:<{one}>" for one in addresses), "DATA"]
    with (
        open_door(sent.ctx, inbound_protocol="lmtp") as port,
        socket.create_connection(("127.0.0.1", port), 10) as client,
    ):
        file = client.makefile("rwb")

        def answer() -> bytes:
            line = file.readline()
            while line[3:4] == b"-":
                line = file.readline()
            return line

        assert answer().startswith(b"220")
        for line in lines:
            file.write(line.encode() + b"\r\n")
            file.flush()
            assert answer()[:1] in b"23"
        file.write(report_of("5.1.1") + b".\r\n")
        file.flush()
        assert [answer()[:3] for _ in addresses] == [b"250", b"250"]
    assert kept(sent.ctx) == 2


def test_a_listener_of_its_own_says_why_it_cannot_begin(sent: Sent) -> None:
    ctx, stopping = sent.ctx, threading.Event()
    relays = {"main": ctx.settings.relay("main")}
    with pytest.raises(SettingsError, match="inbound_domain"):
        run_listener(replace(ctx, settings=ctx.settings.model_copy(update={"relays": relays})), stopping)
    with open_door(ctx) as port:
        taken = replace(ctx, settings=ctx.settings.model_copy(update={"inbound_port": port}))
        with pytest.raises(SettingsError, match="inbound_port"):
            run_listener(taken, stopping)
        with listening(taken), smtplib.SMTP("127.0.0.1", port) as client:  # beside another that listens: that one does
            assert client.noop()[0] == 250
