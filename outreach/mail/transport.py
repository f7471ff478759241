"""What the pipeline and whatever carries mail tell each other: parcels, each one's outcome, a journal of the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Result(StrEnum):
    """What became of one hand-off. UNKNOWN: the final dot went out and no reply came. PUT_BACK: never begun."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    PUT_BACK = "put_back"


@dataclass(slots=True)  # frozen ones take three times as long to make, and there is one a mail
class Parcel:
    """One mail to one recipient. `decided`: time.monotonic() of the decision that it may go.

    `provider`: whose servers the recipient's mail ends at: gmail, microsoft, yahoo or other.
    """

    message_id: int
    mail_from: str = field(repr=False)
    rcpt_to: str = field(repr=False)
    data: bytes = field(repr=False)
    decided: float
    provider: str = "other"


@dataclass(slots=True)
class Outcome:
    """`code`: the relay's final SMTP code, None where it gave none. `enhanced`: RFC 3463 code or "".

    `reply`: the relay's words (or ours), addresses masked. `bad_address`: the mailbox does not exist (5.1.1-type).
    `relay`: the name of the relay that was asked, "" where none was or it has no name.
    """

    message_id: int
    result: Result
    code: int | None = None
    enhanced: str = ""
    reply: str = ""
    bad_address: bool = False
    relay: str = ""


class Journal(Protocol):
    """A worker's local memory of how far each hand-off came. Called from the transport's own threads.

    Notes may wait for `flush`, which the transport calls before the octets they speak of are handed to the kernel,
    and after each reply. Raises OSError where it cannot be written: then nothing more is begun.
    """

    def begun(self, message_id: int) -> None:
        """MAIL FROM is about to be written."""

    def dotted(self, message_id: int) -> None:
        """The final dot is about to be written."""

    def replied(self, message_id: int, code: int, text: str) -> None:
        """The relay's final reply; addresses in `text` are masked."""

    def flush(self) -> None:
        """All that was noted so far is in the kernel when this returns, in one write."""


Stop = Callable[[int], bool]
"""Asked just before MAIL FROM is written, in the carrier's own thread: whether this message is to be put back."""


class Transport(Protocol):
    """What carries mail: `relays.Router`, whatever stands behind the relay or pool a sender names."""

    def hand_off(
        self,
        pool: str,
        parcels: Sequence[Parcel],
        journal: Journal,
        stop: Stop | None = None,
        room: Mapping[str, int] | None = None,
    ) -> list[Outcome]:
        """One outcome for each parcel. `room`: how many of them each relay may take; None: as many as it will."""

    def close(self) -> None:
        """Let go of every connection."""
