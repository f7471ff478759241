"""One round trip a message, and what that means when something breaks in the middle of one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import pytest

from outreach.hosts import Relay
from outreach.mail import smtp_connection
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.smtp_words import xtext
from outreach.mail.transport import Outcome, Result
from tests.mail.relays import DROP, PATIENT, QUICK, STALL, Diary, by_id, handing, parcel, scripted

DSN = ("PIPELINING", "DSN", "SIZE")


def several(script: dict[str, str], count: int = 4, **more: Any) -> tuple[dict[int, Outcome], Diary, list[str]]:
    """Hand `count` mails over one connection at a time: outcomes, journal, and the verbs the relay heard."""
    diary = Diary()
    with scripted(script, **more) as server, handing(server.relay(), QUICK) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(1, count + 1)], diary))
        heard = list(server.heard)
    return outcomes, diary, heard


def results(outcomes: dict[int, Outcome]) -> list[str]:
    return [str(outcomes[number].result) for number in sorted(outcomes)]


@contextmanager
def strict(count: int) -> Iterator[int]:
    """A relay that answers a content only once the next message's MAIL, RCPT and DATA have come behind it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        one, _ = listener.accept()
        lines: BinaryIO = one.makefile("rb")
        one.sendall(b"220 strict\r\n")
        lines.readline()
        one.sendall(b"250-strict\r\n250 PIPELINING\r\n")
        for number in range(count):
            assert [lines.readline()[:4] for _ in range(3)] == [b"MAIL", b"RCPT", b"DATA"]
            one.sendall((b"250 taken\r\n" if number else b"") + b"250 ok\r\n250 ok\r\n354 go\r\n")
            while lines.readline() != b".\r\n":
                pass
        one.sendall(b"250 taken\r\n")
        lines.readline()
        one.close()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)
    listener.close()


def test_a_content_and_the_next_envelope_travel_together() -> None:
    diary = Diary()
    with strict(5) as port, scripted() as server:
        relay = server.relay().model_copy(update={"port": port})
        with handing(relay, PATIENT) as transport:
            outcomes = by_id(transport.hand_off([parcel(number) for number in range(5)], diary))
    assert results(outcomes) == ["sent"] * 5
    words = [word.split()[0] for word, _ in diary.entries]
    assert words == ["begun", *["dotted", "begun", "replied"] * 4, "dotted", "replied"]


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("reply", "result"), [("451 4.3.0 later", "deferred"), ("550 5.1.1 nobody", "failed")])
def test_a_refusal_behind_a_content_is_the_next_messages(stage: str, reply: str, result: str) -> None:
    outcomes, diary, heard = several({f"{stage} 2": reply, **({"DATA 2": "503 no"} if stage != "DATA" else {})})
    assert results(outcomes) == ["sent", result, "sent", "sent"]
    assert outcomes[2].reply == reply
    assert outcomes[2].bad_address is (stage == "RCPT" and result == "failed")
    assert diary.of(2) == ["begun", f"replied {reply[:3]}"]
    assert [line[:4] for line in heard].count("RSET") == 1


@pytest.mark.parametrize("reply", ["451 4.3.0 later", "554 5.6.0 content"])
def test_a_refused_content_leaves_the_envelope_behind_it_alone(reply: str) -> None:
    outcomes, _, heard = several({"DOT 2": reply})
    assert results(outcomes) == ["sent", "deferred" if reply[0] == "4" else "failed", "sent", "sent"]
    assert "RSET" not in [line[:4] for line in heard]


def test_data_taken_for_nobody_behind_a_content_is_ended_by_a_lone_dot() -> None:
    diary = Diary()
    with scripted({"RCPT 2": "550 5.1.1 nobody"}) as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in (1, 2, 3)], diary))
        assert server.mails[1] == b""
    assert results(outcomes) == ["sent", "failed", "sent"]
    assert "dotted" not in diary.of(2)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"DOT 1": DROP}, ["unknown", "sent", "sent", "sent"]),  # only the one whose dot was out is in doubt
        ({"DOT 2": DROP}, ["sent", "unknown", "sent", "sent"]),
        ({"MAIL 2": DROP}, ["sent"] * 4),  # nothing was said of the second: another connection takes it
        ({"RCPT 2": DROP}, ["sent", "deferred", "sent", "sent"]),
        ({"DATA 2": DROP}, ["sent", "deferred", "sent", "sent"]),
        ({"DOT 2": "421 4.3.2 closing"}, ["sent", "deferred", "sent", "sent"]),
        ({"MAIL 2": "421 4.3.2 closing"}, ["sent"] * 4),
        ({"RCPT 2": "421 4.3.2 closing"}, ["sent"] * 4),
        ({"DATA 2": "421 4.3.2 closing"}, ["sent"] * 4),
        ({"DOT 2": "what?"}, ["sent", "unknown", "sent", "sent"]),
        ({"DOT 2": "250 taken\r\nwhat?"}, ["sent"] * 4),
        ({"DOT 2": "354 go on"}, ["sent", "unknown", "sent", "sent"]),
        ({"MAIL 2": "what?"}, ["sent"] * 4),
        ({"RCPT 2": "what?"}, ["sent", "deferred", "sent", "sent"]),
        ({"DATA 2": "250 fine"}, ["sent", "deferred", "sent", "sent"]),
        ({"MAIL 2": "354 go"}, ["sent", "deferred", "sent", "sent"]),
        ({"DOT 2": STALL}, ["sent", "unknown", "sent", "sent"]),
        ({"RCPT 2": STALL}, ["sent", "deferred", "sent", "sent"]),
    ],
)
@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
def test_each_way_to_break_off_is_laid_at_the_right_door(
    offers: tuple[str, ...], script: dict[str, str], expected: list[str]
) -> None:
    outcomes, diary, _ = several(script, offers=offers)
    assert results(outcomes) == expected
    for number, outcome in outcomes.items():
        if outcome.result is Result.UNKNOWN:
            assert diary.of(number)[-1] == "dotted"
        if outcome.result is Result.DEFERRED and outcome.code is None:
            assert "dotted" not in diary.of(number)


@pytest.mark.parametrize("ending", [DROP, STALL, "421 4.3.2 closing"])
def test_a_refusal_that_came_before_the_end_stands(ending: str) -> None:
    outcomes, diary, _ = several({"RCPT 2": "550 5.1.1 nobody", "DATA 2": ending})
    assert results(outcomes) == ["sent", "failed", "sent", "sent"]
    assert diary.of(2) == ["begun", "replied 550"]


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
def test_answers_nobody_asked_for_make_no_mail_sent(offers: tuple[str, ...]) -> None:
    script = {"DOT 2": "\r\n".join(["250 taken", *["250 and more"] * 5])}
    with scripted(script, offers=offers) as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(1, 5)], Diary()))
        assert len(server.mails) == results(outcomes).count("sent") >= 3


def test_an_answer_that_reads_as_a_yes_where_none_belongs_is_not_journalled() -> None:
    outcomes, diary, _ = several({"DATA 2": "250 fine"})
    assert outcomes[2].result is Result.DEFERRED
    assert diary.of(2) == ["begun"]  # a reaper reading `replied 250` would take it for sent


@contextmanager
def hasty(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A relay that answers a content before it has read it; what it was told after that on the same connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    told: list[bytes] = []

    def talk() -> None:
        one, _ = listener.accept()
        lines: BinaryIO = one.makefile("rb")
        one.sendall(b"220 hasty\r\n")
        lines.readline()
        one.sendall(b"250-hasty\r\n250 PIPELINING\r\n")
        for _ in range(3):
            lines.readline()
        one.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
        lines.readline()
        one.sendall(reply)
        with suppress(OSError):
            told.append(lines.read())
        one.close()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    yield listener.getsockname()[1], told
    thread.join(5)
    listener.close()


@pytest.mark.parametrize(
    ("reply", "result", "journal"),
    [
        (b"552 5.3.4 too big\r\n", "failed", ["begun", "replied 552"]),
        (b"421 4.3.2 closing\r\n", "deferred", ["begun", "replied 421"]),
        (b"250 fine already\r\n", "deferred", ["begun"]),
    ],
)
def test_an_answer_before_the_content_is_whole_ends_the_connection(
    reply: bytes, result: str, journal: list[str]
) -> None:
    data = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 400_000
    diary = Diary()
    with hasty(reply) as (port, told):
        relay = Relay(host="127.0.0.1", port=port, security="none", connections=1)
        brisk = Timeouts(connect=5, command=1, final=1, idle=5)
        with handing(relay, brisk, window=0.8) as transport:
            outcomes = by_id(transport.hand_off([parcel(1, data=data), parcel(2)], diary))
    assert outcomes[1].result == result
    assert diary.of(1) == journal
    assert outcomes[2].result is not Result.SENT
    assert not any(b"MAIL FROM" in octets or octets.endswith(b"\r\n.\r\n") for octets in told)


def test_a_relay_that_says_more_than_it_was_asked_is_not_used() -> None:
    outcomes, _, heard = several({}, offers=("PIPELINING", "X\r\n250 HELP\r\n250-Y"))
    assert {outcome.reply for outcome in outcomes.values()} == {"The relay said more than it was asked."}
    assert not any(line.startswith("MAIL") for line in heard)


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
def test_a_relay_that_drops_every_fresh_connection_is_given_up_after_three(client: str) -> None:
    with scripted({"MAIL": DROP}) as server, handing(server.relay(client=client)) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(9)], Diary()))
        assert server.connections == 3
    assert set(results(outcomes)) == {"deferred"}


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
def test_only_three_in_a_row_count(client: str) -> None:
    script = {f"MAIL {number}": DROP for number in (1, 2, 4, 5)}
    with scripted(script) as server, handing(server.relay(client=client, messages_per_connection=1)) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(7)], Diary()))
    assert sorted(results(outcomes)) == ["deferred"] * 4 + ["sent"] * 3


def test_a_relay_that_would_not_have_so_many_connections_gets_fewer() -> None:
    script = {f"GREETING {number}": "421 4.7.0 too many" for number in (3, 4, 5)}
    with scripted(script) as server, handing(server.relay(5, messages_per_connection=2), PATIENT) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in range(20)], Diary()))
    assert set(results(outcomes)) == {"sent"}
    assert server.connections <= 14  # three in vain, ten full ones, and perhaps two half-full at the end
    assert server.most_talking < 5  # two, and those whose good-bye it has not heard yet


def test_nobody_is_made_to_wait_behind_messages_a_relay_is_slow_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_connection, "_SLOW_SECONDS", 0.0)
    _, diary, _ = several({}, count=3)
    words = [(word.split()[0], number) for word, number in diary.entries]
    assert words.index(("begun", 2)) < words.index(("replied", 1))  # not known yet to be slow
    assert words.index(("begun", 3)) > words.index(("replied", 2))


def test_a_message_that_stood_behind_another_too_long_is_not_handed_over_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smtp_connection.Connection, "check", lambda *_args: None)  # the watchdog is not there first

    class Slow(Diary):
        """The first answer is read only after the time that MAIL to DATA may take."""

        def replied(self, message_id: int, code: int, text: str) -> None:
            super().replied(message_id, code, text)
            if message_id == 1:
                threading.Event().wait(0.5)

    diary = Slow()
    timeouts = Timeouts(connect=2, command=0.4, final=5, idle=5)
    with scripted() as server, handing(server.relay(), timeouts, window=0.45) as transport:
        outcomes = by_id(transport.hand_off([parcel(1), parcel(2)], diary))
    assert results(outcomes) == ["sent", "put_back"]
    assert diary.of(2) == ["begun"]
    assert len(server.mails) == 1


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_connection_that_has_carried_its_share_is_replaced(client: str, refused: bool) -> None:
    script = {"RCPT": "550 5.1.1 nobody"} if refused else {}
    with scripted(script) as server:
        relay = server.relay(messages_per_connection=3, client=client)
        with handing(relay, PATIENT) as transport:
            outcomes = by_id(transport.hand_off([parcel(number) for number in range(10)], Diary()))
            assert server.connections == 4
            verbs = [line[:4].upper() for line in server.heard]
    assert set(results(outcomes)) == {"failed" if refused else "sent"}
    talks = " ".join(verbs).split("EHLO")[1:]
    assert [talk.count("MAIL") for talk in talks] == [3, 3, 3, 1]


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
def test_one_provider_keeps_no_more_connections_busy_than_it_may(client: str) -> None:
    diary = Diary()
    mails = [parcel(number, provider="gmail") for number in range(1, 5)]
    mails += [parcel(number, provider="yahoo") for number in range(11, 15)]
    timeouts = Timeouts(connect=2, command=2, final=0.6, idle=5)
    with scripted({"DOT": STALL}) as server:
        relay = server.relay(4, connections_per_provider=1, client=client)
        with handing(relay, timeouts, window=0.3) as transport:
            outcomes = by_id(transport.hand_off(mails, diary))
    assert results(outcomes) == ["unknown", *["put_back"] * 3] * 2
    dotted = {number for word, number in diary.entries if word == "dotted"}
    assert dotted == {1, 11}


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
def test_with_a_limit_for_providers_everybodys_mail_still_goes(client: str) -> None:
    providers = ("gmail", "yahoo", "microsoft", "other")
    mails = [parcel(number, provider=providers[number % 7 % 4]) for number in range(60)]
    with (
        scripted() as server,
        handing(server.relay(6, connections_per_provider=2, client=client), PATIENT) as transport,
    ):
        outcomes = by_id(transport.hand_off(mails, Diary()))
        again = by_id(transport.hand_off(mails, Diary()))
    assert {*results(outcomes), *results(again)} == {"sent"}


@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
def test_reports_are_asked_for_where_offered_and_wanted(client: str) -> None:
    data = b"From: a@example.org\r\nMessage-ID: <m=1+2@example.org>\r\n\r\nMessage-ID: <body@example.org>\r\n"
    mails = [
        parcel(1, to="a+b=c@example.net", data=data),
        parcel(2, to="jörg@example.net", data=b"Subject: x\r\n\r\n\r\n"),
    ]
    heard: list[list[str]] = []
    for offers, dsn in ((("PIPELINING", "SMTPUTF8", "DSN"), True), (("SMTPUTF8", "DSN"), False), (("SMTPUTF8",), True)):
        with scripted(offers=offers) as server, handing(server.relay(dsn=dsn, client=client)) as transport:
            assert set(results(by_id(transport.hand_off(mails, Diary())))) == {"sent"}
            heard.append([line for line in server.heard if line[:4] in {"MAIL", "RCPT"}])
    assert heard[0] == [
        "MAIL FROM:<news@example.org> RET=HDRS ENVID=m+3D1+2B2@example.org",
        "RCPT TO:<a+b=c@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb+3Dc@example.net",
        "MAIL FROM:<news@example.org> SMTPUTF8 RET=HDRS",
        "RCPT TO:<jörg@example.net> NOTIFY=FAILURE,DELAY",
    ]
    for plain in heard[1:]:
        assert not any(word in line for line in plain for word in ("RET=", "ENVID", "NOTIFY", "ORCPT"))


@pytest.mark.parametrize(
    ("given", "written"), [("plain@x.org", "plain@x.org"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("\x7f~!", "+7F~!")]
)
def test_xtext(given: str, written: str) -> None:
    assert xtext(given) == written
