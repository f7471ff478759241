"""Canonical JSON by RFC 8785 and signatures by eddsa-jcs-2022, against published vectors and as properties."""

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.signed_json import (
    canonical,
    from_base58,
    multikey,
    read,
    sign,
    signed_bytes,
    to_base58,
    verify,
)

# W3C Data Integrity EdDSA Cryptosuites v1.0, appendix B.4 (eddsa-jcs-2022).
PUBLIC_KEY = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
PRIVATE_KEY = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq"
COMBINED = (
    "66ab154f5c2890a140cb8388a22a160454f80575f6eae09e5a097cabe539a1db"
    "59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19"
)
VALUE = "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX"
DOCUMENT: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
}
OPTIONS = {
    "created": "2023-02-24T23:36:38Z",
    "verificationMethod": f"did:key:{PUBLIC_KEY}#{PUBLIC_KEY}",
}

whole = st.integers(-(2**53) + 1, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | whole | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(from_base58(PRIVATE_KEY[1:])[2:])


def genuine(public: bytes) -> Any:
    def check(signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


def test_the_published_vector_is_met_octet_by_octet() -> None:
    proof = sign(DOCUMENT, OPTIONS, key().sign)
    assert signed_bytes(DOCUMENT, proof).hex() == COMBINED
    assert proof["proofValue"] == VALUE
    public = key().public_key().public_bytes_raw()
    assert multikey(public) == PUBLIC_KEY
    assert verify(DOCUMENT | {"proof": proof}, proof, public, genuine(public))


def test_keys_are_ordered_by_utf_16_and_text_is_escaped_as_rfc_8785_says() -> None:
    names = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    again = list(json.loads(canonical(names)))
    assert again == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert canonical({"string": '\u20ac$\u000f\nA\'B"\\\\"/'}) == (
        '{"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    )
    assert canonical({"b": [None, True, False], "a": 9007199254740991}) == (
        b'{"a":9007199254740991,"b":[null,true,false]}'
    )


@given(st.dictionaries(texts, values, max_size=5))
def test_reading_what_was_written_gives_the_same_and_writing_it_again_the_same_octets(value: dict[str, Any]) -> None:
    written = canonical(value)
    assert read(written.decode()) == value
    assert canonical(read(json.dumps(value, indent=2, ensure_ascii=True))) == written


@given(values, values)
def test_two_values_share_their_octets_only_if_they_are_the_same(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


@pytest.mark.parametrize(
    "text",
    [
        *(
            '{"a":1,"a":2}',
            '{"a":1.0}',
            '{"a":NaN}',
            '{"a":9007199254740993}',
            '{"a":"\\ud800"}',
            "[1]",
            "{",
            "",
            "null",
        ),
        *("[" * 50_000, '{"a":' * 50_000, '{"a":"' + "x" * 100_000 + '"}'),
    ],
)
def test_what_has_more_than_one_reading_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"object|canonical|long"):
        read(text)


@given(st.binary(max_size=70))
def test_base58_gives_back_every_octet(octets: bytes) -> None:
    assert from_base58(to_base58(octets)) == octets


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "a b", "1" * 201])
def test_base58_refuses_what_it_does_not_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"substring|long"):
        from_base58(text)


@pytest.mark.parametrize(
    "change",
    [
        {"created": "2023-02-24T23:36:39Z"},
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"type": "Ed25519Signature2020"},
        {"proofPurpose": "authentication"},
        {"@context": ["https://www.w3.org/ns/credentials/v2"]},
        {"proofValue": VALUE[1:]},
        {"proofValue": VALUE + "1"},
        {"proofValue": 7},
    ],
)
def test_a_proof_that_was_touched_proves_nothing(change: dict[str, Any]) -> None:
    proof = sign(DOCUMENT, OPTIONS, key().sign)
    public = key().public_key().public_bytes_raw()
    assert not verify(DOCUMENT, proof | change, public, genuine(public))
    assert not verify(DOCUMENT | {"name": "Alumna"}, proof, public, genuine(public))
    assert not verify(DOCUMENT, proof, bytes(31), genuine(public))
