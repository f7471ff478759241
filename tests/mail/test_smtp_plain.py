"""The client made of smtplib means by every outcome, and writes into its journal, what the other one does."""

from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from outreach.hosts import Relay
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.transport import Outcome, Result
from tests.mail.relays import (
    DROP,
    PATIENT,
    QUICK,
    STALL,
    Diary,
    by_id,
    certificate,
    free_port,
    handing,
    parcel,
    scripted,
)
from tests.mail.test_smtp_secure import aiosmtpd, sink


def plain(port: int, **more: Any) -> Relay:
    return Relay(
        **{"host": "127.0.0.1", "port": port, "security": "none", "connections": 1, "client": "smtplib", **more}
    )


def handed(script: dict[str, str], count: int = 1, **more: Any) -> tuple[dict[int, Outcome], Diary]:
    diary = Diary()
    with scripted(script, **more) as server, handing(plain(server.port), QUICK) as transport:
        outcomes = transport.hand_off([parcel(number) for number in range(1, count + 1)], diary)
    return by_id(outcomes), diary


def results(outcomes: dict[int, Outcome]) -> list[str]:
    return [str(outcomes[number].result) for number in sorted(outcomes)]


def test_an_accepted_mail_is_sent_and_journalled_at_each_step() -> None:
    outcomes, diary = handed({})
    assert outcomes[1] == Outcome(1, Result.SENT, 250, "2.0.0", "250 2.0.0 taken", relay="main")
    assert diary.of(1) == ["begun", "dotted", "replied 250"]


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(("reply", "result"), [("451 4.3.0 later", "deferred"), ("550 5.1.1 no such user", "failed")])
def test_a_refusal_at_any_stage_is_the_outcome(stage: str, reply: str, result: str) -> None:
    outcomes, diary = handed({stage: reply})
    outcome = outcomes[1]
    assert (outcome.result, outcome.code, outcome.reply) == (result, int(reply[:3]), reply)
    assert outcome.bad_address is (stage == "RCPT" and result == "failed")
    assert diary.of(1) == ["begun", *(["dotted"] if stage == "DOT" else []), f"replied {reply[:3]}"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"RCPT 2": "550 5.1.1 nobody"}, ["sent", "failed", "sent"]),
        ({"DOT 2": DROP}, ["sent", "unknown", "sent"]),
        ({"DOT 2": STALL}, ["sent", "unknown", "sent"]),
        ({"DOT 2": "what?"}, ["sent", "unknown", "sent"]),
        ({"DOT 2": "354 go on"}, ["sent", "unknown", "sent"]),
        ({"MAIL 2": DROP}, ["sent"] * 3),
        ({"MAIL 2": "421 4.3.2 closing"}, ["sent"] * 3),
        ({"RCPT 2": DROP}, ["sent", "deferred", "sent"]),
        ({"DATA 2": STALL}, ["sent", "deferred", "sent"]),
        ({"DATA 2": "250 fine"}, ["sent", "deferred", "sent"]),
        ({"DOT 2": "421 4.3.2 closing"}, ["sent", "deferred", "sent"]),
    ],
)
def test_each_way_to_break_off_is_laid_at_the_right_door(script: dict[str, str], expected: list[str]) -> None:
    outcomes, diary = handed(script, 3)
    assert results(outcomes) == expected
    assert ("dotted" in diary.of(2)) is (expected[1] in {"sent", "unknown"} or "DOT 2" in script)
    if script == {"DATA 2": "250 fine"}:
        assert diary.of(2) == ["begun"]


@pytest.mark.parametrize("script", [{"GREETING": "421 4.7.0 busy"}, {"MAIL": "421 4.7.0 busy"}])
def test_a_relay_that_says_421_defers_its_whole_batch(script: dict[str, str]) -> None:
    outcomes, _ = handed(script, 6)
    assert {(outcome.result, outcome.code) for outcome in outcomes.values()} == {(Result.DEFERRED, 421)}
    assert all("421 4.7.0 busy" in outcome.reply for outcome in outcomes.values())


def test_a_relay_that_is_not_there_is_said_to_be() -> None:
    with handing(plain(free_port())) as transport:
        (outcome,) = transport.hand_off([parcel(1)], Diary())
    assert (outcome.result, outcome.reply) == (Result.DEFERRED, "The relay could not be reached: Connection refused.")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_out_under_tls_to_a_relay_that_can_be_trusted(
    security: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trust, context = certificate(tmp_path_factory.mktemp("tls"))
    with aiosmtpd(context, at_once=security == "tls") as (port, keeper):
        with handing(plain(port, security=security, ca_file=str(trust)), PATIENT) as transport:
            assert transport.hand_off([parcel(1)], Diary())[0].result is Result.SENT
        with handing(plain(port, security=security), PATIENT) as transport:
            (outcome,) = transport.hand_off([parcel(2)], Diary())
    assert outcome.result is Result.DEFERRED
    assert "certificate is not trusted" in outcome.reply
    assert len(keeper.envelopes) == 1


@pytest.mark.parametrize(
    ("password", "words"), [("secret", ""), ("guess", "did not accept our sign-in (535)"), ("åäö", "could not be used")]
)
def test_signing_in(password: str, words: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    def authenticator(*args: Any) -> AuthResult:
        good = (args[-1].login, args[-1].password) == (b"outreach", b"secret")
        return AuthResult(success=good, handled=good)

    trust, context = certificate(tmp_path_factory.mktemp("tls"))
    login = {"username": "outreach", "password": SecretStr(password), "security": "starttls", "ca_file": str(trust)}
    with (
        aiosmtpd(context, auth_required=True, authenticator=authenticator) as (port, _),
        handing(plain(port, **login), PATIENT) as transport,
    ):
        (outcome,) = transport.hand_off([parcel(1)], Diary())
    assert outcome.result is (Result.DEFERRED if words else Result.SENT)
    assert words in outcome.reply
    assert password not in outcome.reply


def test_mail_is_not_handed_over_in_clear_where_starttls_was_wanted() -> None:
    with scripted() as server, handing(plain(server.port, security="starttls")) as transport:
        (outcome,) = transport.hand_off([parcel(1)], Diary())
        assert not any(line.upper().startswith("MAIL") for line in server.heard)
    assert outcome.result is Result.DEFERRED
    assert "STARTTLS" in outcome.reply


def test_content_and_addresses_arrive_as_they_were_made() -> None:
    data = b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\n\r\nend\r\n"
    with aiosmtpd(None, enable_SMTPUTF8=True) as (port, keeper), handing(plain(port), PATIENT) as transport:
        mails = [parcel(1, data=data), parcel(2, to="jörg@example.net")]
        assert results(by_id(transport.hand_off(mails, Diary()))) == ["sent", "sent"]
        assert keeper.envelopes[0].original_content == data
        assert keeper.envelopes[1].rcpt_tos == ["jörg@example.net"]


def test_what_is_too_old_stopped_or_cannot_be_offered_is_never_begun() -> None:
    diary = Diary()
    mails = [parcel(1, age=2.5), parcel(2), parcel(3, to="a b@c.example"), parcel(4)]
    with scripted() as server, handing(plain(server.port)) as transport:
        outcomes = by_id(transport.hand_off(mails, diary, lambda message_id: message_id == 2))
    assert results(outcomes) == ["put_back", "put_back", "failed", "sent"]
    assert {number for _, number in diary.entries} == {4}


@pytest.mark.parametrize("point", ["begun", "dotted"])
def test_a_journal_that_cannot_be_written_stops_the_hand_off(point: str) -> None:
    class Full(Diary):
        def flush(self) -> None:
            if self.entries and self.entries[-1][0] == point:
                raise OSError(28, "No space left on device")

    with scripted() as server, handing(plain(server.port)) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(3)], Full()))
        assert server.mails == []
    assert set(results(outcomes)) == {"put_back"}


def test_idle_connections_are_kept_and_then_closed() -> None:
    brisk = Timeouts(connect=2, command=2, final=2, idle=0)
    for timeouts, connections in ((PATIENT, 1), (brisk, 2)):
        with scripted() as server, handing(plain(server.port), timeouts) as transport:
            transport.hand_off([parcel(1)], Diary())
            if timeouts is brisk:
                assert server.hears("QUIT")
            transport.hand_off([parcel(2)], Diary())
            assert server.connections == connections


def test_postfix_takes_a_batch_over_several_connections() -> None:
    with sink() as port, handing(plain(port, connections=4), PATIENT) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(200)], Diary()))
    assert set(results(outcomes)) == {"sent"}
