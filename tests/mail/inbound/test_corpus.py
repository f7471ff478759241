"""Every mail of the corpus is what its table says, and nothing it says names anybody."""

import re

import pytest

from outreach.mail.inbound.incoming import Kind
from outreach.mail.inbound.reading import understand
from tests.mail.inbound.reports import ADDRESS, CORPUS, NOW, REPORTS, TICKET, Expected

_REAL = ("postfix-", "exim-", "opensmtpd-")
_ABOUT_MAIL = {Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE, Kind.DELAY, Kind.BLOCKED, Kind.DELIVERED, Kind.COMPLAINT}


@pytest.mark.parametrize("expected", REPORTS, ids=lambda one: one.file.removesuffix(".eml"))
def test_a_mail_is_read_as_what_it_is(expected: Expected) -> None:
    incoming = understand(expected.octets, door=expected.door, now=NOW)
    assert incoming.kind == expected.kind
    assert incoming.status == expected.status
    assert bool(incoming.tickets) == expected.has_ticket
    if expected.text is not None:
        assert incoming.text == expected.text
    assert "\n" not in incoming.diagnostic
    assert not ADDRESS.search(incoming.diagnostic)
    assert not re.search(rf"\breader\b|{TICKET}", incoming.diagnostic)
    if incoming.kind in _ABOUT_MAIL:
        assert incoming.is_automatic


def test_the_table_and_the_folder_hold_the_same_mails() -> None:
    assert [one.file for one in REPORTS] == sorted(path.name for path in CORPUS.glob("*.eml"))


def test_real_servers_of_three_makes_wrote_at_least_forty_of_at_least_a_hundred_and_twenty() -> None:
    made = [one.file for one in REPORTS if one.file.startswith(_REAL)]
    assert len(made) >= 40
    assert all(any(file.startswith(server) for file in made) for server in _REAL)
    assert len(REPORTS) >= 120


def test_every_kind_is_in_the_corpus() -> None:
    assert {one.kind for one in REPORTS} == set(Kind)


def test_only_example_domains_and_networks_of_documentation_are_in_it() -> None:
    """RFC 2606, RFC 5737, and words that providers put into their refusals."""
    for one in REPORTS:
        text = one.octets.decode("utf-8", "replace")
        for found in re.findall(r"\w@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+)", text, re.IGNORECASE):
            assert re.search(r"(?:^|\.)example\.[a-z.]+$|\.(?:test|example)$", found, re.IGNORECASE), (one.file, found)
        for found in re.findall(r"(?<![\d.])(?:10|127|172|192|198|203)(?:\.\d{1,3}){3}(?![\d.])", text):
            assert found.startswith("192.0.2."), (one.file, found)
