"""A suspended member asks an officer to look again, and reads the answer."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import ENGINE, RECIPIENT, VISITOR, Actor
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import suspension
from outreach.services.appeals import (
    KEPT,
    LIFTED,
    LONGEST_APPEAL,
    answer_appeal,
    read_appeal,
    see_appeal,
    see_standing,
    write_appeal,
)
from outreach.services.context import Context
from outreach.services.invitation_desk import list_inviters, see_inviter, suspend_inviter
from outreach.store import leaving, members
from outreach.store.schema.members import appeal
from tests.factories import MadeMember, World
from tests.services.test_invitation_desk import OFFICER, OTHERS, REASON, entries

WORDS = "These are my neighbours.\nThey asked me to."


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    """A member whom the rules suspended after reports."""
    made = world.member("alice@example.org")
    with ctx.db.transaction() as conn:
        row = members.by_id(conn, made.id)
        assert row is not None
        suspension.suspend(conn, ctx.db.now(conn), row, "reports", ENGINE)
    return made


def test_a_member_in_good_standing_has_nothing_to_appeal(ctx: Context, world: World) -> None:
    bob = world.member()
    seen = see_standing(ctx, bob.actor)
    assert (seen.since, seen.can_appeal, seen.appeals) == (None, False, ())
    with pytest.raises(ConflictError):
        write_appeal(ctx, bob.actor, WORDS)


def test_a_suspended_member_reads_why(ctx: Context, world: World, alice: MadeMember) -> None:
    seen = see_standing(ctx, alice.actor)
    assert (seen.why, seen.reason, seen.can_appeal) == ("reports", "", True)
    assert seen.since
    bob = world.member()
    suspend_inviter(ctx, OFFICER, bob.ref, REASON)
    seen = see_standing(ctx, bob.actor)
    assert (seen.why, seen.reason) == ("officer", REASON)


def test_an_appeal_is_kept_sealed_and_the_log_holds_none_of_it(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, f"  {WORDS}\r\n")
    seen = see_standing(ctx, alice.actor)
    assert [one.words for one in seen.appeals] == [WORDS]
    assert not seen.can_appeal
    with ctx.db.reading() as conn:
        box = conn.execute(select(appeal.c.words_box)).scalar_one()
    assert b"neighbours" not in box
    ((contact, actor, body),) = entries(ctx, "member.appealed")
    assert (contact, actor) == (alice.person.ref, alice.actor.name)
    assert body == {"member": alice.ref.hex(), "appeal": ref.hex()}


def test_one_appeal_at_a_time(ctx: Context, alice: MadeMember) -> None:
    first = write_appeal(ctx, alice.actor, WORDS)
    with pytest.raises(ConflictError):
        write_appeal(ctx, alice.actor, WORDS)
    answer_appeal(ctx, OFFICER, first, KEPT, REASON)
    assert see_standing(ctx, alice.actor).can_appeal
    write_appeal(ctx, alice.actor, "And again.")
    assert [one.words for one in see_standing(ctx, alice.actor).appeals] == ["And again.", WORDS]


@pytest.mark.parametrize("words", ["", " \n ", "\x00\x07", "x" * (LONGEST_APPEAL + 1)])
def test_an_appeal_has_one_to_a_thousand_characters(ctx: Context, alice: MadeMember, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        write_appeal(ctx, alice.actor, words)
    assert caught.value.field == "words"
    assert see_standing(ctx, alice.actor).appeals == ()


def test_signs_that_cannot_be_seen_become_spaces_but_joiners_stay(ctx: Context, alice: MadeMember) -> None:
    write_appeal(ctx, alice.actor, "a\x07b\u202ec می\u200cخواهم")
    assert see_standing(ctx, alice.actor).appeals[0].words == "a b c می\u200cخواهم"


def test_reading_an_appeal_is_in_the_log_and_finding_it_is_not(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    assert see_inviter(ctx, OFFICER, alice.ref).appeal == ref
    assert list_inviters(ctx, OFFICER).lines[0].has_appeal
    found = see_appeal(ctx, OFFICER, ref)
    assert (found.member, found.is_open) == (alice.ref, True)
    assert entries(ctx, "member.appeal-read") == []
    assert read_appeal(ctx, OFFICER, ref) == WORDS
    ((contact, actor, body),) = entries(ctx, "member.appeal-read")
    assert (contact, actor) == (alice.person.ref, OFFICER.name)
    assert body == {"member": alice.ref.hex(), "appeal": ref.hex()}


def test_lifting_lets_the_member_invite_again_and_tells_them_why(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    answer_appeal(ctx, OFFICER, ref, LIFTED, "bob@example.org says the reports were a mistake")
    seen = see_standing(ctx, alice.actor)
    assert seen.since is None
    assert seen.appeals[0].answer == LIFTED
    assert seen.appeals[0].reason == "b•••@e•••.org says the reports were a mistake"
    assert entries(ctx, "member.restored")[0][2]["appeal"] == ref.hex()
    assert entries(ctx, "member.appeal-answered")[0][2]["answer"] == LIFTED


def test_keeping_leaves_the_suspension(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    answer_appeal(ctx, OFFICER, ref, KEPT, REASON)
    seen = see_standing(ctx, alice.actor)
    assert seen.since
    assert (seen.appeals[0].answer, seen.appeals[0].reason) == (KEPT, REASON)
    assert entries(ctx, "member.restored") == []


def test_an_appeal_is_answered_once(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    answer_appeal(ctx, OFFICER, ref, KEPT, REASON)
    with pytest.raises(ConflictError):
        answer_appeal(ctx, OFFICER, ref, LIFTED, REASON)
    assert see_standing(ctx, alice.actor).since


@pytest.mark.parametrize(("answer", "reason", "field"), [("maybe", REASON, "answer"), (LIFTED, "yes", "reason")])
def test_an_answer_is_one_of_two_and_has_a_reason(
    ctx: Context, alice: MadeMember, answer: str, reason: str, field: str
) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    with pytest.raises(InvalidInputError) as caught:
        answer_appeal(ctx, OFFICER, ref, answer, reason)
    assert caught.value.field == field
    assert see_appeal(ctx, OFFICER, ref).is_open


def test_the_words_go_with_the_person(ctx: Context, alice: MadeMember) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    with ctx.db.transaction() as conn:
        leaving.erase(conn, [alice.person.id])
    with pytest.raises(NotFoundError):
        read_appeal(ctx, OFFICER, ref)


@pytest.mark.parametrize("actor", [OFFICER, VISITOR, RECIPIENT])
def test_only_members_appeal(ctx: Context, actor: Actor) -> None:
    with pytest.raises(NotAllowedError):
        see_standing(ctx, actor)
    with pytest.raises(NotAllowedError):
        write_appeal(ctx, actor, WORDS)


@pytest.mark.parametrize("is_member", [False, True])
def test_only_officers_read_and_answer(ctx: Context, alice: MadeMember, is_member: bool) -> None:
    ref = write_appeal(ctx, alice.actor, WORDS)
    actor = alice.actor if is_member else OTHERS
    for attempt in (
        lambda: see_appeal(ctx, actor, ref),
        lambda: read_appeal(ctx, actor, ref),
        lambda: answer_appeal(ctx, actor, ref, KEPT, REASON),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
    with pytest.raises(NotFoundError):
        see_appeal(ctx, OFFICER, b"x" * 16)
