"""TLS, sign-in, and two servers not of our making: aiosmtpd and Postfix's smtp-sink."""

import asyncio
import pwd
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from outreach.hosts import Relay
from outreach.mail.transport import Result
from tests.mail.relays import PATIENT, Diary, certificate, free_port, handing, parcel, scripted

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")


class Keeper:
    """aiosmtpd's handler: keeps what arrives."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        self.envelopes.append(envelope)
        return "250 2.0.0 kept"


def known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"outreach", "hemlig åäö".encode())
    return AuthResult(success=good, handled=good)


@contextmanager
def aiosmtpd(context: ssl.SSLContext | None, *, at_once: bool = False, **more: Any) -> Iterator[tuple[int, Keeper]]:
    loop, keeper = asyncio.new_event_loop(), Keeper()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starttls = None if at_once else context

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(keeper, tls_context=starttls, loop=loop, hostname="relay.test", **more),
            "127.0.0.1",
            0,
            ssl=context if at_once else None,
        )

    async def end() -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1], keeper
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


def relay(port: int, security: str, ca_file: Path | str = "", **more: Any) -> Relay:
    return Relay(host="127.0.0.1", port=port, security=security, ca_file=str(ca_file), connections=2, **more)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_out_under_tls(security: str, trusted: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = trusted
    with aiosmtpd(context, at_once=security == "tls") as (port, keeper):
        with handing(relay(port, security, ca_file), PATIENT) as transport:
            outcomes = transport.hand_off([parcel(number) for number in range(5)], Diary())
        assert [outcome.result for outcome in outcomes] == [Result.SENT] * 5
        assert sorted(envelope.rcpt_tos[0] for envelope in keeper.envelopes) == [
            f"reader{number}@example.net" for number in range(5)
        ]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_defers_unless_told_not_to_look(
    security: str, trusted: tuple[Path, ssl.SSLContext]
) -> None:
    with aiosmtpd(trusted[1], at_once=security == "tls") as (port, keeper):
        with handing(relay(port, security), PATIENT) as transport:
            outcome = transport.hand_off([parcel(1)], Diary())[0]
        assert outcome.result is Result.DEFERRED
        assert "certificate is not trusted" in outcome.reply
        assert keeper.envelopes == []
        with handing(relay(port, security, verify=False), PATIENT) as transport:
            assert transport.hand_off([parcel(1)], Diary())[0].result is Result.SENT


def test_mail_is_not_handed_over_in_clear_where_starttls_was_wanted() -> None:
    with scripted() as server, handing(relay(server.port, "starttls")) as transport:
        outcome = transport.hand_off([parcel(1)], Diary())[0]
    assert outcome.result is Result.DEFERRED
    assert "STARTTLS" in outcome.reply
    assert not any(line.startswith("MAIL") for line in server.heard)


def test_commands_slipped_in_before_tls_are_refused() -> None:
    script = {"STAR": "220 go\r\n250 injected"}  # CVE-2011-0411, seen from the client's side
    with scripted(script, offers=("STARTTLS",)) as server, handing(relay(server.port, "starttls")) as transport:
        outcome = transport.hand_off([parcel(1)], Diary())[0]
    assert outcome.result is Result.DEFERRED


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_signing_in(mechanism: str, trusted: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = trusted
    other = {"PLAIN", "LOGIN"} - {mechanism}
    settings: dict[str, Any] = {"auth_required": True, "authenticator": known, "auth_exclude_mechanism": other}
    login = {"username": "outreach", "password": SecretStr("hemlig åäö")}
    with aiosmtpd(context, **settings) as (port, keeper):
        with handing(relay(port, "starttls", ca_file, **login), PATIENT) as transport:
            assert transport.hand_off([parcel(1)], Diary())[0].result is Result.SENT
        wrong = {**login, "password": SecretStr("guess")}
        with handing(relay(port, "starttls", ca_file, **wrong), PATIENT) as transport:
            outcomes = transport.hand_off([parcel(1), parcel(2)], Diary())
        assert len(keeper.envelopes) == 1
    assert [(outcome.result, outcome.code) for outcome in outcomes] == [(Result.DEFERRED, 535)] * 2
    assert "sign-in" in outcomes[0].reply
    assert "guess" not in outcomes[0].reply


def test_content_arrives_as_it_was_made() -> None:
    data = b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\n\r\nend\r\n"
    with aiosmtpd(None) as (port, keeper):
        with handing(relay(port, "none"), PATIENT) as transport:
            assert transport.hand_off([parcel(1, data=data)], Diary())[0].result is Result.SENT
        assert keeper.envelopes[0].original_content == data


@contextmanager
def sink(*options: str) -> Iterator[int]:
    if SINK is None:
        raise RuntimeError("smtp-sink is missing: make debian")
    port = free_port()
    with suppress(KeyError):
        pwd.getpwnam("postfix")
        options = ("-u", "postfix", *options)
    process = subprocess.Popen([SINK, *options, f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)
    try:
        _until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _until_it_answers(port: int) -> None:
    for _ in range(400):
        with handing(relay(port, "none"), PATIENT) as transport:
            if transport.hand_off([parcel(0)], Diary())[0].result is Result.SENT:
                return
        threading.Event().wait(0.01)
    raise RuntimeError("smtp-sink does not answer")


@pytest.mark.parametrize("options", [(), ("-p",)])
def test_postfix_takes_a_batch_quickly_with_and_without_pipelining(options: tuple[str, ...]) -> None:
    data = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 150
    with sink(*options) as port, handing(relay(port, "none"), PATIENT) as transport:
        began = time.perf_counter()
        outcomes = transport.hand_off([parcel(number, data=data) for number in range(300)], Diary())
        took = time.perf_counter() - began
    assert {outcome.result for outcome in outcomes} == {Result.SENT}
    assert len(outcomes) == 300
    assert took < 2
