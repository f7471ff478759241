"""Who vouches for a sender: DKIM, SPF, or one's own server, and only for the one address in From."""

from email.message import EmailMessage
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives import serialization

from outreach.mail import dkim as ours
from outreach.mail.authentication import Authenticated, check, speaks_for
from outreach.mail.cleaning import Cleaned
from outreach.mail.relayed import Letter, compose
from tests.mail.names import Table

IP, ALICE = "192.0.2.25", "alice@a.example"
SPF = {("a.example", "TXT"): ["v=spf1 ip4:192.0.2.25 -all"]}


@cache
def key() -> ours.Key:
    return ours.load_key(ours.make_key())


def signed(domain: str = "a.example", sender: str = ALICE) -> bytes:
    letter = Letter("Alice", sender, "bob@b.example", "m1@a.example", 1_790_000_000, "<p>x</p>",
                    signers=(ours.Signer(domain, "s1", key()),))  # fmt: skip
    return compose(letter, Cleaned(subject="Hello", text="Hi\n"))


def keys(domain: str = "a.example") -> dict[tuple[str, str], list[str]]:
    return {(f"s1._domainkey.{domain}", "TXT"): [ours.dns_record(key())]}


def plain(*fields: tuple[str, str], sender: str = ALICE) -> bytes:
    mail = EmailMessage()
    for name, value in fields:
        mail[name] = value
    mail["From"] = sender
    mail["Subject"] = "Hello"
    mail.set_content("Hi\n")
    return mail.as_bytes()


def ask(octets: bytes, table: Table, *, mail_from: str = ALICE, authserv: str = "") -> Authenticated:
    return check(octets, peer_ip=IP, helo="mail.a.example", mail_from=mail_from, authserv=authserv, resolver=table)


def test_a_signature_of_froms_domain_speaks_for_it() -> None:
    found = ask(signed(), Table(keys()), mail_from="bounces@elsewhere.example")
    assert found == Authenticated(ALICE, frozenset({"a.example"}), frozenset({"dkim"}))
    assert found.is_aligned


def test_a_mail_changed_after_signing_is_nobodys() -> None:
    assert not ask(signed().replace(b"Hi", b"Ho"), Table(keys())).is_aligned
    assert not ask(signed().replace(b"Alice", b"Mallory"), Table(keys())).is_aligned


def test_a_second_from_field_is_nobodys() -> None:
    twice = b"From: mallory@m.example\r\n" + signed()
    assert ask(twice, Table(keys())) == Authenticated("")
    assert ask(plain(sender="alice@a.example, mallory@m.example"), Table(SPF)) == Authenticated("")
    assert ask(b"Subject: none\r\n\r\nHi\r\n", Table(SPF)) == Authenticated("")


def test_a_signature_of_another_domain_speaks_for_nobody() -> None:
    for domain in ("m.example", "evil-a.example", "sub.a.example", "example"):
        assert not ask(signed(domain), Table(keys(domain))).is_aligned


def test_the_domain_above_speaks_for_those_below_it() -> None:
    found = ask(signed("a.example", "alice@mail.a.example"), Table(keys()))
    assert found.domains == {"a.example"}
    assert not speaks_for("a.example", "nota.example")
    assert not speaks_for("example", "a.example")


def test_a_signature_over_part_of_the_body_is_not_believed() -> None:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    pem = key().private_bytes(*form, serialization.NoEncryption())
    octets = plain()
    field = dkim.sign(octets, b"s1", b"a.example", pem, length=True)
    assert b"l=" in field
    assert not ask(field + octets, Table(keys())).is_aligned


def test_spf_speaks_where_the_envelope_is_of_froms_domain() -> None:
    assert ask(plain(), Table(SPF)).by == {"spf"}
    assert not ask(plain(sender="alice@other.example"), Table(SPF)).is_aligned
    assert not ask(plain(), Table(SPF), mail_from="").is_aligned
    refused = {("a.example", "TXT"): ["v=spf1 -all"]}
    assert not ask(plain(), Table(refused)).is_aligned


def test_no_answer_of_the_dns_is_told_apart_from_a_no() -> None:
    failing = frozenset({"s1._domainkey.a.example", "a.example"})
    found = ask(signed(), Table({}, failing))
    assert (found.is_aligned, found.is_unsure) == (False, True)
    assert not ask(signed(), Table({})).is_unsure
    assert not ask(signed(), Table(keys(), frozenset({"a.example"}))).is_unsure  # the signature is enough


def test_our_own_servers_word_is_believed_and_nobody_elses() -> None:
    told = (
        "Authentication-Results",
        "mx.ours.example 1; spf=fail smtp.mailfrom=a.example; dkim=pass header.d=a.example",
    )
    assert ask(plain(told), Table(SPF), authserv="mx.ours.example").by == {"dkim"}
    assert not ask(plain(told), Table(), authserv="mx.theirs.example").is_aligned
    assert not ask(plain(told), Table(), authserv="").is_aligned
    by_envelope = ("Authentication-Results", "MX.ours.example; spf=pass (good) smtp.mailfrom=alice@a.example")
    assert ask(plain(by_envelope), Table(), authserv="mx.ours.example").by == {"spf"}


@pytest.mark.parametrize(
    "value",
    [
        "mx.ours.example; dkim=fail header.d=a.example",
        "mx.ours.example; dkim=pass header.d=m.example",
        "mx.ours.example; dkim=none (dkim=pass header.d=a.example)",
        "mx.ours.example; spf=pass header.d=a.example",
        "mx.ours.example.evil.example; dkim=pass header.d=a.example",
        "mx.ours.example",
    ],
)
def test_results_that_say_something_else_are_no_yes(value: str) -> None:
    assert not ask(plain(("Authentication-Results", value)), Table(), authserv="mx.ours.example").is_aligned


def test_only_the_topmost_result_counts_for_a_forged_one_stands_below() -> None:
    header = b"Authentication-Results: mx.ours.example; dkim=none\r\n"
    forged = b"Authentication-Results: mx.ours.example; dkim=pass header.d=a.example\r\n"
    assert not ask(header + forged + plain(), Table(), authserv="mx.ours.example").is_aligned


def test_behind_our_own_server_its_address_is_not_the_senders() -> None:
    table = Table(SPF)
    assert not ask(plain(), table, authserv="mx.ours.example").is_aligned
    assert table.asked == []


@pytest.mark.parametrize("octets", [b"", b"\x00\xff" * 500, b"From: a@b.example\nDKIM-Signature: " + b";" * 5000])
def test_nothing_that_comes_in_breaks_it(octets: bytes) -> None:
    assert not ask(octets, Table(keys())).is_aligned
