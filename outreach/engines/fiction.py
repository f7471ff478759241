"""The invented organisation of `outreach demo`: its topics and texts, its people, what it wrote. All made up."""

import random
from dataclasses import dataclass

from outreach.services.senders import SenderFacts
from outreach.services.topics import NewText, NewTopic

_WEEK = 7 * 86_400
SENDER = SenderFacts(
    name="Northfield Garden Society",
    postal_address="1 Orchard Lane, Northfield",
    from_local="letters",
    from_domain="northfield.example",
)


def _topic(slug: str, name: str, purpose: str, expires_days: int | None = None) -> NewTopic:
    return NewTopic(
        slug=slug,
        sender=b"",
        name=name,
        purpose=purpose,
        retention_days=1095,
        expires_days=expires_days,
        not_for_children=True,
    )


TOPICS = (
    _topic("garden-tips", "Garden tips", "Practical letters about what to sow, prune and harvest"),
    _topic("seed-shop", "Seed shop", "News and offers from the society's seed shop"),
    _topic("spring-fair", "Spring fair", "Letters to visitors of the spring fair", 45),
)

_USEFUL = ("informational",)
_BOTH = ("informational", "promotional")
TEXTS = {
    "garden-tips": (
        NewText(
            locale="en",
            title="Garden tips",
            gets="what to sow and prune, written by our members",
            wording="I would like Northfield Garden Society to send me garden tips by e-mail, at most twice a week.",
            kinds=_BOTH,
            cap_n=2,
            cap_window=_WEEK,
            ratio_k=3,
        ),
        NewText(
            locale="sv",
            title="Trädgårdstips",
            gets="vad man kan så och beskära, skrivet av våra medlemmar",
            wording="Jag vill få trädgårdstips från Northfield Garden Society med e-post, högst två gånger i veckan.",
            kinds=_BOTH,
            cap_n=2,
            cap_window=_WEEK,
            ratio_k=3,
        ),
        NewText(
            locale="nl",
            title="Tuintips",
            gets="wat u kunt zaaien en snoeien, geschreven door onze leden",
            wording="Ik wil graag tuintips van Northfield Garden Society per e-mail, hoogstens twee keer per week.",
            kinds=_BOTH,
            cap_n=2,
            cap_window=_WEEK,
            ratio_k=3,
        ),
    ),
    "seed-shop": (
        NewText(
            locale="en",
            title="Seed shop",
            gets="new seeds and, now and then, an offer",
            wording="I would like Northfield Garden Society to send me seed shop news by e-mail, at most once a week.",
            kinds=_BOTH,
            cap_n=1,
            cap_window=_WEEK,
            ratio_k=1,
        ),
    ),
    "spring-fair": (
        NewText(
            locale="en",
            title="Spring fair",
            gets="the programme and what changes in it",
            wording="I would like Northfield Garden Society to write to me about this spring's fair, at most weekly.",
            kinds=_USEFUL,
            cap_n=1,
            cap_window=_WEEK,
            ratio_k=0,
        ),
    ),
}


@dataclass(frozen=True)
class Story:
    """A campaign of the past."""

    days_ago: int
    name: str
    topic: str
    kind: str
    subject: str
    preheader: str
    body: str


_HELLO = "Hello {{ first_name | default: 'there' }},\n\n"
_SIGNED = "\n\nWarmly,\nthe members of Northfield Garden Society\n"

CAMPAIGNS = (
    Story(
        45,
        "Sowing under glass",
        "garden-tips",
        "informational",
        "What to sow under glass now",
        "Peas, broad beans and a patient hand",
        _HELLO + "## Three that do not mind the cold\n\n- Broad beans, in deep pots"
        "\n- Peas, in a length of gutter\n- Sweet peas, soaked overnight first" + _SIGNED,
    ),
    Story(
        33,
        "Fair programme",
        "spring-fair",
        "informational",
        "The fair: who brings what",
        "Doors open at ten",
        "Hello,\n\nThe programme is ready. **Doors open at ten**, and the seed swap begins at eleven." + _SIGNED,
    ),
    Story(
        31,
        "Slugs, kindly",
        "garden-tips",
        "informational",
        "Slugs, and how to live with them",
        "Boards, beer, and toads",
        _HELLO + "Lay a board beside the lettuces at dusk and lift it at dawn." + _SIGNED,
    ),
    Story(
        24,
        "New in the seed shop",
        "seed-shop",
        "informational",
        "Eleven old beans, new in the shop",
        "Saved by members since 1931",
        "Hello,\n\nEleven climbing beans our members have saved for ninety years are in the shop this month." + _SIGNED,
    ),
    Story(
        20,
        "Compost that works",
        "garden-tips",
        "informational",
        "Compost that works in a year",
        "Half brown, half green, turned twice",
        _HELLO + "Half brown, half green, turned twice: that is all of it." + _SIGNED,
    ),
    Story(
        12,
        "Autumn offer",
        "seed-shop",
        "promotional",
        "Two for one on winter salads",
        "Until Sunday, for members and friends",
        "Hello,\n\nWinter purslane, mâche and mizuna: **two packets for the price of one** until Sunday." + _SIGNED,
    ),
    Story(
        9,
        "Tools offer",
        "garden-tips",
        "promotional",
        "Our pruning saw, a third off",
        "One offer after three useful letters, as promised",
        _HELLO + "The saw our members use is a third off this week." + _SIGNED,
    ),
    Story(
        2,
        "Pruning roses before frost",
        "garden-tips",
        "informational",
        "Pruning roses before frost",
        "Lightly now, hard in spring",
        _HELLO + "## Lightly now\n\nTake off what the wind would rock, and leave the hard cut for spring." + _SIGNED,
    ),
)

SWAP = (
    "Seed swap on Saturday",
    "garden-tips",
    "informational",
    "Bring your spare beans on Saturday",
    "The swap begins at eleven",
    _HELLO + "Bring what you have too much of: **the swap begins at eleven**, tea at noon." + _SIGNED,
)
FROST = (
    "First frost",
    "garden-tips",
    "informational",
    "The first frost comes this week",
    "Bring the dahlias in",
    _HELLO + "Lift the dahlias, cover the chard, and leave the parsnips: frost makes them sweet." + _SIGNED,
)
MISTAKE = (
    "Wrong date",
    "spring-fair",
    "informational",
    "The fair is on the third",
    "",
    "Hello,\n\nThis letter names the wrong day and was stopped in time." + _SIGNED,
)
NEXT_WEEK = (
    "Winter reading",
    "garden-tips",
    "informational",
    "Three garden books for long evenings",
    "Borrow them from the society's shelf",
    _HELLO + "Three books from our shelf, to borrow and bring back." + _SIGNED,
)
DRAFT = (
    "Seed list",
    "seed-shop",
    "informational",
    "Next year's seed list",
    "",
    "Hello,\n\nThe list is nearly ready." + _SIGNED,
)

_GIVEN = (
    "Alice",
    "Bo",
    "Carin",
    "Dirk",
    "Elsa",
    "Femke",
    "Gus",
    "Hanna",
    "Ivo",
    "Jonna",
    "Karel",
    "Liv",
    "Mats",
    "Noor",
)
_FAMILY = ("Berg", "Visser", "Lund", "Bakker", "Holm", "Smit", "Ek", "de Boer", "Nyman", "Mulder", "Ask", "Vos")
_HOSTS = ("example.org", "example.com", "example.net", "mail.example", "post.example")


@dataclass(frozen=True)
class Person:
    """Somebody invented. `answer`: what they do with the confirmation mail: yes, no, never, or nothing."""

    address: str
    locale: str
    topics: tuple[str, ...]
    network: str
    joined_days_ago: int
    answer: str


def invent_people(dice: random.Random, count: int) -> list[Person]:
    """`count` people in the order in which they signed up, at addresses that cannot exist (RFC 2606)."""
    people = []
    for number in range(count):
        name = f"{dice.choice(_GIVEN)}.{dice.choice(_FAMILY)}".lower().replace(" ", "")
        wanted = dice.choices(
            [("garden-tips",), ("seed-shop",), ("spring-fair",), ("garden-tips", "seed-shop")], [60, 10, 10, 20]
        )[0]
        joined = 59 - int(58 * (number / count) ** 0.8)
        people.append(
            Person(
                address=f"{name}{number}@{dice.choice(_HOSTS)}",
                locale=dice.choices(["en", "sv", "nl"], [60, 25, 15])[0],
                topics=wanted,
                network=f"198.51.{dice.randrange(100)}.0/24",
                joined_days_ago=joined,
                answer=dice.choices(["yes", "", "no", "never"], [88, 7, 4, 1])[0],
            )
        )
    return people
