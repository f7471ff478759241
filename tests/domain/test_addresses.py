"""Addresses: what is one, whose mailbox it is, and that neither a mask nor an error gives one away."""

import string

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given
from hypothesis import strategies as st

from outreach.domain.addresses import AddressError, Fault, mask, parse, provider, scrub

ATEXT = string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~"
atoms = st.text(ATEXT, min_size=1, max_size=12)
locals_ = st.lists(atoms, min_size=1, max_size=4).map(".".join)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
endings = st.sampled_from(["org", "com", "se", "nl", "co.uk", "museum"])
domains = st.builds(lambda names, ending: ".".join([*names, ending]), st.lists(labels, min_size=1, max_size=3), endings)
odd_locals = st.text(ATEXT + '.é @<>"', max_size=20)
addresses = st.tuples(locals_, domains).map("@".join)


def oracle(text: str) -> str | None:
    try:
        found = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError:
        return None
    exact = f"{found.local_part}@{found.ascii_domain.lower()}"
    return exact if len(exact.encode()) <= 254 and len(found.local_part.encode()) <= 64 else None


def exact(text: str) -> str | None:
    try:
        return parse(text).exact
    except AddressError as error:
        assume(error.fault is not Fault.TYPO)
        return None


@given(
    st.one_of(
        addresses, st.text(max_size=40), st.tuples(st.text(ATEXT + '.é @<>"', max_size=20), domains).map("@".join)
    )
)
@example("info@example.org")
@example("INFO@example.org")
@example("ANNA@EXAMPLE.ORG")
@example("anna@exämple.org")
@example("ånna@example.org")
@example("a@b@example.org")
@example("Anna <anna@example.org>")
@example('"a b"@example.org')
@example("a@[127.0.0.1]")
@example("a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".org")
@example("a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".abcdef")
@example("a" * 65 + "@example.org")
@example("a@" + "ü" * 50 + ".org")
def test_the_fast_way_gives_what_email_validator_gives(text: str) -> None:
    assert exact(text) == oracle(text)


@given(addresses)
def test_an_exact_address_parses_to_itself(text: str) -> None:
    found = exact(text)
    assert found is None or parse(found).exact == found


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Anna.Berg@Example.ORG", "Anna.Berg@example.org"),
        ("  anna@example.org\n", "anna@example.org"),
        ("anna@räksmörgås.se", "anna@xn--rksmrgs-5wao1o.se"),
        ("anna+news@example.org", "anna+news@example.org"),
    ],
)
def test_the_local_part_stays_as_typed(typed: str, kept: str) -> None:
    assert parse(typed).exact == kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna+roses@example.org", "anna@example.org"),
        ("a.n.n.a@gmail.com", "anna@gmail.com"),
        ("an.na+x@googlemail.com", "Anna@gmail.com"),
    ],
)
def test_spellings_of_one_mailbox_fold_together(one: str, other: str) -> None:
    assert parse(one).mailbox == parse(other).mailbox
    assert parse(one).exact != parse(other).exact


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.nna@example.org", "anna@example.org"), ("a.nna@notgmail.com", "anna@notgmail.com"), ("+a@b.org", "+c@b.org")],
)
def test_mailboxes_that_differ_stay_apart(one: str, other: str) -> None:
    assert parse(one).mailbox != parse(other).mailbox


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("gmail.com", "gmail"),
        ("googlemail.com", "gmail"),
        ("notgmail.com", "other"),
        ("gmail.com.evil.org", "other"),
        ("outlook.com", "microsoft"),
        ("hotmail.co.uk", "microsoft"),
        ("live.se", "microsoft"),
        ("msn.com", "microsoft"),
        ("hotmail.evil.com", "other"),
        ("deliver-live.se", "other"),
        ("yahoo.com.br", "yahoo"),
        ("ymail.com", "yahoo"),
        ("aol.com", "yahoo"),
        ("example.org", "other"),
    ],
)
def test_providers_are_told_by_whole_labels(domain: str, name: str) -> None:
    assert provider(domain) == name


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.MISSING),
        ("anna", Fault.NO_AT),
        ("anna@@example.org", Fault.NO_AT),
        ("an na@example.org", Fault.SPACE),
        ("@example.org", Fault.NO_LOCAL),
        (".anna@example.org", Fault.NO_LOCAL),
        ("anna@", Fault.NO_DOMAIN),
        ("anna@example", Fault.NO_DOMAIN),
        ("anna@localhost", Fault.NO_DOMAIN),
        ("a" * 65 + "@example.org", Fault.TOO_LONG),
        ("an..na@example.org", Fault.MALFORMED),
        ("<anna>@example.org", Fault.MALFORMED),
    ],
)
def test_a_fault_is_named(text: str, fault: Fault) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert caught.value.fault is fault
    assert caught.value.field == "address"


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotmal.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("yaho.com", "yahoo.com"),
        ("icoud.com", "icloud.com"),
    ],
)
def test_a_typo_of_a_large_provider_is_named_without_the_address(domain: str, meant: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(f"anna.berg@{domain}")
    assert caught.value.suggestion == meant
    assert meant in str(caught.value)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize("domain", ["mail.com", "ymail.com", "gail.com", "gmail.com", "hotmail.fr", "example.co"])
def test_a_real_domain_is_not_taken_for_a_typo(domain: str) -> None:
    assert parse(f"anna@{domain}").domain == domain


@given(st.text(max_size=60))
def test_an_error_never_echoes_what_was_typed(text: str) -> None:
    try:
        parse(f"zq{text}zq@x")
    except AddressError as error:
        assert "zq" not in str(error)
        assert "zq" not in repr(error)


@given(addresses)
def test_a_mask_shows_two_letters_and_the_last_label(text: str) -> None:
    local, _, domain = text.rpartition("@")
    assert mask(text) == f"{local[0]}•••@{domain[0]}•••.{domain.rpartition('.')[2]}"


@given(st.text(max_size=60))
def test_a_mask_of_anything_gives_little_away(text: str) -> None:
    shown = mask(text).replace("•", "")
    ending = text.rpartition("@")[2].rpartition(".")[2]
    assert len(shown) <= len(ending) + 4


def test_a_parsed_address_does_not_print_itself() -> None:
    assert "anna" not in repr(parse("anna@example.org"))


@given(st.text(" .,;:<>()\n", max_size=5), addresses, st.text(" ,;:<>()\n", max_size=5))
def test_no_address_survives_in_a_free_text(before: str, address: str, after: str) -> None:
    local, _, domain = address.rpartition("@")
    assume(len(local) > 1 and "." in domain and not local.startswith("."))
    assert address not in scrub(f"550 5.1.1 {before} {address}{after} is unknown")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 <anna@example.org>: no such user", "550 <a•••@e•••.org>: no such user"),
        ("Write to anna@example.org.", "Write to a•••@e•••.org."),
        ('"anna berg"@example.org is full', "a•••@e•••.org is full"),
        ("bounce+anna=example.org@mx.example.net", "b•••@m•••.net"),
        ("user ånna@exämple.org", "user å•••@e•••.org"),
        ("no address at all, 3 @ 4", "no address at all, 3 @ 4"),
    ],
)
def test_addresses_in_a_free_text_are_masked(text: str, shown: str) -> None:
    assert scrub(text) == shown


def test_an_address_inside_a_url_is_masked_too() -> None:
    assert "anna" not in scrub("https://relay.example.net/?to=anna%40example.org&b=1")


def test_masking_a_long_run_of_letters_takes_its_length_and_not_the_square() -> None:
    """Whoever writes to us writes what they like; the square of this would take longer than any test may."""
    assert "anna" not in scrub("x" * 200_000 + " anna@example.org")
