"""Nothing a stranger sends makes the reader raise, and its work grows no faster than the mail."""

import random
import re
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outreach.mail.inbound import mime
from outreach.mail.inbound.incoming import Incoming
from outreach.mail.inbound.reading import understand
from tests.mail.inbound.reports import ADDRESS, NOW, REPORTS

_DOORS = st.sampled_from(["bounce", "reply", "stop", "report", "with", ""])
_WRITTEN = """
From: MAILER-DAEMON@example.test|From: Robin <robin@example.test>|To: x|Subject: unsubscribe|Subject: Re: Re:
Subject: =?utf-8?b?w6U=?=|Date: Tue, 3 Mar 2026 10:00:00 +0000|Message-ID: <a@example.test>|Return-Path: <>
Content-Type: multipart/mixed; boundary=b|Content-Type: multipart/report; report-type=delivery-status; boundary=b
Content-Type: message/rfc822|Content-Type: message/delivery-status|Content-Type: message/feedback-report
Content-Type: text/html|Content-Type: text/plain; charset=utf-16; format=flowed|Content-Transfer-Encoding: base64
Content-Transfer-Encoding: quoted-printable|Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1=a
Auto-Submitted: auto-replied|Precedence: bulk|X-Failed-Recipients: a@b.test|Final-Recipient: rfc822; a@example.test
Action: failed|Action: delayed|Status: 5.1.1|Diagnostic-Code: smtp; 550 no such user|Reporting-MTA: dns; mx.example.test
Feedback-Type: abuse|CFBL-Feedback-ID: 0|In-Reply-To: <a@example.test>|--b|--b--|> quoted|On 3/3/26 x wrote:|-- |<p>
550 5.1.1 no|<blockquote>|"""
_LINE = st.sampled_from(re.split(r"[|\n]", _WRITTEN)) | st.text(max_size=30)
_LIKE_A_MAIL = st.lists(_LINE, max_size=40).map(lambda lines: "\r\n".join(lines).encode("utf-8", "surrogatepass"))


def holds(octets: bytes, door: str) -> Incoming:
    """What is read, by the reader without its net, having kept its promises."""
    told = understand(octets, door=door, now=NOW)
    assert len(told.diagnostic) <= 500
    assert len(told.tickets) <= 20
    assert not ADDRESS.search(told.diagnostic)
    for text in (told.subject, told.text, told.quoted, told.diagnostic, told.reporting, told.from_address):
        text.encode()
        assert "\x00" not in text
    assert told.date is None or 0 <= told.date <= NOW
    return told


@settings(max_examples=150, derandomize=True)
@given(st.binary(max_size=400), _DOORS)
@example(b"Subject: =?utf-8?b?=?=", "reply")
def test_any_octets_are_read(octets: bytes, door: str) -> None:
    holds(octets, door)


@settings(max_examples=250, derandomize=True)
@given(_LIKE_A_MAIL, _DOORS)
def test_anything_like_a_mail_is_read(octets: bytes, door: str) -> None:
    holds(octets, door)


@settings(max_examples=250, derandomize=True)
@given(st.sampled_from(REPORTS), st.integers(0, 2**32), _DOORS)
def test_mails_of_the_corpus_cut_mixed_and_spoilt_are_read(one: object, seed: int, door: str) -> None:
    dice = random.Random(seed)
    octets = bytearray(dice.choice(REPORTS).octets[:8000])
    other = dice.choice(REPORTS).octets[:8000]
    for _ in range(dice.randrange(6)):
        place = dice.randrange(len(octets) + 1)
        far = min(len(octets), place + dice.randrange(300))
        match dice.randrange(4):
            case 0:
                del octets[place:far]
            case 1:
                octets[place:place] = octets[place:far] * dice.randrange(4)
            case 2:
                octets[place:place] = bytes(dice.randrange(256) for _ in range(dice.randrange(6)))
            case _:
                cut = dice.randrange(len(other) + 1)
                octets[place:far] = other[cut : cut + dice.randrange(600)]
    holds(bytes(octets), door)


def work(read: Callable[[], object]) -> int:
    """How many calls it makes, Python's own functions too."""
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        read()
    finally:
        sys.setprofile(None)
    return calls


_HEAD = b"From: robin@example.test\r\nSubject: hi\r\n"
_SHAPES = {
    "lines": (_HEAD + b"\r\n", b"word\n"),
    "quotes": (_HEAD + b"\r\n", b"> x\n"),
    "attributions": (_HEAD + b"\r\n", b"On 3/3/26 x wrote y wrote\nz:\n"),
    "fields": (_HEAD, b"X: y\r\n"),
    "continued": (_HEAD + b"X: y\r\n", b" z\r\n"),
    "parts": (_HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--b\r\n\r\nx\r\n"),
    "no parts": (_HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--bb\r\n"),
    "tags": (_HEAD + b"Content-Type: text/html\r\n\r\n", b"<p>x"),
    "open tags": (_HEAD + b"Content-Type: text/html\r\n\r\n", b"<a "),
    "comments": (_HEAD + b"Content-Type: text/html\r\n\r\n", b"<!--"),
    "blockquotes": (_HEAD + b"Content-Type: text/html\r\n\r\n", b"<blockquote>x"),
    "nested": (_HEAD, b"Content-Type: message/rfc822\r\n\r\n"),
    "groups": (
        _HEAD
        + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n",
        b"Final-Recipient: rfc822; a@example.test\nAction: failed\nStatus: 5.1.1\n\n",
    ),
}


@pytest.mark.parametrize("shape", _SHAPES)
def test_a_mail_twice_as_long_is_at_most_twice_the_work(shape: str) -> None:
    head, unit = _SHAPES[shape]
    short, long = (work(partial(understand, head + unit * times, door="bounce", now=NOW)) for times in (500, 1000))
    assert long <= 2.2 * short + 200


def test_parts_depth_and_text_have_an_end() -> None:
    many = mime.parse(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000)
    assert len(list(many.walk())) <= mime.MOST_PARTS
    deep = mime.parse(
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300))
    )
    assert len(list(deep.walk())) <= mime.DEEPEST + 1
    mails = mime.parse(b"Content-Type: message/rfc822\r\n\r\n" * 300)
    assert len(list(mails.walk(into_mails=True))) <= mime.DEEPEST + 1
    assert len(mime.parse(_HEAD + b"\r\n" + b"x" * 5_000_000).text) == mime.MOST_TEXT
