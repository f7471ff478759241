"""Notes and names are plain words: nothing that leads away, nothing that cannot be seen, however it is spelt."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outreach.domain.plain_words import (
    LONGEST_NAME,
    LONGEST_NOTE,
    Fault,
    PlainWordsError,
    check_name,
    check_note,
)

PLAIN = [
    "Hello, we met at the seed swap. I'd like to hear how your beans did.",
    "Wait... really? Yes! (I think so.) See you at 9.30 a.m., e.g. on Monday.",
    "Dr. Berg and J. Smith, Ph.D., from the U.S.A. say hello; 3.5 kg of plums, no. 7",
    "Tack för sist på koloniföreningen! Åsa",
    "Wat leuk om je te zien, tot morgen om 10 uur.",
    "こんにちは。会えてうれしかったです。また来週。",
    "سلام! می‌خواهم با تو در تماس باشم",
    "नमस्ते, आपसे मिलकर अच्छा लगा।",
    "Grüße 👩‍🌾 👍🏽 ❤️",
    "I have 12 cats & 3 dogs, 100 % true - or not?",
    "polka dot dress",
    "Meet at 9:30 or 10:30; bring: beans, peas, 2 pots, 1 spade.",
    "Some data: 12 beds, 340 plants. File: later.",
]
LEADING_AWAY = [
    (Fault.WEB, "see https://shop.example"),
    (Fault.WEB, "see example.org please"),
    (Fault.WEB, "see EXAMPLE.ORG/path"),
    (Fault.WEB, "www shop"),
    (Fault.WEB, "example .org"),
    (Fault.WEB, "example . org"),
    (Fault.WEB, "example(dot)org"),
    (Fault.WEB, "example [ . ] org"),
    (Fault.WEB, "example dot com"),
    (Fault.WEB, "koloni dot se"),
    (Fault.WEB, "bit.ly/2x"),
    (Fault.WEB, "💩.la"),
    (Fault.WEB, "ｅｘａｍｐｌｅ．ｏｒｇ"),
    (Fault.WEB, "example․org"),
    (Fault.WEB, "example。org"),
    (Fault.WEB, "exa\u200dmple.o\u200drg"),
    (Fault.WEB, "उदाहरण.भारत"),
    (Fault.WEB, "mailto: me"),
    (Fault.WEB, "try 1.2.3.4 now"),
    (Fault.WEB, "example.\u0332org"),
    (Fault.WEB, "javascript:alert(1)"),
    (Fault.WEB, "sms:0123"),
    (Fault.WEB, "data:text"),
    (Fault.WEB, "WhatsApp:0701"),
    (Fault.ADDRESS, "a@b"),
    (Fault.ADDRESS, "alice＠example"),
    (Fault.ADDRESS, "alice (at) example"),
    (Fault.PHONE, "ring 0701234567"),
    (Fault.PHONE, "ring +46 (0)70 - 123 45 67"),
    (Fault.PHONE, "ring 070–123·45*67"),
    (Fault.PHONE, "ring ０７０１２３４５"),
    (Fault.PHONE, "ring ①②③④⑤⑥⑦"),
    (Fault.PHONE, "0\ufe0f\u20e38\ufe0f\u20e30\ufe0f\u20e30\ufe0f\u20e31\ufe0f\u20e32\ufe0f\u20e33\ufe0f\u20e3"),
    (Fault.PHONE, "0\u03328\u03320\u03320\u03321\u03322\u03323\u0332"),
    (Fault.PHONE, "0800,123,4567"),
    (Fault.PHONE, "0800:123:4567"),
    (Fault.PHONE, "0800; 123; 4567"),
    (Fault.PHONE, "0800 👍 123 👍 4567"),
    (Fault.MARKUP, "<b>hello</b>"),
    (Fault.MARKUP, "hello&nbsp;you"),
    (Fault.MARKUP, "[hello](there)"),
    (Fault.MARKUP, "＜b＞"),
    (Fault.UNSEEN, "he\u202ello"),
    (Fault.UNSEEN, "he\u00adllo"),
    (Fault.UNSEEN, "\u3164\u3164"),
    (Fault.UNSEEN, "e" + "\u0301\u0316" * 3),
    (Fault.TOO_LONG, "x" * (LONGEST_NOTE + 1)),
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_people_write_passes_as_it_is(text: str) -> None:
    assert check_note(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(("fault", "text"), LEADING_AWAY)
def test_what_leads_away_or_cannot_be_seen_is_named(fault: Fault, text: str) -> None:
    with pytest.raises(PlainWordsError) as told:
        check_note(text)
    assert (told.value.fault, told.value.field) == (fault, "note")
    assert text not in str(told.value)


def test_spaces_are_tidied_and_empty_lines_do_not_push_the_rest_away() -> None:
    assert check_note("  Hello \t you  \r\n\n\n\n\n  Alice ") == "Hello you\n\nAlice"
    assert check_note(" \n ") == ""


@pytest.mark.parametrize("name", ["Alice Berg", "Åsa", "王芳", "O'Neil-Smith, J.", "X Æ A-12"])
def test_names_of_people_pass(name: str) -> None:
    assert check_name(f"  {name} ") == name


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (Fault.NO_NAME, ""),
        (Fault.NO_NAME, "12"),
        (Fault.NO_NAME, "…"),
        (Fault.TOO_LONG, "x" * (LONGEST_NAME + 1)),
        (Fault.WEB, "Alice of shop.example"),
        (Fault.ADDRESS, "alice@example"),
        (Fault.UNSEEN, "\u3164"),
    ],
)
def test_what_is_no_name_is_refused(fault: Fault, name: str) -> None:
    with pytest.raises(PlainWordsError) as told:
        check_name(name)
    assert (told.value.fault, told.value.field) == (fault, "name")


def test_a_name_is_one_line() -> None:
    assert check_name("Alice\nBerg\u2028Jr") == "Alice Berg Jr"


def _tries(check: object, text: str) -> str | None:
    try:
        return check_note(text) if check is check_note else check_name(text)
    except PlainWordsError:
        return None


@settings(deadline=None)
@given(text=st.text(max_size=220), check=st.sampled_from([check_note, check_name]))
@example(text="a\u0345\u0345", check=check_note)
def test_what_passed_passes_again_unchanged_and_holds_nothing_forbidden(text: str, check: object) -> None:
    once = _tries(check, text)
    if once is None:
        return
    assert _tries(check, once) == once
    folded = unicodedata.normalize("NFKC", once)
    assert not {"<", ">", "@"} & set(folded)
    assert "://" not in folded
    assert sum(1 for line in once.split("\n") if line != " ".join(line.split())) == 0


_letters = st.text(alphabet="abcdefghijklmnopqrstuvwxyzåäöéß", min_size=2, max_size=12)
_around = st.text(alphabet="abc ,!?", max_size=20)
_dots = st.sampled_from([".", "．", "․", "｡", "。"])


@settings(deadline=None)
@given(before=_around, name=_letters, dot=_dots, ending=st.text("abcdefghij", min_size=2, max_size=8), after=_around)
def test_no_domain_passes_with_any_dot_and_any_words_around(
    before: str, name: str, dot: str, ending: str, after: str
) -> None:
    assert _tries(check_note, f"{before} {name}{dot}{ending} {after}") is None


_GAPS = ["", " ", "-", ".", "/", "(", ")", "–", "  ", ",", ": ", ";", "\u0332", "\ufe0f\u20e3", "|", "…"]


@settings(deadline=None)
@given(
    digits=st.lists(st.sampled_from("0123456789"), min_size=7, max_size=12),
    between=st.lists(st.sampled_from(_GAPS), min_size=12, max_size=12),
)
def test_no_long_number_passes_however_it_is_grouped(digits: list[str], between: list[str]) -> None:
    number = "".join(digit + gap for digit, gap in zip(digits, between, strict=False))
    assert _tries(check_note, f"ring {number} soon") is None
