"""Whatever a relay does, at whichever octet: every mail's outcome and its journal agree with the relay's own log."""

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outreach.hosts import Relay
from outreach.mail import smtp
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.transport import Outcome, Result
from outreach.pipeline.journal import DeadJournal, WorkerJournal, dead_journals
from tests.mail.fickle import Fickle, Talk, fickle
from tests.mail.relays import by_id, handing, parcel

TIMEOUTS = Timeouts(connect=5, command=5, final=5, idle=5)
MAILS = 7

later, never, closing, nonsense = "451 4.3.0 later", "550 5.1.1 nobody", "421 4.3.2 closing", "what is this?"
refusals = st.sampled_from([later, never, closing, nonsense, "250 ok", "250 ok", "250 ok"])
says = st.fixed_dictionaries(
    {},
    optional={
        "MAIL": st.lists(refusals, max_size=3),
        "RCPT": st.lists(refusals, max_size=3),
        "DATA": st.lists(st.sampled_from([later, never, closing, nonsense, "250 odd", "354 go"]), max_size=3),
        ".": st.lists(refusals, max_size=3),
        "RSET": st.lists(refusals, max_size=2),
    },
)
talks = st.builds(
    Talk,
    says=says,
    hears=st.none() | st.integers(0, 900),
    tells=st.none() | st.integers(0, 120),
    pieces=st.integers(1, 12) | st.just(10_000),
    pipelining=st.booleans() | st.just(True),
)


class Watched:
    """A worker's journal in a folder of its own, and what its file says while the worker lives."""

    def __init__(self, folder: Path) -> None:
        self.journal = WorkerJournal(folder, "w")
        self._folder = folder
        self._path = folder / "w.journal"

    def has(self, word: str, recipient: str) -> bool:
        number = re.sub(r"\D", "", recipient.partition("@")[0])
        return f"{word[0]} {number}\n" in self._path.read_text()

    def left(self) -> DeadJournal:
        """What a reaper would read, had the worker died here."""
        copy = self._folder / "copy"
        copy.mkdir()
        (copy / "w.journal").write_bytes(self._path.read_bytes())
        (found,) = dead_journals(copy)
        return found


def reaped(journal: DeadJournal, number: int) -> str:
    """What a reaper concludes, as `pipeline.reap` does."""
    if number in journal.replies:
        code, _ = journal.replies[number]
        return "sent" if code < 400 else "deferred" if code < 500 else "failed"
    return "unknown" if number in journal.dotted else "put_back"


def agree(outcome: Outcome, server: Fickle, journal: DeadJournal) -> None:
    """One mail's outcome against the relay's log and the worker's journal."""
    number = outcome.message_id
    recipient = f"reader{number}@example.net"
    taken = server.accepted[recipient]
    assert taken <= 1, "mailed twice"
    if outcome.result is Result.SENT:
        assert taken
    elif taken:
        assert outcome.result is Result.UNKNOWN
        assert recipient not in server.told, "the relay had said so"
    expected = str(outcome.result)
    if outcome.result is Result.DEFERRED and number not in journal.replies:
        expected = "put_back"  # nothing was handed over: a reaper has it tried again at once
    if outcome.code is None and outcome.result is Result.FAILED:
        return
    assert reaped(journal, number) == expected


@pytest.fixture(params=["uvloop", "asyncio"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "asyncio":
        monkeypatch.setattr(smtp, "new_event_loop", asyncio.new_event_loop)
    yield


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("client", ["pipelined", "smtplib"])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(talks, min_size=1, max_size=4), connections=st.integers(1, 3))
def test_every_outcome_agrees_with_the_relays_log_and_with_the_journal(
    client: str, script: list[Talk], connections: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(Path(folder))
        with fickle(script, watched.has) as server:
            relay = Relay(host="127.0.0.1", port=server.port, security="none", connections=connections, client=client)
            with handing(relay, TIMEOUTS, window=5) as transport:
                outcomes = by_id(transport.hand_off([parcel(number) for number in range(MAILS)], watched.journal))
        assert len(outcomes) == MAILS
        assert server.unnoted == []
        journal = watched.left()
        for outcome in outcomes.values():
            agree(outcome, server, journal)
        assert sum(outcome.result is Result.UNKNOWN for outcome in outcomes.values()) <= server.connections
        watched.journal.close()


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("where", ["hears", "tells"])
def test_a_line_cut_at_any_octet_leaves_at_most_one_mail_in_doubt(where: str, pipelining: bool) -> None:
    data = b"Subject: x\r\n\r\nhello\r\n"
    script = f"MAIL FROM:<news@example.org>\r\nRCPT TO:<reader0@example.net>\r\nDATA\r\n{data.decode()}.\r\n"
    octets = 2 * len(script) if where == "hears" else 90
    with tempfile.TemporaryDirectory() as folder:
        for cut in range(octets):
            watched = Watched(Path(folder, str(cut)))
            talk = Talk(pipelining=pipelining, **{where: cut})  # type: ignore[arg-type]  # one of two integers
            with fickle([talk], watched.has) as server:
                relay = Relay(host="127.0.0.1", port=server.port, security="none", connections=1)
                with handing(relay, TIMEOUTS, window=5) as transport:
                    mails = [parcel(number, data=data) for number in range(3)]
                    outcomes = by_id(transport.hand_off(mails, watched.journal))
            assert server.unnoted == []
            journal = watched.left()
            for outcome in outcomes.values():
                agree(outcome, server, journal)
            assert sum(outcome.result is Result.UNKNOWN for outcome in outcomes.values()) <= 1
            assert sum(outcome.result is Result.SENT for outcome in outcomes.values()) >= 2
            watched.journal.close()
