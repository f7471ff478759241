"""What the SMTP client makes of each thing a relay can do, mail by mail."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from outreach.hosts import Relay
from outreach.mail.lines import stuffed
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.transport import Outcome, Result
from tests.mail.relays import DROP, PATIENT, STALL, Diary, by_id, free_port, handing, parcel, scripted


def one(script: dict[str, str], **more: Any) -> tuple[Outcome, list[str]]:
    """Hand one mail to a relay with this script: its outcome and what the journal holds."""
    diary = Diary()
    with scripted(script, **more) as server, handing(server.relay()) as transport:
        outcome = transport.hand_off([parcel(1)], diary)[0]
    return outcome, diary.of(1)


def test_an_accepted_mail_is_sent_and_journalled_at_each_step() -> None:
    outcome, journal = one({})
    assert outcome == Outcome(1, Result.SENT, 250, "2.0.0", "250 2.0.0 taken", relay="main")
    assert journal == ["begun", "dotted", "replied 250"]


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(("reply", "result"), [("451 4.3.0 later", "deferred"), ("554 5.5.0 never", "failed")])
def test_a_refusal_at_any_stage_is_the_outcome(offers: tuple[str, ...], stage: str, reply: str, result: str) -> None:
    outcome, journal = one({stage: reply}, offers=offers)
    assert (outcome.result, outcome.code, outcome.enhanced) == (result, int(reply[:3]), reply[4:9])
    assert outcome.reply == reply
    assert not outcome.bad_address
    assert journal == ["begun", *(["dotted"] if stage == "DOT" else []), f"replied {reply[:3]}"]


@pytest.mark.parametrize(
    ("reply", "is_bad"),
    [
        ("550 5.1.1 no such user", True),
        ("550-5.1.1 The address\r\n550 5.1.1 does not exist", True),
        ("553 5.1.6 moved away", True),
        ("550 5.1.10 null MX", True),
        ("551 5.1.1 not here", True),
        ("550 5.1.2 bad destination system", False),
        ("550 user unknown", True),
        ("550 No such user here", True),
        ("550 Mailbox not found", True),
        ("550 unbekannter Empfänger", True),
        ("550 sender rejected: user unknown", False),
        ("550 blocked using sbl.spamhaus.org: user unknown", False),
        ("550 mailbox not found, try again: temporary failure", False),
        ("550 relay access denied", False),
        ("550 5.7.1 user unknown", False),
        ("550 rejected: 5.7.1 recipient address unknown", False),
        ("554 5.7.515 access denied, unknown user", False),
        ("550 5.2.1 mailbox disabled", False),
        ("552 5.2.2 mailbox full", False),
        ("450 4.1.1 user unknown", False),
    ],
)
def test_only_the_words_for_no_such_mailbox_make_a_bad_address(reply: str, is_bad: bool) -> None:
    outcome, _ = one({"RCPT": reply})
    assert outcome.bad_address is is_bad


def test_the_same_words_after_the_data_do_not_make_a_bad_address() -> None:
    outcome, _ = one({"DOT": "550 5.1.1 no such user"})
    assert outcome.result is Result.FAILED
    assert not outcome.bad_address


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("ending", [DROP, STALL])
def test_a_connection_lost_before_the_dot_defers(offers: tuple[str, ...], stage: str, ending: str) -> None:
    outcome, journal = one({stage: ending}, offers=offers)
    assert (outcome.result, outcome.code) == (Result.DEFERRED, None)
    assert outcome.reply
    assert journal == ["begun"]


@pytest.mark.parametrize("ending", [DROP, STALL])
def test_no_reply_after_the_dot_is_unknown(ending: str) -> None:
    outcome, journal = one({"DOT": ending})
    assert (outcome.result, outcome.code) == (Result.UNKNOWN, None)
    assert journal == ["begun", "dotted"]


def test_a_big_mail_cut_off_while_it_is_read_is_deferred_since_no_dot_went_out() -> None:
    diary = Diary()
    with scripted({"BODY": DROP}) as server, handing(server.relay(), PATIENT) as transport:
        outcome = transport.hand_off([parcel(1, data=(b"x" * 70 + b"\r\n") * 400_000)], diary)[0]
    assert outcome.result is Result.DEFERRED
    assert diary.of(1) == ["begun"]


@pytest.mark.parametrize("stage", ["GREETING", "MAIL", "RCPT"])
def test_a_relay_that_says_421_defers_its_whole_batch(stage: str) -> None:
    with scripted({stage: "421 4.7.0 too busy"}) as server, handing(server.relay(2)) as transport:
        outcomes = transport.hand_off([parcel(number) for number in range(6)], Diary())
    assert {outcome.result for outcome in outcomes} == {Result.DEFERRED}
    assert {outcome.code for outcome in outcomes} == {421}
    assert all("421 4.7.0 too busy" in outcome.reply for outcome in outcomes)
    assert server.connections <= 3


def test_a_relay_that_is_not_there_defers_its_whole_batch_and_says_so() -> None:
    relay = Relay(host="127.0.0.1", port=free_port(), security="none")
    diary = Diary()
    with handing(relay) as transport:
        outcomes = transport.hand_off([parcel(number) for number in range(5)], diary)
    assert [outcome.result for outcome in outcomes] == [Result.DEFERRED] * 5
    assert outcomes[0].reply == "The relay could not be reached: Connection refused."
    assert diary.entries == []


def test_a_relay_that_never_greets_defers() -> None:
    with scripted({"GREETING": STALL}) as server, handing(server.relay()) as transport:
        assert transport.hand_off([parcel(1)], Diary())[0].result is Result.DEFERRED


def test_a_relay_that_does_not_speak_smtp_defers() -> None:
    outcome, _ = one({"MAIL": "hello there"})
    assert outcome.result is Result.DEFERRED
    assert "SMTP" in outcome.reply


def test_one_refused_recipient_among_many_concerns_that_mail_alone() -> None:
    script = {"RCPT 2": "550 5.1.1 unknown", "DATA 2": "554 5.5.1 no valid recipients"}
    with scripted(script) as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(number) for number in (1, 2, 3)], Diary()))
        heard = list(server.heard)
    assert [outcomes[number].result for number in (1, 2, 3)] == ["sent", "failed", "sent"]
    assert outcomes[2].bad_address
    assert len(server.mails) == 2
    after = heard.index("RCPT TO:<reader2@example.net>")
    assert heard[after + 2] == "RSET"


def test_data_taken_for_nobody_is_ended_with_a_lone_dot_and_no_journal_entry() -> None:
    diary = Diary()
    script = {"RCPT 1": "550 5.1.1 unknown", "DOT 1": "554 no recipients"}
    with scripted(script) as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(1), parcel(2)], diary))
    assert (outcomes[1].result, outcomes[2].result) == ("failed", "sent")
    assert server.mails[0] == b""
    assert "dotted" not in diary.of(1)


def test_without_pipelining_each_command_waits_for_its_answer() -> None:
    script = {"RCPT 1": "550 5.1.1 unknown"}
    with scripted(script, offers=()) as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(1), parcel(2)], Diary()))
        heard = [line.split(":")[0].split()[0] for line in server.heard]
    assert (outcomes[1].result, outcomes[2].result) == ("failed", "sent")
    assert heard == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]


def test_connections_are_kept_between_batches() -> None:
    with scripted() as server, handing(server.relay(2), PATIENT) as transport:
        for batch in range(3):
            outcomes = transport.hand_off([parcel(batch * 10 + number) for number in range(10)], Diary())
            assert {outcome.result for outcome in outcomes} == {Result.SENT}
        assert server.connections <= 2


def test_a_kept_connection_that_the_relay_dropped_costs_no_mail() -> None:
    diary = Diary()
    with scripted({"MAIL 2": DROP}) as server, handing(server.relay(), PATIENT) as transport:
        assert transport.hand_off([parcel(1)], diary)[0].result is Result.SENT
        assert transport.hand_off([parcel(2)], diary)[0].result is Result.SENT
        assert server.connections == 2
    assert diary.of(2) == ["begun", "begun", "dotted", "replied 250"]


def test_a_relay_that_tires_of_a_connection_gets_the_rest_over_a_new_one() -> None:
    with scripted({"MAIL 3": "421 4.7.0 too many mails here"}) as server, handing(server.relay(), PATIENT) as transport:
        outcomes = transport.hand_off([parcel(number) for number in range(4)], Diary())
    assert {outcome.result for outcome in outcomes} == {Result.SENT}
    assert server.connections == 2


def test_idle_connections_are_closed() -> None:
    quick = Timeouts(connect=2, command=2, final=2, idle=0)
    with scripted() as server, handing(server.relay(), quick) as transport:
        transport.hand_off([parcel(1)], Diary())
        assert server.hears("QUIT")
        assert transport.hand_off([parcel(2)], Diary())[0].result is Result.SENT
        assert server.connections == 2


def test_threads_share_the_relays_connections() -> None:
    with scripted() as server, handing(server.relay(3), PATIENT) as transport, ThreadPoolExecutor(4) as threads:
        batches = [[parcel(start + number) for number in range(20)] for start in (0, 100, 200, 300)]
        outcomes = [
            one for found in threads.map(lambda batch: transport.hand_off(batch, Diary()), batches) for one in found
        ]
    assert len(by_id(outcomes)) == 80
    assert {outcome.result for outcome in outcomes} == {Result.SENT}
    assert server.connections <= 3


def test_a_decision_older_than_the_window_is_put_back_and_never_begun() -> None:
    diary = Diary()
    with scripted() as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(1, age=2.5), parcel(2)], diary))
    assert (outcomes[1].result, outcomes[2].result) == ("put_back", "sent")
    assert diary.of(1) == []


def test_what_the_caller_stops_is_put_back_and_never_begun() -> None:
    diary = Diary()
    with scripted() as server, handing(server.relay()) as transport:
        outcomes = by_id(transport.hand_off([parcel(1), parcel(2)], diary, lambda message_id: message_id == 2))
    assert (outcomes[1].result, outcomes[2].result) == ("sent", "put_back")
    assert diary.of(2) == []
    assert len(server.mails) == 1


def test_a_journal_that_cannot_be_written_stops_the_hand_off_before_the_dot() -> None:
    class Full(Diary):
        def dotted(self, message_id: int) -> None:
            raise OSError(28, "No space left on device")

    with scripted() as server, handing(server.relay()) as transport:
        outcomes = transport.hand_off([parcel(number) for number in range(3)], Full())
    assert {outcome.result for outcome in outcomes} == {Result.PUT_BACK}
    assert server.mails == []


@pytest.mark.parametrize(
    "address", ["a@b.example>\r\nRCPT TO:<c@d.example", "a b@c.example", "a@b@c.example", " ", "@x"]
)
def test_an_address_that_could_carry_a_command_never_reaches_the_wire(address: str) -> None:
    with scripted() as server, handing(server.relay()) as transport:
        outcomes = transport.hand_off([parcel(1, to=address)], Diary())
    assert outcomes[0].result is Result.FAILED
    assert not any("RCPT" in line for line in server.heard)


def test_a_non_ascii_address_goes_where_smtputf8_is_offered_and_fails_clearly_where_not() -> None:
    with scripted() as server, handing(server.relay()) as transport:
        assert transport.hand_off([parcel(1, to="jörg@example.net")], Diary())[0].result is Result.SENT
        assert any(line.startswith("MAIL") and line.endswith("SMTPUTF8") for line in server.heard)
        transport.hand_off([parcel(2)], Diary())
        assert not server.heard[-3].endswith("SMTPUTF8")
    with scripted(offers=("PIPELINING",)) as server, handing(server.relay()) as transport:
        outcome = transport.hand_off([parcel(1, to="jörg@example.net")], Diary())[0]
    assert (outcome.result, outcome.code) == (Result.FAILED, None)
    assert "SMTPUTF8" in outcome.reply


def test_eight_bit_mail_is_declared_and_fails_clearly_where_not_offered() -> None:
    data = "Subject: hej\r\n\r\nåäö\r\n".encode()
    with scripted() as server, handing(server.relay()) as transport:
        assert transport.hand_off([parcel(1, data=data)], Diary())[0].result is Result.SENT
        assert any("BODY=8BITMIME" in line for line in server.heard)
    with scripted(offers=()) as server, handing(server.relay()) as transport:
        assert "8BITMIME" in transport.hand_off([parcel(1, data=data)], Diary())[0].reply


def test_replies_hold_no_address() -> None:
    script = {"RCPT": "550 5.1.1 <reader1@example.net>: user reader1 unknown"}
    diary = Diary()
    with scripted(script) as server, handing(server.relay()) as transport:
        outcome = transport.hand_off([parcel(1)], diary)[0]
    for text in (outcome.reply, diary.texts[1]):
        assert "reader1" not in text
        assert "550 5.1.1" in text


def test_parcels_and_outcomes_show_no_address() -> None:
    assert "reader1" not in repr(parcel(1))


@pytest.mark.parametrize(
    ("given", "on_the_wire"),
    [
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.\r\n.b\r\n", b"a\r\n..\r\n..b\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\r.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"plain\r\n", b"plain\r\n"),
    ],
)
def test_dots_are_stuffed_and_bare_line_ends_made_whole(given: bytes, on_the_wire: bytes) -> None:
    assert stuffed(given) == on_the_wire
