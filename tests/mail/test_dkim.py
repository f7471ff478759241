"""DKIM signatures, checked by dkimpy and by Mail::DKIM, which knows no Ed25519."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.errors import SettingsError
from outreach.mail import dkim
from outreach.mail.compose import Form, Sender, compose
from outreach.mail.content import Filled, Prepared
from tests.mail.perl import VERIFY, Perl
from tests.mail.test_compose import CAMPAIGN, FILLED, FOOTER, NOW, RETURNS, SYSTEM, TICKET, TOPIC
from tests.mail.test_skeleton import BLANK_FOOTER, EVERYWHERE, FIELDS, ONLY_THE_FOOTER

RSA = dkim.Signer("example.org", "r1", dkim.load_key(dkim.make_key()))
ED25519 = dkim.Signer("example.org", "e1", dkim.load_key(dkim.make_key("ed25519")))
SIGNED = Sender("Gärden", "news@example.org", (RSA, ED25519))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


class VerifyKey:
    """Ed25519 for dkimpy, which would otherwise want PyNaCl; all else of the check is dkimpy's own."""

    def __init__(self, key: bytes, encoder: object) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

    def verify(self, digest: bytes, signature: bytes) -> None:
        self._key.verify(signature, digest)


@pytest.fixture(autouse=True, scope="module")
def ed25519_for_dkimpy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        encoding = SimpleNamespace(Base64Encoder=None)
        nacl = SimpleNamespace(signing=SimpleNamespace(VerifyKey=VerifyKey), encoding=encoding)
        patch.setattr(dkimpy, "nacl", nacl, raising=False)
        yield


def dns(name: bytes, timeout: int = 5) -> bytes:
    record = {b"r1._domainkey.example.org.": RSA, b"e1._domainkey.example.org.": ED25519}[name]
    return dkim.dns_record(record.key).encode()


def verifies(octets: bytes, which: int = 0) -> bool:
    try:
        return bool(dkimpy.DKIM(octets).verify(idx=which, dnsfunc=dns))  # type: ignore[no-untyped-call]  # theirs
    except dkimpy.ValidationError:
        return False


@pytest.fixture(scope="module")
def mail_dkim() -> Iterator[Perl]:
    records = {f"{one.selector}._domainkey.{one.domain}": dkim.dns_record(one.key) for one in (RSA, ED25519)}
    with Perl(VERIFY, json.dumps(records)) as running:
        yield running


def campaign_letter(prepared: Prepared, fields: dict[str, str]) -> bytes:
    form = Form(prepared, SIGNED, TOPIC, BLANK_FOOTER, "in.b.org")
    return form.write("a@b.org", "m1@b.org", NOW, why="w1", stop="s1", reference="R1", fields=fields, ticket=TICKET)


def signed(**changes: object) -> bytes:
    return compose(replace(CAMPAIGN, sender=SIGNED, **changes), FILLED, FOOTER)  # type: ignore[arg-type]


@given(subject=TEXT, text=TEXT, html=TEXT)
def test_both_signatures_of_any_mail_verify(subject: str, text: str, html: str) -> None:
    octets = compose(replace(SYSTEM, sender=SIGNED), Filled(subject, "", html, text))
    assert verifies(octets, 0)
    assert verifies(octets, 1)


@given(fields=FIELDS)
def test_both_signatures_of_any_campaign_letter_verify(mail_dkim: Perl, fields: dict[str, str]) -> None:
    octets = campaign_letter(EVERYWHERE, fields)
    assert verifies(octets, 0)
    assert verifies(octets, 1)
    assert mail_dkim.ask(octets)["r1"] == "pass"


def test_letters_that_are_the_same_up_to_their_foot_verify_each(mail_dkim: Perl) -> None:
    for octets in (campaign_letter(ONLY_THE_FOOTER, {}), campaign_letter(ONLY_THE_FOOTER, {})):
        assert verifies(octets, 0)
        assert verifies(octets, 1)
        assert mail_dkim.ask(octets)["r1"] == "pass"


def test_a_second_verifier_sees_what_was_changed_on_the_way(mail_dkim: Perl) -> None:
    octets = signed()
    assert mail_dkim.ask(octets)["r1"] == "pass"
    for was, becomes in ((b"Subject: Hello", b"Subject: Hallo"), (b"One-Click", b"Two-Click"), (b"body", b"bodies")):
        assert "fail" in mail_dkim.ask(octets.replace(was, becomes, 1))["r1"]
    assert (
        "fail"
        in mail_dkim.ask(octets.replace(b"\r\nList-Unsubscribe: ", b"\r\nList-Id: x\r\nList-Unsubscribe: "))["r1"]
    )


def test_both_unsubscribe_headers_are_covered_and_nothing_is_left_open() -> None:
    for field in re.findall(rb"DKIM-Signature:.*?(?=\r\n\S)", signed(), re.DOTALL):
        covered = re.search(rb"h=([^;]*);", re.sub(rb"\s", b"", field))
        assert covered
        names = covered[1].split(b":")
        for name in (b"from", b"subject", b"to", b"date", b"list-unsubscribe", b"list-unsubscribe-post", b"list-id"):
            assert names.count(name) == 2, name
        assert b"l=" not in re.sub(rb"\b(bh|b|h)=", b"", field).replace(b"rel=", b"")


def test_where_complaints_go_is_covered_as_rfc_9477_wants() -> None:  # §3.1.4
    octets = signed(returns=RETURNS)
    assert verifies(octets)
    for field in re.findall(rb"DKIM-Signature:.*?(?=\r\n\S)", octets, re.DOTALL):
        names = re.search(rb"h=([^;]*);", re.sub(rb"\s", b"", field))
        assert names
        assert {b"cfbl-address", b"cfbl-feedback-id"} <= set(names[1].split(b":"))
    assert not verifies(octets.replace(b"CFBL-Address: report+", b"CFBL-Address: reports"))


@pytest.mark.parametrize(
    "added",
    [b"From: other@example.org", b"Subject: other", b"To: x@y.z", b"List-Unsubscribe: <https://evil>", b"Date: now",
     b"List-Unsubscribe-Post: x", b"Reply-To: x@y.z"],
)  # fmt: skip
def test_a_header_added_on_the_way_breaks_the_signature(added: bytes) -> None:
    octets = signed()
    assert verifies(octets)
    head, _, body = octets.partition(b"\r\n\r\n")
    assert not verifies(head + b"\r\n" + added + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(b"Subject: Hello", b"Subject: Hallo"), (b"One-Click", b"Two-Click"), (b"\r\nbody\r\n", b"\r\nbuddy\r\n")],
)
def test_a_change_on_the_way_breaks_the_signature(was: bytes, becomes: bytes) -> None:
    octets = signed()
    assert was in octets
    assert not verifies(octets.replace(was, becomes, 1))


def test_refolding_and_other_spacing_on_the_way_does_not() -> None:
    assert verifies(signed().replace(b"Subject: Hello", b"SUBJECT:   Hello ", 1))


def test_weak_and_foreign_keys_are_refused() -> None:
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())):
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(SettingsError):
            dkim.load_key(pem)
    with pytest.raises(SettingsError):
        dkim.load_key(b"not a key")


def test_names_that_are_not_dns_names_are_refused() -> None:
    with pytest.raises(SettingsError):
        dkim.Signer("example.org; d=evil", "s", RSA.key)


def test_no_signers_no_signature() -> None:
    assert b"DKIM-Signature" not in compose(CAMPAIGN, FILLED, FOOTER)


def test_a_signer_shows_no_key() -> None:
    assert "PrivateKey" not in repr(RSA)
