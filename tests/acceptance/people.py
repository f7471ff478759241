"""The people of the rehearsal: where they are, what they type, and what they will do. The same for the same seed."""

import random
from dataclasses import dataclass, field
from enum import StrEnum

GARDEN, SALES = "garden-tips", "plant-sales"
_DOMAINS = (
    ("example.org", 30),
    ("home.example.net", 20),
    ("gmail.com", 14),
    ("outlook.com", 8),
    ("yahoo.com", 6),
    ("Bücher.example", 5),
    ("göteborg.example", 5),
    ("café-tuin.example", 4),
    ("Example.COM", 8),
)
_LOCALES = (("en", 50), ("sv", 30), ("nl", 20))
_WRONG = (
    "nobody",
    "two words@example.org",
    "somebody@gmial.com",
    "somebody@hotmail.con",
    "one@two@example.org",
    "@example.org",
    "somebody@",
    "some..body@example.org",
)


class Answer(StrEnum):
    """What somebody does with the confirmation mail. `GONE`: it never reaches them, the mailbox does not exist."""

    YES = "yes"
    NO = "no"
    NEVER = "never"
    NOTHING = "nothing"
    GONE = "gone"


@dataclass(frozen=True)
class Person:
    """`typed`: the address as they write it; `to`: where mail for it must go; `mailbox`: which one that is.

    `plan`: what their server answers to the first tries. `misspelt`: what they type first.
    """

    number: int
    typed: str
    ip: str
    locale: str
    topics: tuple[str, ...]
    ticked: tuple[str, ...]
    answer: Answer
    misspelt: str = ""
    plan: tuple[int, ...] = ()
    withdraws: str = ""  # "one-click" or "page", from garden tips, while the campaigns are sent
    presses_twice: bool = False
    twin: bool = False
    to: str = field(init=False)
    mailbox: str = field(init=False)

    def __post_init__(self) -> None:
        local, _, domain = self.typed.rpartition("@")
        where = domain.lower().encode("idna").decode()
        object.__setattr__(self, "to", f"{local}@{where}")
        folded = local.partition("+")[0].lower()
        if where == "gmail.com":
            folded = folded.replace(".", "")
        object.__setattr__(self, "mailbox", f"{folded}@{where}")

    def agreed(self, topic: str) -> bool:
        """Whether they end up agreeing to `topic`."""
        return self.answer is Answer.YES and topic in self.ticked

    def never_takes(self, code: int) -> bool:
        """Whether their server answers `code` for good once the confirmation has arrived."""
        return self.plan[-2:] == (code, 0)


def population(size: int, seed: int) -> list[Person]:
    """`size` people, about every fortieth sharing a mailbox with the one before under another +tag."""
    dice = random.Random(seed)
    people: list[Person] = []
    for number in range(size):
        twin = people[-1] if number % 40 == 39 else None
        people.append(_person(dice, number, twin))
    return people


def _pick(dice: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    values, weights = zip(*weighted, strict=True)
    return str(dice.choices(values, weights)[0])


def _person(dice: random.Random, number: int, twin: Person | None) -> Person:
    topics = dice.choice(((GARDEN,), (SALES,), (GARDEN, SALES), (GARDEN, SALES), (GARDEN, SALES)))
    ticked = topics if len(topics) == 1 or dice.random() < 0.9 else (dice.choice(topics),)
    answers = (("yes", 91), ("no", 3), ("never", 1), ("nothing", 3), ("gone", 2))
    answer = Answer(_pick(dice, answers))
    if twin is not None:
        answer = Answer.YES if twin.answer is Answer.YES else twin.answer
    withdraws = ""
    if answer is Answer.YES and GARDEN in ticked:
        withdraws = dice.choices(("", "one-click", "page"), (82, 14, 4))[0]
    return Person(
        number=number,
        typed=_address(dice, number, twin),
        ip=_network(dice, number),
        locale=twin.locale if twin else _pick(dice, _LOCALES),
        topics=topics,
        ticked=ticked,
        answer=answer,
        misspelt=dice.choice(_WRONG) if dice.random() < 0.04 else "",
        plan=_plan(dice, answer, is_special=bool(twin or withdraws)),
        withdraws=withdraws,
        presses_twice=dice.random() < 0.05,
        twin=twin is not None,
    )


def _address(dice: random.Random, number: int, twin: Person | None) -> str:
    if twin is not None:
        local, _, domain = twin.typed.rpartition("@")
        return f"{local.partition('+')[0]}+again{number}@{domain}"
    name = dice.choice(("Anna", "bo.ek", "chidi", "dina-m", "Eva_L", "jörg"))
    tag = f"+{dice.choice(('garden', 'list', 'x1'))}" if dice.random() < 0.1 else ""
    return f"{name}.{number}{tag}@{_pick(dice, _DOMAINS)}"


def _network(dice: random.Random, number: int) -> str:
    """Some ten people a network, a third of them on IPv6, none on a network with a person of another ten."""
    block = number // 10
    if block % 3 == 2:
        return f"2001:db8:{block:x}::{dice.randrange(1, 65536):x}"
    return f"10.{block // 250}.{block % 250}.{dice.randrange(1, 255)}"


def _plan(dice: random.Random, answer: Answer, *, is_special: bool) -> tuple[int, ...]:
    """`is_special`: one who withdraws or shares a mailbox; at most their campaign's mail is put off."""
    if answer is Answer.GONE:
        return (550, 0)
    if is_special:
        return (250, 250, 451, 451) if dice.random() < 0.2 else ()
    slow = ((), (451,), (250, 451), (250, 452, 451), (250, 250, 451, 451), (250, 452, 0), (250, 550, 0))
    return dice.choices(slow, (86, 3, 4, 3, 2, 1, 1))[0]
