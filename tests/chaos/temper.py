"""How badly a mail server behaves: what it does to each connection and each mail, drawn by a seed, the same each time.

Faults grow rarer with every try in a row that came to nothing and end with the fourth, so that a run ends too.
"""

import random
from dataclasses import dataclass

DROP = 0
"""Instead of a reply code: the connection is cut without one."""

_PATIENCE = 3
_GONE = 1 / 150


@dataclass(frozen=True)
class Turn:
    """What happens at one point of a conversation.

    `code`: the reply, or DROP; `takes`: the mail is taken all the same; `seconds`: thought over before.
    """

    code: int
    takes: bool = False
    seconds: float = 0.0
    enhanced: str = ""

    @property
    def words(self) -> bytes:
        return " ".join(filter(None, (str(self.code), self.enhanced, _WORDS[self.code]))).encode() + b"\r\n"


_WORDS = {
    220: "sink.example ESMTP",
    250: "Good",
    354: "Go on",
    421: "Closing",
    450: "Mailbox busy",
    451: "Greylisted, try again later",
    452: "Mailbox full",
    550: "No such user",
    554: "Not wanted here",
}
_GO_ON = Turn(250, enhanced="2.1.0")
_TAKEN = Turn(250, takes=True, enhanced="2.0.0")
_TIRED = Turn(421, enhanced="4.4.2")
_LESS = Turn(421, enhanced="4.3.2")  # asks for less mail: whoever meets it slows down, so it is rare here
_CUT = Turn(DROP)
_Chances = tuple[tuple[Turn, float], ...]

_GREETING: _Chances = ((_TIRED, 0.02), (_CUT, 0.02))
_MAIL: _Chances = ((_TIRED, 0.004), (_LESS, 0.0003), (Turn(451, enhanced="4.3.0"), 0.004), (_CUT, 0.003))
_RCPT: _Chances = (
    (Turn(451, enhanced="4.7.1"), 0.012),
    (Turn(452, enhanced="4.2.2"), 0.006),
    (Turn(550, enhanced="5.7.1"), 0.003),
    (_TIRED, 0.002),
    (_CUT, 0.003),  # MAIL is answered, RCPT and DATA that came with it are not
)
_DATA: _Chances = ((Turn(451, enhanced="4.3.0"), 0.003), (_CUT, 0.003))
_BODY: _Chances = ((_CUT, 0.0012),)
_DOT: _Chances = (
    (_TIRED, 0.002),
    (Turn(451, enhanced="4.3.0"), 0.006),
    (Turn(450, enhanced="4.2.0"), 0.004),
    (Turn(554, enhanced="5.7.1"), 0.003),
    (Turn(DROP, takes=False), 0.0005),
    (Turn(DROP, takes=True), 0.0008),
    (Turn(DROP, takes=True, seconds=2.5), 0.0003),
    (Turn(250, takes=True, seconds=3.0, enhanced="2.0.0"), 0.005),
    (Turn(451, seconds=2.0, enhanced="4.3.0"), 0.001),
)


@dataclass(frozen=True)
class Temper:
    """The plan of one run. `pace`: seconds a mail is thought over on average."""

    seed: int
    pace: float

    def greeting(self, connection: int) -> Turn:
        return self._draw(_GREETING, "greeting", str(connection)) or Turn(220)

    def mail(self, transaction: int) -> Turn:
        """Nothing is known yet of whose mail it is."""
        return self._draw(_MAIL, "mail", str(transaction)) or _GO_ON

    def rcpt(self, recipient: str, number: int, tries: int) -> Turn:
        """`number`: which RCPT of theirs it is; `tries`: how many in a row came to nothing before."""
        if self._dice("gone", recipient).random() < _GONE:
            return Turn(550, enhanced="5.1.1")
        return self._draw(_RCPT, "rcpt", f"{recipient}/{number}", tries) or _GO_ON

    def data(self, recipient: str, number: int, tries: int) -> Turn:
        return self._draw(_DATA, "data", f"{recipient}/{number}", tries) or Turn(354)

    def cuts_body(self, recipient: str, number: int, tries: int) -> bool:
        return self._draw(_BODY, "body", f"{recipient}/{number}", tries) is not None

    def dot(self, message_id: str, tries: int) -> Turn:
        """`seconds` holds the pace too."""
        turn = self._draw(_DOT, "dot", f"{message_id}/{tries}", tries) or _TAKEN
        seconds = turn.seconds or self._dice("pace", f"{message_id}/{tries}").uniform(0.2, 1.8) * self.pace
        return Turn(turn.code, turn.takes, seconds, turn.enhanced)

    def _draw(self, chances: _Chances, point: str, whom: str, tries: int = 0) -> Turn | None:
        if tries >= _PATIENCE:
            return None
        left = self._dice(point, whom).random() * (tries + 1)
        for turn, chance in chances:
            left -= chance
            if left < 0:
                return turn
        return None

    def _dice(self, point: str, whom: str) -> random.Random:
        return random.Random(f"{self.seed}/{point}/{whom}")
