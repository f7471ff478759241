"""Names that would be taken for the organisation's or its staff's are found; names of people pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outreach.domain.own_names import folded, holds_one_of, names_an_office

OURS = ["Northfield Garden Society", "Möller & Co", "Ann"]
PEOPLE = [
    "Alice Berg",
    "Åsa Öberg",
    "王芳",
    "O'Neil-Smith, J.",
    "X Æ A-12",
    "Timothea Steam",
    "Norman Mailer",
    "Anna-Karin af Geijerstam",
    "Te Am",
    "नेहा शर्मा",
    "Johanna",
]


@pytest.mark.parametrize("name", PEOPLE)
def test_names_of_people_pass(name: str) -> None:
    assert not holds_one_of(name, OURS)
    assert not names_an_office(name)


@pytest.mark.parametrize(
    "name",
    [
        "Northfield Garden Society",
        "Northfield Garden Society Team",
        "The NORTHFIELD-GARDEN_SOCIETY!",
        "northfieldgardensociety",
        "N̲orthfield Gården Society",
        "Ｎｏｒｔｈｆｉｅｌｄ Garden Society",
        "Moller and Moller Co",
        "ann",
    ],
)
def test_our_names_are_found_however_they_are_spelt(name: str) -> None:
    assert holds_one_of(name, OURS)


@pytest.mark.parametrize(
    "name",
    [
        "Support",
        "Alice, Admin",
        "The Team",
        "No-Reply",
        "do not reply",
        "IT Help Desk",
        "Postmaster",
        "Account SECURITY",
        "Kundtjanst",
        "Administratören",
        "Klantenservice Noord",
        "Beveiliging",
    ],
)
def test_words_of_staff_are_found_in_the_languages_of_ours(name: str) -> None:
    assert names_an_office(name)


_letters = st.text(alphabet="abcdefghijklmnopqrstuvwxyzåäöéß", min_size=4, max_size=12)


@settings(deadline=None)
@given(ours=_letters, before=_letters, after=_letters, between=st.sampled_from(["", " ", "-", ".", "_", "  "]))
def test_a_name_around_ours_is_found_whatever_stands_between(ours: str, before: str, after: str, between: str) -> None:
    assert holds_one_of(before + between + between.join(ours.upper()) + between + after, [ours])


@settings(deadline=None)
@given(name=st.text(max_size=60))
def test_folding_is_stable(name: str) -> None:
    assert folded(folded(name)) == folded(name)
