"""A campaign's letters filled in at the gaps: whatever the values are, two parsers read what the plain words say."""

import base64
import itertools
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outreach.domain.errors import InvalidInputError
from outreach.mail import quoted
from outreach.mail.compose import Envelope, Form, compose, dress
from outreach.mail.content import Filled, Prepared, fill, prepare
from outreach.mail.lines import Smooth, is_smooth, stuffed
from outreach.mail.quoted import Gap
from tests.mail.perl import PARSE, Perl
from tests.mail.test_compose import (
    CAMPAIGN,
    FOOTER,
    NOW,
    SENDER,
    STOP,
    TOPIC,
    as_one_line,
    lines,
    part,
    read,
    well_formed,
)

WHY_TOKEN, STOP_TOKEN, REFERENCE = (f"t1.{'w' * 32}.{'y' * 32}", f"t1.{'s' * 32}.{'_-' * 16}", "K7Q2-M9XR-T4")
BLANK_FOOTER = replace(FOOTER, why_url="https://mail.example.org/why/", stop_url="https://mail.example.org/stop/")
SIGNED_BY = replace(
    FOOTER,
    why_url=BLANK_FOOTER.why_url + WHY_TOKEN,
    stop_url=BLANK_FOOTER.stop_url + STOP_TOKEN,
    contact_reference=REFERENCE,
)

EVERYWHERE = prepare(
    "For {{ a }}: {{ b | default: 'you' }}",
    "{{ a }} {{ b }}",
    "{{ a }}{{ b }}\n\nDear {{ a }},\n\n"
    f"{'A line as long as a paragraph of a letter may well be, and '}{{{{ b }}}}{' then it goes on = and on' * 5}\n\n"
    "[{{ a }}](https://example.org/p?a={{ a }}&b={{ b }})\n\n- {{ b }}\n- .{{ a }}\n\n{{ b }} {{ a }}\n\n"
    "Åå{{ a }}…\n\n{{ b }}",
)
ONLY_THE_FOOTER = prepare("Nothing of anybody", "", "The same for all, " * 300)
TWICE = prepare("No field", "", "Dear {{ a }},\n\nand {{ b }}.")
BEYOND_FIELDS = prepare(
    "For {{ a | upcase }}", "", "{% if a %}Dear {{ a }}{% endif %}\n\nText\n\n{% if b %}{{ b }}{% endif %}"
)

PLAIN = (TWICE, {"a": "reader", "b": "you"})

HOSTILE = [
    "", " ", "=", "==", "=20", ".", "..", "\r\n.\r\n", "From me", "--=_outreach--", "a\r\n\r\n--=_outreach", "\0",
    "trailing  ", "tab\t", "🎉" * 30, "e\u0301", "\u2028", "\ud800", "<b>", '"&\'', "{{ a }}", "<!--footer-->", "-- ",
    "\x7f", "w" * 900, "ö" * 90, "= " * 90, "a" * 75, "a" * 76, "?=\r\n =?utf-8?q?=41?=",
]  # fmt: skip
VALUES = (
    st.sampled_from(HOSTILE)
    | st.text(max_size=60)
    | st.text("= .a\r\n\té", max_size=160)
    | st.integers(0, 90).map(lambda n: "x" * n + " ")
)
LONG = st.sampled_from(["w" * 10_000, "ö" * 3_000, "= " * 3_000, "a b" * 3_000, "&" * 2_000])
FIELDS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES})


def letter(prepared: Prepared, fields: Mapping[str, str]) -> bytes:
    form = Form(prepared, SENDER, TOPIC, BLANK_FOOTER)
    return form.write(
        "reader@example.net", "m1@example.org", NOW, why=WHY_TOKEN, stop=STOP_TOKEN, reference=REFERENCE, fields=fields
    )


def words(prepared: Prepared, fields: Mapping[str, str]) -> Filled:
    """What it should say: the plain way, which quotes nothing."""
    return dress(fill(prepared, fields), SENDER.name, SIGNED_BY)


@settings(max_examples=300)
@given(
    st.sampled_from(
        [EVERYWHERE, ONLY_THE_FOOTER, TWICE, BEYOND_FIELDS, prepare("{{ a }}", "", ".{{ a }}\n\n{{ b }}.{{ a }}")]
    ),
    FIELDS,
)
@example(PLAIN[0], PLAIN[1])
def test_what_is_said_to_be_smooth_is(prepared: Prepared, fields: Mapping[str, str]) -> None:
    written = letter(prepared, fields)
    if isinstance(written, Smooth):
        assert is_smooth(bytes(written))
    else:
        assert (prepared, fields) != PLAIN, "a plain letter need not be looked through"
    assert stuffed(written) == stuffed(bytes(written))


@pytest.fixture(scope="module")
def parser() -> Iterator[Perl]:
    with Perl(PARSE) as running:
        yield running


@given(fields=FIELDS)
@example({"a": "", "b": ""})
def test_whatever_the_values_are_the_words_come_back(fields: dict[str, str]) -> None:
    octets = letter(EVERYWHERE, fields)
    well_formed(octets)
    message, meant = read(octets), words(EVERYWHERE, fields)
    assert message["Subject"] == as_one_line(meant.subject)
    assert lines(part(message, "plain")) == lines(meant.text)
    assert lines(part(message, "html")) == lines(meant.html)
    assert message["List-Unsubscribe"] == f"<{SIGNED_BY.stop_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@given(fields=st.fixed_dictionaries({"a": LONG, "b": LONG | VALUES}))
@settings(max_examples=20)
def test_values_of_ten_kilobytes_come_back_too(fields: dict[str, str]) -> None:
    octets = letter(TWICE, fields)
    well_formed(octets)
    meant = words(TWICE, fields)
    assert lines(part(read(octets), "plain")) == lines(meant.text)
    assert lines(part(read(octets), "html")) == lines(meant.html)


@given(fields=FIELDS)
@settings(max_examples=60)
def test_a_second_parser_reads_the_same(parser: Perl, fields: dict[str, str]) -> None:
    octets = letter(EVERYWHERE, fields)
    theirs, ours, meant = parser.ask(octets), read(octets), words(EVERYWHERE, fields)
    assert theirs["problems"] == []
    assert theirs["type"] == "multipart/alternative"
    fields_read = {name: base64.b64decode(value).decode() for name, value in theirs["fields"]}
    assert list(fields_read) == ours.keys()
    assert fields_read["To"] == ours["To"] == "reader@example.net"
    assert fields_read["List-Unsubscribe"] == ours["List-Unsubscribe"]
    assert str(make_header(decode_header(fields_read["Subject"]))) == as_one_line(meant.subject)
    assert [(one["type"], one["charset"], one["encoding"]) for one in theirs["parts"]] == [
        ("text/plain", "utf-8", "quoted-printable"),
        ("text/html", "utf-8", "quoted-printable"),
    ]
    text, html = (base64.b64decode(one["body"]).decode() for one in theirs["parts"])
    assert (lines(text), lines(html)) == (lines(meant.text), lines(meant.html))


@given(fields=FIELDS)
@settings(max_examples=30)
def test_words_with_more_than_fields_are_written_all_the_same(fields: dict[str, str]) -> None:
    octets = letter(BEYOND_FIELDS, fields)
    well_formed(octets)
    message, meant = read(octets), words(BEYOND_FIELDS, fields)
    assert lines(part(message, "plain")) == lines(meant.text)
    assert lines(part(message, "html")) == lines(meant.html)
    assert "K7Q2-M9XR-T4" in part(message, "plain")


def test_a_form_and_a_single_mail_are_the_same_but_for_their_soft_line_breaks() -> None:
    fields = {"a": "Åsa = friend ", "b": "w" * 100}
    envelope = Envelope(SENDER, CAMPAIGN.to, CAMPAIGN.message_id, NOW, TOPIC, SIGNED_BY.stop_url)
    alone = compose(envelope, fill(EVERYWHERE, fields), SIGNED_BY)
    filled_in = letter(EVERYWHERE, fields)
    head, _, body = alone.partition(b"\r\n\r\n")
    assert filled_in.startswith(head + b"\r\n\r\n")
    flat = [re.sub(rb"=\r\n", b"", one).replace(b"=20", b" ") for one in (body, filled_in[len(head) + 4 :])]
    assert flat[0] == flat[1]


@given(
    st.lists(st.text("= .a\n\té🎉", max_size=90) | st.integers(0, 3).map(lambda key: Gap(key, 20)), max_size=8),
    st.lists(VALUES.map(as_one_line), min_size=4, max_size=4),
)
def test_text_laid_out_round_gaps_reads_as_if_it_had_none(parts: list[str | Gap], values: list[str]) -> None:
    laid = quoted.lay_out([*parts, "\n"])
    octets = b"".join(quoted.fit(values[one.key], one.room) if isinstance(one, Gap) else one for one in laid)
    whole = "".join(values[one.key] if isinstance(one, Gap) else one for one in parts) + "\n"
    assert quopri.decodestring(octets.replace(b"\r\n", b"\n")).decode() == whole.encode("utf-8", "replace").decode()
    assert all(len(line) <= 76 for line in octets.split(b"\r\n"))


def test_no_column_and_no_length_makes_a_line_too_long_or_cuts_an_octet() -> None:
    for before, length, value in itertools.product(range(70, 78), (0, 19, 20, 21, 74, 75, 76, 150), ("x", "=", "ö")):
        filled_in = value * length
        laid = quoted.lay_out(["=" * 3 + "a" * (before - 9), Gap(0, 20), "=" * 40 + "b" * before + " \n"])
        octets = b"".join(quoted.fit(filled_in, one.room) if isinstance(one, Gap) else one for one in laid)
        whole = "=" * 3 + "a" * (before - 9) + filled_in + "=" * 40 + "b" * before + " \n"
        assert quopri.decodestring(octets.replace(b"\r\n", b"\n")).decode() == whole
        assert all(len(line) <= 76 for line in octets.split(b"\r\n"))
        assert not re.search(rb"=(?![0-9A-F]{2}|\r\n)", octets)


def test_a_line_of_76_octets_with_a_space_behind_it_is_broken() -> None:
    octets = compose(CAMPAIGN, Filled("s", "", "x" * 75 + " \ny", "x" * 75 + " \n" + "x" * 76 + "\n"), FOOTER)
    well_formed(octets)
    assert lines(part(read(octets), "plain"))[:2] == ["x" * 75 + " ", "x" * 76]


def test_a_space_before_a_value_stays_a_space_where_the_line_goes_on() -> None:
    assert b"\r\nDear Anna,\r\n" in letter(EVERYWHERE, {"a": "Anna"})


def test_links_with_tokens_of_any_length_stay_whole() -> None:
    form = Form(ONLY_THE_FOOTER, SENDER, TOPIC, BLANK_FOOTER)
    for length in (1, 71, 72, 73, 98, 300):
        token = "t" * length
        octets = form.write("a@b.org", "m@b.org", NOW, why=token, stop=token, reference=REFERENCE, fields={})
        well_formed(octets)
        for kind in ("plain", "html"):
            shown = part(read(octets), kind)
            assert f"{BLANK_FOOTER.stop_url}{token}" in shown
            assert f"{BLANK_FOOTER.why_url}{token}" in shown


def test_a_form_keeps_nothing_of_one_reader_for_the_next() -> None:
    form = Form(EVERYWHERE, SENDER, TOPIC, BLANK_FOOTER)
    first = form.write(
        "a@b.org", "m1@b.org", NOW, why="w1", stop="s1", reference="R1", fields={"a": "Anna", "b": "Ben"}
    )
    form.write("c@d.org", "m2@b.org", NOW, why="w2", stop="s2", reference="R2", fields={"a": "Cleo"})
    assert first == form.write(
        "a@b.org", "m1@b.org", NOW, why="w1", stop="s1", reference="R1", fields={"a": "Anna", "b": "Ben"}
    )


@pytest.mark.parametrize("wrong", ["a@b.org, c@d.org", "a@b.org\r\nBcc: c@d.org", "<a@b.org>", "a", "a@b@c.org"])
def test_a_letter_to_no_address_is_refused(wrong: str) -> None:
    form = Form(ONLY_THE_FOOTER, SENDER, TOPIC, BLANK_FOOTER)
    with pytest.raises(InvalidInputError):
        form.write(wrong, "m@b.org", NOW, why="w", stop="s", reference="R", fields={})


def test_a_letter_that_grows_beyond_100_kb_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        letter(EVERYWHERE, {"a": "ö" * 20_000})


def test_a_campaign_whose_stop_link_is_none_is_refused() -> None:
    form = Form(ONLY_THE_FOOTER, SENDER, TOPIC, replace(BLANK_FOOTER, stop_url="mailto:stop@example.org?"))
    with pytest.raises(InvalidInputError):
        form.write("a@b.org", "m@b.org", NOW, why="w", stop="s", reference="R", fields={})
    assert STOP.startswith(BLANK_FOOTER.stop_url)
