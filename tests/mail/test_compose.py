"""Mails as octets, read back by the standard library."""

import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.errors import InvalidInputError
from outreach.mail.compose import Envelope, Returns, Sender, TopicList, compose, message_id
from outreach.mail.content import FOOTER_MARK, MASTHEAD_MARK, Filled, fill, prepare
from outreach.mail.footer import Footer

NOW = 1_790_000_000_000_000
SENDER = Sender("Northfield Gardens", "news@example.org")
STOP = "https://mail.example.org/stop/t1.abc"
TOPIC = TopicList("ab12cd", "Garden tips", "c0ffee")
SYSTEM = Envelope(sender=SENDER, to="reader@example.net", message_id="m1@example.org", now=NOW)
CAMPAIGN = replace(SYSTEM, topic=TOPIC, stop_url=STOP)
FILLED = Filled("Hello", "", f"<p>{MASTHEAD_MARK}</p><p>body</p>{FOOTER_MARK}", "body\n")
FOOTER = Footer(
    sender_name="Northfield Gardens",
    postal_address="1 Mill Road\n1234 Town",
    controller="Northfield Society",
    topic="Garden tips",
    cap_n=2,
    cap_window=7 * 86_400,
    locale="en",
    why_url="https://mail.example.org/why/t1.def",
    stop_url=STOP,
    contact_reference="K7Q2-M9XR",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def read(octets: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content = found.get_content()
    assert isinstance(content, str)
    return content


def as_one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


def well_formed(octets: bytes) -> None:
    """CRLF throughout, header lines within 998, body lines within 76 (RFC 5322 §2.1.1, RFC 2045 §6.7)."""
    assert octets.endswith(b"\r\n")
    assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
    head, _, body = octets.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert all(len(line) <= 76 for line in body.split(b"\r\n"))
    assert head.isascii()


def names(octets: bytes) -> list[str]:
    head = octets.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(":")[0] for line in head.split("\r\n") if line[0] not in " \t"]


@given(subject=TEXT, display=TEXT, html=TEXT, text=TEXT)
def test_any_words_come_back_as_they_went_in(subject: str, display: str, html: str, text: str) -> None:
    envelope = replace(SYSTEM, sender=replace(SENDER, name=display))
    octets = compose(envelope, Filled(subject, "", html, text))
    well_formed(octets)
    message = read(octets)
    assert names(octets) == names(compose(SYSTEM, FILLED))
    assert message["Subject"] == as_one_line(subject)
    assert who(octets) == (re.sub(" +", " ", as_one_line(display)).strip(" "), SENDER.address)
    assert lines(part(message, "plain")) == lines(text)
    assert lines(part(message, "html")) == lines(html)


def who(octets: bytes) -> tuple[str, str]:
    """From, by the older parser: the newer puts a space between adjacent encoded words, against RFC 2047 §6.2."""
    name, address = parseaddr(str(email.message_from_bytes(octets)["From"]))
    return str(make_header(decode_header(name))), address


def lines(text: str) -> list[str]:
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    return (whole if whole.endswith("\n") else whole + "\n").split("\n")


@given(subject=st.text('abc =?_\\"<>@,;:()é\t', max_size=120))
def test_subjects_that_look_like_syntax_come_back_too(subject: str) -> None:
    octets = compose(SYSTEM, replace(FILLED, subject=subject))
    well_formed(octets)
    assert read(octets)["Subject"] == as_one_line(subject)


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: all@example.org", "x\nBcc: y", "x\r\n\r\nbody", "x\x00y", "x\u2028y", "\r", "x\ud800"]
)
def test_no_text_starts_a_header_of_its_own(evil: str) -> None:
    envelope = replace(CAMPAIGN, sender=replace(SENDER, name=evil), topic=replace(TOPIC, name=evil))
    octets = compose(envelope, replace(FILLED, subject=evil), FOOTER)
    assert names(octets) == names(compose(CAMPAIGN, FILLED, FOOTER))


@pytest.mark.parametrize(
    "address",
    [
        "a@b.org, c@d.org",
        "a@b.org\r\nBcc: c@d.org",
        "<a@b.org>",
        "a b@c.org",
        "a",
        "@b.org",
        "a@",
        "a@ö.org",
        "a@b@c.org",
    ],
)
def test_an_address_that_is_not_one_is_refused(address: str) -> None:
    for envelope in (replace(SYSTEM, to=address), replace(SYSTEM, sender=replace(SENDER, address=address))):
        with pytest.raises(InvalidInputError):
            compose(envelope, FILLED)


@pytest.mark.parametrize("wrong", ["", "ftp://x", "https://x.org/a>\r\nX: y", "https://x.org/a b", "mailto:a@b.org"])
def test_campaign_mail_without_its_unsubscribe_address_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInputError):
        compose(replace(CAMPAIGN, stop_url=wrong), FILLED, FOOTER)


def test_campaign_mail_without_its_footer_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        compose(CAMPAIGN, FILLED)


TICKET = "0f" * 28
SERVERS = "f0" * 28
RETURNS = Returns("in.example.org", TICKET, takes_replies=True, servers=SERVERS)


def test_campaign_mail_says_where_answers_stops_and_complaints_come_back_to() -> None:
    octets = compose(replace(CAMPAIGN, returns=RETURNS), FILLED, FOOTER)
    well_formed(octets)
    message = read(octets)
    assert message["Reply-To"] == f"reply+{TICKET}@in.example.org"
    assert message["List-Unsubscribe"] == f"<{STOP}>, <mailto:stop+{TICKET}@in.example.org>"
    assert message["CFBL-Address"] == f"report+{SERVERS}@in.example.org; report=arf"
    assert message["CFBL-Feedback-ID"] == SERVERS
    assert RETURNS.mail_from == f"bounce+{SERVERS}@in.example.org"
    assert len(RETURNS.mail_from.partition("@")[0]) <= 64


def test_system_mail_names_neither_a_complaint_address_nor_one_for_answers() -> None:
    message = read(compose(replace(SYSTEM, returns=replace(RETURNS, takes_replies=False)), FILLED))
    assert [message[name] for name in ("Reply-To", "List-Unsubscribe", "CFBL-Address")] == [None, None, None]


def test_campaign_mail_carries_what_rfc_8058_and_2919_ask() -> None:
    message = read(compose(CAMPAIGN, FILLED, FOOTER))
    assert message["List-Unsubscribe"] == f"<{STOP}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "Garden tips <ab12cd.example.org>"
    assert message["Feedback-ID"] == "c0ffee:ab12cd:campaign:example.org"
    assert message["Message-ID"] == "<m1@example.org>"
    assert message["To"] == "reader@example.net"
    assert message["Auto-Submitted"] is None
    assert parsedate_to_datetime(message["Date"]).timestamp() == NOW / 1_000_000


def test_system_mail_says_it_is_automatic_and_has_no_list() -> None:
    message = read(compose(SYSTEM, FILLED))
    assert message["Auto-Submitted"] == "auto-generated"
    assert not [name for name in message if name.lower().startswith("list-")]


def test_the_footer_says_who_why_how_often_how_to_stop_and_where() -> None:
    message = read(compose(CAMPAIGN, FILLED, FOOTER))
    for kind in ("plain", "html"):
        shown = " ".join(re.sub(r"<[^a/!][^>]*>|</[^>]*>", " ", part(message, kind)).split())
        for fact in (FOOTER.sender_name, FOOTER.controller, FOOTER.topic, "at most 2 mails in any 7 days",
                     FOOTER.why_url, STOP, "1 Mill Road", "1234 Town", "K7Q2-M9XR"):  # fmt: skip
            assert fact in shown, (kind, fact)
        assert FOOTER_MARK not in shown
        assert MASTHEAD_MARK not in shown


def test_the_footer_speaks_the_readers_language() -> None:
    swedish = read(compose(CAMPAIGN, FILLED, replace(FOOTER, locale="sv")))
    dutch = read(compose(CAMPAIGN, FILLED, replace(FOOTER, locale="nl-BE")))
    assert "högst 2 mejl per 7 dagar" in part(swedish, "plain")
    assert "hoogstens 2 mails per 7 dagen" in part(dutch, "html")


@given(name=TEXT, topic=TEXT, address=TEXT)
def test_nothing_in_a_footer_can_add_an_element(name: str, topic: str, address: str) -> None:
    usual = FOOTER.render().html
    shown = replace(FOOTER, sender_name=name, controller=name, topic=topic, postal_address=address).render().html
    tags = [tag for tag in re.findall(r"</?([a-z]+)", shown) if tag != "br"]
    assert tags == [tag for tag in re.findall(r"</?([a-z]+)", usual) if tag != "br"]


@pytest.mark.parametrize(("locale", "lang"), [("sv", "sv"), ("nl-BE", "nl"), ("fi", "en"), ("en", "en")])
def test_the_footer_names_its_own_language_whatever_the_words_are_in(locale: str, lang: str) -> None:
    english = fill(prepare("Pruning", "", "Prune your roses now.", locale="en"), {})
    message = read(compose(CAMPAIGN, english, replace(FOOTER, locale=locale)))
    page = part(message, "html")
    assert '<html lang="en">' in page
    before, _, after = page.partition('<div class="footer"')
    assert re.match(rf'[^>]* lang="{lang}"', after)
    assert before.count("lang=") == 1
    assert STOP in after


def test_a_value_that_holds_the_footers_mark_does_not_move_the_footer() -> None:
    filled = fill(prepare("s", "", "Dear {{ name }}"), {"name": FOOTER_MARK})
    html = part(read(compose(CAMPAIGN, filled, FOOTER)), "html")
    assert html.index("&lt;!--footer--&gt;") < html.index("K7Q2-M9XR")


def test_a_mail_of_more_than_100_kb_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        compose(SYSTEM, replace(FILLED, html="x" * 101_000))


def test_a_non_ascii_local_part_stays_as_it_is_for_relays_that_take_it() -> None:
    octets = compose(replace(SYSTEM, to="jörg@example.net"), FILLED)
    assert "To: jörg@example.net\r\n".encode() in octets


def test_the_message_id_of_a_message_never_changes() -> None:
    assert message_id(b"\x01" * 16, "example.org") == "01" * 16 + "@example.org"
