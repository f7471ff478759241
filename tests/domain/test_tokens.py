"""Tokens: one purpose each, not a byte of them bent, and keys that rotate without breaking an old link."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.errors import NotAllowedError, SettingsError, TokenError, TokenExpiredError
from outreach.domain.keys import TokenKey
from outreach.domain.tokens import (
    MAIL_PURPOSES,
    Power,
    Purpose,
    TokenCompromisedError,
    Tokens,
    must_suit_mail,
    purpose_of,
)

OLD = TokenKey("t1", b"1" * 32)
NEW = TokenKey("t2", b"2" * 32)
TOKENS = Tokens([OLD])
NOW = 1_790_000_000_000_000
DAY = 86_400_000_000

purposes = st.sampled_from(Purpose)
refs = st.binary(min_size=16, max_size=16)
instants = st.integers(min_value=0, max_value=2**56 - 1)


@given(purposes, refs, instants)
def test_a_token_reads_back_as_it_was_issued(purpose: Purpose, ref: bytes, now: int) -> None:
    token = TOKENS.issue(purpose, ref, now)
    found = TOKENS.read(purpose, token, now)
    assert (found.purpose, found.ref, found.issued, found.key) == (purpose, ref, now, "t1")
    assert purpose_of(token) is purpose


@given(purposes, refs, instants)
def test_a_token_is_url_safe_and_short(purpose: Purpose, ref: bytes, now: int) -> None:
    token = TOKENS.issue(purpose, ref, now)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert len(token) < 70


@given(purposes, refs, st.data())
def test_any_changed_character_is_refused(purpose: Purpose, ref: bytes, data: st.DataObject) -> None:
    token = TOKENS.issue(purpose, ref, NOW)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != token[place]))
    with pytest.raises(TokenError):
        TOKENS.read(purpose, token[:place] + other + token[place + 1 :], NOW)


@given(purposes, refs, st.data())
def test_a_cut_or_lengthened_token_is_refused(purpose: Purpose, ref: bytes, data: st.DataObject) -> None:
    token = TOKENS.issue(purpose, ref, NOW)
    cut = data.draw(st.integers(0, len(token) - 1))
    for bent in (token[:cut], token + "A", token + "\n", " " + token, token + "="):
        with pytest.raises(TokenError):
            TOKENS.read(purpose, bent, NOW)


@given(purposes, purposes, refs)
def test_a_token_of_one_purpose_is_refused_for_every_other(issued: Purpose, read: Purpose, ref: bytes) -> None:
    token = TOKENS.issue(issued, ref, NOW)
    if issued is not read:
        with pytest.raises(TokenError) as caught:
            TOKENS.read(read, token, NOW)
        assert not isinstance(caught.value, TokenExpiredError)


@given(st.text())
def test_no_text_at_all_upsets_the_reader(text: str) -> None:
    assert purpose_of(text) is None or len(text) > 60
    with pytest.raises(TokenError):
        TOKENS.read(Purpose.STOP, text, NOW)


@given(purposes, refs)
def test_rotation_keeps_old_links_valid_and_signs_with_the_newest(purpose: Purpose, ref: bytes) -> None:
    rotated = Tokens([OLD, NEW])
    assert rotated.read(purpose, TOKENS.issue(purpose, ref, NOW), NOW).ref == ref
    assert rotated.read(purpose, rotated.issue(purpose, ref, NOW), NOW).key == "t2"


@given(purposes, refs)
def test_a_key_of_the_same_name_but_another_secret_is_refused(purpose: Purpose, ref: bytes) -> None:
    forged = Tokens([TokenKey("t1", b"x" * 32)]).issue(purpose, ref, NOW)
    with pytest.raises(TokenError):
        TOKENS.read(purpose, forged, NOW)


@given(purposes, refs)
def test_a_compromised_key_is_refused_but_names_its_owner(purpose: Purpose, ref: bytes) -> None:
    leaked = Tokens([TokenKey(OLD.id, OLD.secret, compromised=True), NEW])
    with pytest.raises(TokenCompromisedError) as caught:
        leaked.read(purpose, TOKENS.issue(purpose, ref, NOW), NOW)
    assert (caught.value.ref, caught.value.purpose) == (ref, purpose)


def test_a_compromised_newest_key_does_not_sign() -> None:
    tokens = Tokens([OLD, TokenKey("t2", b"2" * 32, compromised=True)])
    assert tokens.read(Purpose.STOP, tokens.issue(Purpose.STOP, b"r" * 16, NOW), NOW).key == "t1"


@pytest.mark.parametrize(
    "keys", [[], [TokenKey("t1", b"1", compromised=True)], [OLD, OLD], [TokenKey("a.b", b"1")], [TokenKey("", b"1")]]
)
def test_unusable_keys_are_named_at_once(keys: list[TokenKey]) -> None:
    with pytest.raises(SettingsError):
        Tokens(keys)


@pytest.mark.parametrize(
    ("purpose", "life"),
    [
        (Purpose.CONFIRM, 7 * DAY),
        (Purpose.SET_UP, DAY),
        (Purpose.STAFF_PASSWORD, DAY),
        (Purpose.UNDO, DAY // 24),
    ],
)
def test_a_link_that_grants_expires(purpose: Purpose, life: int) -> None:
    token = TOKENS.issue(purpose, b"r" * 16, NOW)
    assert TOKENS.read(purpose, token, NOW + life - 1).ref == b"r" * 16
    with pytest.raises(TokenExpiredError):
        TOKENS.read(purpose, token, NOW + life)


@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.WHY])
def test_withdrawing_and_explaining_never_expire(purpose: Purpose) -> None:
    assert TOKENS.read(purpose, TOKENS.issue(purpose, b"r" * 16, NOW), NOW + 36_500 * DAY).ref == b"r" * 16


def test_a_ref_has_one_length() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        TOKENS.issue(Purpose.STOP, b"short", NOW)


def test_every_purpose_says_what_it_may_do() -> None:
    assert all(purpose.powers for purpose in set(Purpose) - {Purpose.HIDDEN})
    grants = {purpose for purpose in Purpose if Power.GRANT in purpose.powers}
    assert grants == {Purpose.CONFIRM, Purpose.CONNECT, Purpose.MOVE}


def test_links_inside_a_mail_may_only_reduce_and_explain() -> None:
    suits = MAIL_PURPOSES | {Purpose.INVITATION, Purpose.HAND, Purpose.HIDDEN, Purpose.KEEP}
    must_suit_mail(suits)
    for purpose in set(Purpose) - suits:
        with pytest.raises(NotAllowedError):
            must_suit_mail([purpose])
