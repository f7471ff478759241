"""Words in conversations: how long one waits, what tags and public words may hold, and what may betray somebody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.addresses import scrub
from outreach.domain.conversations import (
    LONGEST_WORDS,
    as_read,
    check_answer,
    check_public,
    check_tags,
    check_words,
    may_betray,
    waited,
)
from outreach.domain.errors import InvalidInputError

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (0, "waiting less than an hour"),
        (HOUR - 1, "waiting less than an hour"),
        (HOUR, "waiting 1 hour"),
        (5 * HOUR + MINUTE, "waiting 5 hours"),
        (DAY, "waiting 1 day"),
        (3 * DAY + 23 * HOUR, "waiting 3 days"),
    ],
)
def test_a_wait_is_said_in_words(passed: int, words: str) -> None:
    assert waited(7, 7 + passed) == words


def test_words_keep_their_lines_and_lose_what_cannot_be_seen() -> None:
    assert check_words("  Dear all, \r\n\r\n\r\n\r\nthank\u202eyou\x00 \n") == "Dear all,\n\nthank you"


def test_a_strangers_words_keep_their_signs_and_lose_what_is_not_drawn() -> None:
    assert as_read("a\tb\r\n\x00c\u2066d\u2069\u2028👩\u200d🌾 é") == "a\tb\ncd\n👩\u200d🌾 é"


@pytest.mark.parametrize("typed", ["", " \n\t ", "x" * (LONGEST_WORDS + 1)])
def test_nothing_and_too_much_are_no_words(typed: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_words(typed)
    assert caught.value.field == "words"


def test_an_answer_passes_no_address_on_but_the_one_that_is_printed_anyway() -> None:
    printed = "privacy@northfield.example"
    assert printed in check_answer(f"Write to {printed}.", printed)
    for typed in (f"Write to {printed} or bob@example.org", "ask bob@example.org", "bob＠example.org"):
        with pytest.raises(InvalidInputError, match="nobody's is passed on"):
            check_answer(typed, printed)
    with pytest.raises(InvalidInputError):
        check_answer(f"Write to {printed}", "")


def test_tags_are_few_short_and_plain() -> None:
    assert check_tags(" Delivery,  too   often ,delivery,,") == ("delivery", "too often")
    assert check_tags("") == ()
    for typed in ("x" * 31, ",".join("abcdefghi"), "bob@example.org", "a\x00b"):
        with pytest.raises(InvalidInputError) as caught:
            check_tags(typed)
        assert caught.value.field == "tags"


@given(st.text(max_size=80))
def test_whatever_is_public_holds_no_address(typed: str) -> None:
    for words in (typed, f"{typed} bob@example.org"):
        try:
            kept = check_public(words, "said")
        except InvalidInputError:
            continue
        assert scrub(kept) == kept


@pytest.mark.parametrize(
    "words",
    [
        "One wrote “far too many” in May.",
        'Somebody said "stop it".',
        "„Zu viel“ hiess es",
        "«trop»",
        "they said 'never again', and left",
        "> I want out",
        "Call 070 123 45 67",
        "Mrs Green was right",
        "Herr Berg skrev",
    ],
)
def test_what_may_point_at_somebody_is_warned_of(words: str) -> None:
    assert may_betray(words)


@pytest.mark.parametrize(
    "words",
    ["Many found two mails a week too many.", "People's gardens differ; we can't please all.", "Since May: 12 in 30"],
)
def test_plain_words_about_many_need_no_warning(words: str) -> None:
    assert may_betray(words) == ()
