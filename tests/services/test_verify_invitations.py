"""The verifier replays how invitations ended and who is suspended, and finds what was changed behind its back."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import ENGINE, RECIPIENT, Actor, Role
from outreach.domain.invitation import Answer, Report, Way
from outreach.domain.tokens import Purpose
from outreach.services import answers, incoming, invite, sessions, suspension
from outreach.services.context import Context
from outreach.services.invitation_desk import restore_inviter
from outreach.services.leave import close_account
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import audit_replay, invitations, members
from outreach.store.audit import Entry, record
from outreach.store.schema.members import invitation
from tests.factories import MadeMember, World
from tests.services.past_invitations import invited
from tests.services.people import move_clock
from tests.services.staffing import CLIENT, PASSWORD
from tests.tampering import loosen

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
REASON = "they were mistaken for somebody else"


def by_hand(ctx: Context, who: MadeMember) -> tuple[bytes, str]:
    """A link to pass on, made by the member's press: the invitation's ref and the token."""
    ref = invite.send_invitation(ctx, who.actor, invite.Draft(Way.HAND, relationship="friend"))
    with ctx.db.reading() as conn:
        return ref, ctx.tokens.issue(Purpose.HAND, ref, ctx.db.now(conn))


def refuse(ctx: Context, ref: bytes, answer: Answer, why: Report | None = None) -> None:
    with ctx.db.transaction() as conn:
        row = invitations.by_ref(conn, ref)
        assert row is not None
        answers.settle_refusal(conn, ctx, ctx.db.now(conn), row, answer, why=why, actor=RECIPIENT)


def findings(ctx: Context) -> list[str]:
    seal(ctx, 1)
    return [finding.what for finding in verify(ctx).findings]


@pytest.fixture
def lived(ctx: Context, world: World) -> dict[str, bytes]:
    """Invitations that ended in every way, made and answered through the product; one stays open."""
    alice, bob, carol = world.member(), world.member(), world.member()
    declined, token = by_hand(ctx, alice)
    answers.decline_hand(ctx, token)
    reported, token = by_hand(ctx, alice)
    answers.report_hand(ctx, token, Report.UNWANTED)
    cancelled, _ = by_hand(ctx, bob)
    invite.cancel_invitation(ctx, bob.actor, cancelled)
    opened, _ = by_hand(ctx, bob)
    accepted, token = by_hand(ctx, carol)
    incoming.accept(ctx, bob.actor, accepted, show_name=True, show_address=False, hand_token=token)
    never = invited(ctx, carol, way="mail", mailbox=world.person().mailbox)
    refuse(ctx, never, Answer.DECLINED)
    refuse(ctx, never, Answer.NEVER)
    expired = invited(ctx, carol, "expired", way="mail", days=0)
    return {
        "declined": declined,
        "reported": reported,
        "cancelled": cancelled,
        "open": opened,
        "accepted": accepted,
        "never": never,
        "expired": expired,
    }


def test_what_the_product_wrote_is_clean(ctx: Context, lived: dict[str, bytes]) -> None:
    seal(ctx, 1)
    verdict = verify(ctx)
    assert verdict.is_clean, verdict.lines()
    assert verdict.invitations == len(lived)
    with ctx.db.reading() as conn:
        held = {row.ref: row.answer for row in conn.execute(select(invitation.c.ref, invitation.c.answer))}
    assert {name: held[ref] for name, ref in lived.items()} == {
        name: None if name == "open" else name for name in lived
    }


@pytest.mark.parametrize(
    ("which", "change", "found"),
    [
        ("declined", "answer = 'accepted'", "was declined, the table says was accepted"),
        ("reported", "answer = 'declined'", "was reported, the table says was declined"),
        ("reported", "report = NULL", "do not agree what"),
        ("reported", "report = 'advertising'", "do not agree what"),
        ("declined", "answer = NULL, answered = NULL", "was declined, the table says was not answered"),
        ("open", "answer = 'declined', answered = 1", "was not answered, the table says was declined"),
        ("cancelled", "answer = 'expired'", "was cancelled, the table says was expired"),
        ("expired", "answer = 'cancelled'", "was expired, the table says was cancelled"),
        ("never", "answer = 'declined'", "was never, the table says was declined"),
        ("accepted", "settlement = 'refused'", "was not answered, the table was refused"),
    ],
)
def test_a_changed_answer_is_found(ctx: Context, lived: dict[str, bytes], which: str, change: str, found: str) -> None:
    assert findings(ctx) == []
    ref = lived[which].hex()
    literal = f"x'{ref}'" if ctx.db.is_sqlite else f"'\\x{ref}'::bytea"
    loosen(ctx, f"UPDATE invitation SET {change} WHERE ref = {literal}")
    (finding,) = findings(ctx)
    assert found in finding
    assert ref in finding


def test_an_invitation_taken_out_of_the_table_is_found(ctx: Context, lived: dict[str, bytes]) -> None:
    ref = lived["never"].hex()
    literal = f"x'{ref}'" if ctx.db.is_sqlite else f"'\\x{ref}'::bytea"
    loosen(ctx, f"DELETE FROM invitation WHERE ref = {literal}")
    assert findings(ctx) == [f"invitation {ref} is missing from the table"]


def test_an_entry_that_names_no_invitation_is_found_once(ctx: Context, lived: dict[str, bytes]) -> None:
    with ctx.db.transaction() as conn:
        record(
            conn, ctx.db.now(conn), Entry(kind="invitation.answered", actor="recipient", body={"answer": "declined"})
        )
    assert findings(ctx) == ["invitation.answered names no invitation"]


def test_a_request_through_a_connect_link_is_followed_to_its_owners_answer(ctx: Context, world: World) -> None:
    owner = world.member()
    refs = [invited(ctx, owner, "accepted", way="link", days=0) for _ in range(2)]
    with ctx.db.transaction() as conn:
        for ref, settlement in zip(refs, ("accepted", "refused"), strict=True):
            row = invitations.by_ref(conn, ref)
            assert row is not None
            invitations.change(conn, row.id, settled=1, settlement=settlement)
            body = {"invitation": ref.hex(), "settlement": settlement}
            record(conn, ctx.db.now(conn), Entry(kind="invitation.answered", actor=owner.actor.name, body=body))
    waiting = invited(ctx, owner, "accepted", way="link", days=0)
    for ref in (*refs, waiting):
        refuse(ctx, ref, Answer.REPORTED, Report.UNKNOWN_PERSON)
    assert findings(ctx) == []
    loosen(ctx, "UPDATE invitation SET settlement = 'accepted' WHERE settlement = 'refused'")
    (finding,) = findings(ctx)
    assert "the request by" in finding


def test_what_closing_an_account_ends_is_in_the_log(ctx: Context, world: World) -> None:
    owner = world.member(password=PASSWORD)
    for answer, way in (("", "hand"), ("accepted", "link"), ("accepted", "hand"), ("", "link")):
        invited(ctx, owner, answer, way=way)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), owner.id, CLIENT, sessions.MEMBERS)
    opened = sessions.open_session(ctx, token)
    assert opened is not None
    close_account(ctx, opened, PASSWORD)
    with ctx.db.reading() as conn:
        ends = conn.execute(select(invitation.c.answer, invitation.c.settlement).order_by(invitation.c.id)).all()
    assert [tuple(row) for row in ends] == [
        ("cancelled", None),
        ("accepted", "refused"),
        ("accepted", None),
        ("cancelled", None),
    ]
    assert findings(ctx) == []


@pytest.fixture
def members_of_each_kind(ctx: Context, world: World) -> None:
    """One in good standing, one suspended after reports, one suspended and let invite again."""
    world.member()
    for why in ("reports", "refusals"):
        made = world.member()
        with ctx.db.transaction() as conn:
            row = members.by_id(conn, made.id)
            assert row is not None
            suspension.suspend(conn, ctx.db.now(conn), row, why, ENGINE)
    restore_inviter(ctx, OFFICER, made.ref, REASON)


@pytest.mark.usefixtures("members_of_each_kind")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("suspended = NULL, suspended_for = NULL WHERE suspended IS NOT NULL", "not suspended"),
        ("suspended_for = 'officer' WHERE suspended IS NOT NULL", "suspended for officer"),
        ("suspended = 1, suspended_for = 'reports' WHERE judged_from IS NOT NULL", "is not suspended, the table says"),
        ("judged_from = judged_from + 1 WHERE judged_from IS NOT NULL", "judged from another time"),
        ("judged_from = 1 WHERE suspended IS NOT NULL", "judged from another time"),
    ],
)
def test_a_changed_suspension_is_found(ctx: Context, change: str, found: str) -> None:
    assert findings(ctx) == []
    loosen(ctx, f"UPDATE member SET {change}")
    (finding,) = findings(ctx)
    assert found in finding


def test_ranges_of_any_length_cover_every_invitation_once(
    ctx: Context, lived: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for length in (1, 2, len(lived), 100):
        monkeypatch.setattr(audit_replay, "WIDE_PAGE", length)
        verdict = verify(ctx)
        assert (verdict.invitations, verdict.findings) == (len(lived), ())


def test_an_invitation_ended_by_anothers_never_is_in_the_log(ctx: Context, world: World) -> None:
    alice, bob, person = world.member(), world.member(), world.person()
    first = invited(ctx, alice, way="mail", mailbox=person.mailbox, contact=person.id)
    invited(ctx, bob, way="mail", mailbox=person.mailbox, contact=person.id)
    refuse(ctx, first, Answer.NEVER)
    move_clock(ctx, 86_400)
    with ctx.db.reading() as conn:
        assert sorted(conn.execute(select(invitation.c.answer)).scalars()) == ["expired", "never"]
    assert findings(ctx) == []
