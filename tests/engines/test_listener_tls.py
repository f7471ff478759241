"""STARTTLS at the door: offered, never required; nothing said in clear counts after it; a renewal needs no restart."""

import os
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import func, select
from structlog.testing import capture_logs

from outreach.config import load_settings
from outreach.domain.errors import SettingsError
from outreach.engines import listener as engine
from outreach.engines.certificate import Certificate
from outreach.engines.listener import Listener
from outreach.store.schema.inbound import inbound_mail
from tests.factories import World
from tests.foundations.installation import wait_for
from tests.mail.relays import certificate
from tests.services.intake.sending import Sent, report_of

DOMAIN = "in.localhost"


@dataclass
class Door:
    """A listener with a certificate, its `folder`, and a message a report may come back about."""

    sent: Sent
    folder: Path
    listener: Listener

    @property
    def client_side(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "cert.pem"))

    @contextmanager
    def talk(self) -> Iterator[smtplib.SMTP]:
        with smtplib.SMTP("127.0.0.1", self.listener.port, timeout=10) as client:
            client.ehlo()
            yield client

    @contextmanager
    def raw(self) -> Iterator[tuple[socket.socket, BinaryIO]]:
        """A connection that was greeted and has said its name."""
        with socket.create_connection(("127.0.0.1", self.listener.port), 10) as one, one.makefile("rb") as lines:
            assert lines.readline().startswith(b"220 ")
            say(one, lines, b"EHLO mx.example.net\r\n")
            yield one, lines

    def report(self, client: smtplib.SMTP) -> None:
        """Bring a report about a message in."""
        address = f"{self.sent.address(self.sent.message(self.sent.reader()))}@{DOMAIN}"
        self.sent.unlimited()
        assert client.sendmail("", [address], report_of("5.1.1")) == {}

    def kept(self) -> int:
        with self.sent.ctx.db.reading() as conn:
            return int(conn.execute(select(func.count()).select_from(inbound_mail)).scalar_one())


@contextmanager
def open_door(world: World, folder: Path, protocol: str = "smtp") -> Iterator[Door]:
    certificate(folder)
    files = {"inbound_certificate_file": str(folder / "cert.pem"), "inbound_key_file": str(folder / "key.pem")}
    settings = world.ctx.settings.model_copy(update=files | {"inbound_protocol": protocol})
    listener = Listener(replace(world.ctx, settings=settings), port=0)
    listener.start()
    try:
        yield Door(Sent(world), folder, listener)
    finally:
        listener.stop()


@pytest.fixture
def door(world: World, tmp_path: Path) -> Iterator[Door]:
    with open_door(world, tmp_path) as opened:
        yield opened


def say(one: socket.socket, lines: BinaryIO, words: bytes) -> list[bytes]:
    """The lines of the answer."""
    one.sendall(words)
    answer = [lines.readline()]
    while answer[-1][3:4] == b"-":
        answer.append(lines.readline())
    return answer


def test_mail_comes_in_under_tls_and_in_clear(door: Door) -> None:
    with capture_logs() as logs:
        with door.talk() as client:
            assert client.has_extn("starttls")
            door.report(client)
            assert client.starttls(context=door.client_side)[0] == 220
            assert isinstance(client.sock, ssl.SSLSocket)
            door.report(client)
        with smtplib.SMTP("127.0.0.1", door.listener.port) as client:
            client.helo()
            door.report(client)
    assert [log["protocol"] for log in logs if log["event"] == "listener.mail"] == ["ESMTP", "ESMTPS", "SMTP"]
    assert door.kept() == 3


def test_without_a_certificate_none_is_offered(world: World) -> None:
    listener = Listener(world.ctx, port=0)
    listener.start()
    try:
        with smtplib.SMTP("127.0.0.1", listener.port) as client:
            client.ehlo()
            assert (client.has_extn("starttls"), client.docmd("STARTTLS")[0]) == (False, 454)
    finally:
        listener.stop()


def test_what_was_said_before_is_forgotten(door: Door) -> None:
    with door.talk() as client:
        assert client.mail("bob@example.org")[0] == 250
        client.starttls(context=door.client_side)
        assert client.docmd("MAIL", "FROM:<bob@example.org>")[0] == 503  # without a name
        client.ehlo()
        assert client.rcpt(f"x@{DOMAIN}")[0] == 503  # without a sender


def test_under_tls_it_does_not_begin_again_and_nobody_signs_in(door: Door) -> None:
    with door.talk() as client:
        client.starttls(context=door.client_side)
        client.ehlo()
        assert (client.has_extn("starttls"), client.has_extn("auth")) == (False, False)
        assert (client.docmd("STARTTLS")[0], client.docmd("AUTH", "PLAIN AGEAYg==")[0]) == (503, 502)
        door.report(client)


@pytest.mark.parametrize("slipped_in", [b"MAIL FROM:<x@y.example>\r\n", b"EHLO evil.example\r\nMAIL FROM:<x@y>\r\nRSE"])
def test_commands_slipped_in_before_tls_are_not_taken(door: Door, slipped_in: bytes) -> None:
    """CVE-2011-0411: what came in clear behind STARTTLS must not be read as if it had come under TLS."""
    with door.raw() as (one, lines):
        assert say(one, lines, b"STARTTLS\r\n" + slipped_in)[0].startswith(b"220 ")
        with door.client_side.wrap_socket(one, server_hostname="127.0.0.1") as safe, safe.makefile("rb") as answers:
            assert say(safe, answers, b"EHLO mx.example.net\r\n")[-1] == b"250 HELP\r\n"
            assert say(safe, answers, b"RCPT TO:<x@in.localhost>\r\n")[0].startswith(b"503 ")
            assert say(safe, answers, b"NOOP\r\n") == [b"250 OK\r\n"]


def test_commands_in_clear_after_starttls_end_the_connection(door: Door) -> None:
    with door.raw() as (one, lines):
        assert say(one, lines, b"STARTTLS\r\n")[0].startswith(b"220 ")
        one.sendall(b"MAIL FROM:<x@y.example>\r\n")
        assert b"250" not in lines.read()
    wait_for("the connection to be given up", lambda: not door.listener._open)


def test_who_leaves_during_the_handshake_holds_no_place(door: Door) -> None:
    """Sixty of them would keep everybody else out."""
    with door.raw() as (one, lines):
        say(one, lines, b"STARTTLS\r\n")
    wait_for("the connection to be given up", lambda: not door.listener._open)


def test_it_takes_one_place_under_tls_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_ours", lambda _host: False)
    monkeypatch.setattr(engine, "MOST_CONNECTIONS_A_PEER", 1)
    with door.talk() as client:
        client.starttls(context=door.client_side)
        assert (client.ehlo()[0], len(door.listener._open)) == (250, 1)


def test_stopping_ends_a_conversation_under_tls(door: Door) -> None:
    with door.talk() as client:
        client.starttls(context=door.client_side)
        door.listener._ask(door.listener._end())
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        assert not door.listener._open


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused(door: Door, version: ssl.TLSVersion) -> None:
    old = door.client_side
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, version
    with door.talk() as client, pytest.raises(ssl.SSLError):
        client.starttls(context=old)


def test_by_lmtp_too(world: World, tmp_path: Path) -> None:
    with open_door(world, tmp_path, "lmtp") as door, smtplib.LMTP("127.0.0.1", door.listener.port) as client:
        client.ehlo()
        client.starttls(context=door.client_side)
        with capture_logs() as logs:
            door.report(client)
        assert [log["protocol"] for log in logs if log["event"] == "listener.mail"] == ["LMTPS"]


def serial(door: Door) -> int:
    """Of the certificate that is shown."""
    with door.talk() as client:
        lax = ssl.create_default_context()
        lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=lax)
        assert isinstance(client.sock, ssl.SSLSocket)
        return hash(client.sock.getpeercert(binary_form=True))


def test_a_renewed_certificate_is_shown_at_once(door: Door) -> None:
    before = serial(door)
    assert serial(door) == before
    certificate(door.folder)
    assert serial(door) != before


def test_an_unfit_renewal_leaves_the_old_one_and_is_logged_once(door: Door) -> None:
    before, key = serial(door), door.folder / "key.pem"
    good = key.read_bytes()
    key.write_text("not a key")
    with capture_logs() as logs:
        assert {serial(door), serial(door)} == {before}
        key.unlink()
        assert {serial(door), serial(door)} == {before}
    unfit = [log["reason"] for log in logs if log["event"] == "listener.certificate-unfit"]
    assert unfit == [
        "inbound_key_file: holds no private key in PEM",
        "inbound_key_file: cannot be read: No such file or directory",
    ]
    key.write_bytes(good)
    assert serial(door) == before


def test_an_unfit_certificate_is_said_in_one_line(tmp_path: Path) -> None:
    shown, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def says(words: str) -> None:
        with pytest.raises(SettingsError, match=words):
            Certificate(shown, key)

    says(r"^inbound_certificate_file: cannot be read: No such file")
    certificate(tmp_path)
    Certificate(shown, key)
    good = key.read_bytes()
    locked = load_pem_private_key(good, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    key.write_bytes(locked)
    says("^inbound_key_file: is locked by a password")
    other = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(other.private_bytes_raw())
    says("^inbound_key_file: holds no private key")
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other")
    key.write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    says("^inbound_key_file: is not the key of")
    shown.write_bytes(good)
    says("^inbound_certificate_file: holds no certificate")
    key.unlink()
    key.mkdir()
    says("^inbound_key_file: cannot be read: Is a directory")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate(tmp_path)

    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(SettingsError, match=r"^inbound_certificate_file: cannot be read: Permission denied$"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


@pytest.mark.parametrize("name", ["inbound_certificate_file", "inbound_key_file"])
def test_one_file_without_the_other_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^inbound_certificate_file, inbound_key_file: name both, or neither$"):
        load_settings(**{name: "somewhere.pem"})
