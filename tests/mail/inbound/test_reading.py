"""What is told of a mail beside its kind: whom it is about, which mail, what came along; and what is not believed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outreach.mail.inbound import bodies, mime, page_text, quotes
from outreach.mail.inbound.charsets import decode
from outreach.mail.inbound.incoming import Kind
from outreach.mail.inbound.reading import read
from tests.mail.inbound.reports import NOW, TICKET, octets

_LETTER = b"From: Robin <robin@example.test>\r\nSubject: Re: peas\r\n\r\nThank you\r\n"


def test_a_report_names_the_mail_by_ticket_and_message_id_and_says_who_spoke() -> None:
    told = read(octets("postfix-unknown-failed"), door="bounce", now=NOW)
    assert f"bounce+{TICKET}" in told.tickets
    assert told.message_ids == ("unknown@mail.example.org",)
    assert told.reporting == "mx.example.test"
    assert told.diagnostic == "550 5.1.1 <u•••@m•••.test>: Recipient address rejected: User •••"
    assert told.from_address == "MAILER-DAEMON@relay.example.org"
    assert told.text == ""


def test_a_report_says_whom_it_is_about() -> None:
    assert read(octets("postfix-unknown-failed"), door="bounce", now=NOW).recipients[0] == "unknown@mx.example.test"
    assert read(octets("reply-gmail"), door="bounce", now=NOW).recipients == ()


def test_an_envelope_identifier_alone_names_the_mail() -> None:
    assert read(octets("dsn-only-envelope-id"), door="bounce", now=NOW).message_ids[0] == "march.1@mail.example.org"


def test_a_ticket_of_a_feedback_loop_is_found_whatever_its_case() -> None:
    assert f"report+{TICKET}" in read(octets("complaint-cfbl"), door="report", now=NOW).tickets


def test_a_reply_tells_who_wrote_when_and_to_which_mail() -> None:
    told = read(octets("reply-gmail"), door="reply", now=NOW)
    assert told.from_address == "robin@example.test"
    assert told.date == 1_772_539_259_000_000
    assert told.message_ids == ("march.1@mail.example.org",)
    assert told.subject == "Re: Garden tips in March"
    assert told.quoted.startswith("On Tue, Mar 3, 2026")
    assert not told.is_automatic


def test_a_date_to_come_is_not_believed() -> None:
    assert read(octets("reply-gmail"), door="reply", now=1_000_000).date == 1_000_000


def test_what_came_along_is_listed_without_paths_and_seals() -> None:
    told = read(octets("reply-with-files"), door="reply", now=NOW)
    assert [(one.name, one.media_type) for one in told.attachments] == [
        ("ärtor.png", "image/png"),
        ("message.eml", "message/rfc822"),
    ]
    assert told.attachments[0].octets.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\\\..\\\\boot.ini", "/etc/passwd", "a\x00b", "", " . ", "x" * 300]
)
def test_a_file_name_never_leads_anywhere(name: str) -> None:
    octets = f'Subject: x\nContent-Type: application/pdf; name="{name}"\nContent-Disposition: attachment\n\nx'.encode()
    (file,) = bodies.attachments(mime.parse(octets))
    assert file.name
    assert len(file.name) <= 120
    assert not set(file.name) & set("/\\\x00")
    assert not file.name.startswith(".")


def test_an_empty_envelope_sender_tells_a_machine_and_what_the_mail_says_of_it_does_not_count() -> None:
    assert read(_LETTER, door="reply", now=NOW, mail_from="robin@example.test").kind is Kind.REPLY
    assert read(_LETTER, door="reply", now=NOW, mail_from="").kind is Kind.AUTO_REPLY
    forged = b"Return-Path: <>\r\n" + _LETTER
    assert read(forged, door="reply", now=NOW).kind is Kind.AUTO_REPLY
    assert read(forged, door="reply", now=NOW, mail_from="robin@example.test").kind is Kind.REPLY


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("Thank you for your message", Kind.AUTO_REPLY),
        ("Thank you for your message about frost", Kind.REPLY),
        ("We have received your request.", Kind.AUTO_REPLY),
        ("We have received your beans, and a question", Kind.REPLY),
        ("On vacation until 7 January", Kind.AUTO_REPLY),
        ("On holiday in the garden: how do I water?", Kind.REPLY),
        ("Out of office: back on Monday", Kind.AUTO_REPLY),
        ("Re: Thank you for your message", Kind.REPLY),
    ],
)
def test_words_that_a_person_may_begin_with_are_a_machines_only_where_they_are_all(subject: str, kind: Kind) -> None:
    mail = f"From: liv@example.org\r\nSubject: {subject}\r\n\r\nHow deep do dahlias go?\r\n".encode()
    assert read(mail, door="reply", now=NOW, mail_from="liv@example.org").kind is kind


def test_the_same_words_are_a_bounce_from_a_mail_system_and_a_reply_from_a_person() -> None:
    words = b"Subject: Undelivered mail\r\n\r\nYour message could not be delivered: no such user here\r\n"
    assert read(b"From: MAILER-DAEMON@example.test\r\n" + words, door="bounce", now=NOW).kind is Kind.HARD_BOUNCE
    assert read(b"From: robin@example.test\r\n" + words, door="bounce", now=NOW).kind is Kind.REPLY


def test_what_breaks_the_reader_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_octets: bytes) -> mime.Part:
        raise RecursionError

    monkeypatch.setattr(mime, "parse", breaks)
    assert read(_LETTER, door="reply", now=NOW).kind is Kind.UNREADABLE


def test_a_page_becomes_words_without_scripts_and_hidden_parts() -> None:
    page = (
        "<title>no</title><style>p{}</style><p onclick=x()>One</p><script>two()</script><p>Three &amp; four<br>five</p>"
    )
    assert page_text.to_text(page) == "One\n\nThree & four\nfive"


def test_flowed_paragraphs_are_whole_again_and_quotes_keep_their_marks() -> None:
    assert quotes.unflowed("one \ntwo\n> three \n> four\n five", delete_space=False) == "one two\n> three four\nfive"
    assert quotes.unflowed("一 \n二", delete_space=True) == "一二"


@pytest.mark.parametrize(
    "charset", ["", "utf-8", "punycode", "idna", "unicode_escape", "hex", "x-" + "y" * 500, "a\x00b"]
)
def test_no_claimed_charset_is_searched_for(charset: str) -> None:
    assert decode("Så".encode(), charset) == "Så"


@settings(derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_a_line_of_words_without_a_mark_is_kept_whole(words: str) -> None:
    line = f"Peas {words}".rstrip()
    if not line.endswith((":", "：")):
        assert quotes.cut(line) == (line, "")
