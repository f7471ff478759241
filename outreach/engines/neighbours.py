"""The demonstration's members: they join, invite one another, put up links, connect, and now and then say no.

Everything goes through the real services, like the rest of the demonstration. The people are invented.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy, Report, Way
from outreach.domain.policies import Name, of_inviting
from outreach.domain.tokens import Purpose
from outreach.services import answers, appeals, connect, connect_links, incoming, invite, join
from outreach.services.connect import process_connects
from outreach.services.context import Context
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.policies.changes import change_policy
from outreach.services.sessions import Client as Browser
from outreach.store.contacts import find_by_address
from outreach.store.schema.consents import confirmation
from outreach.store.schema.members import invitation, member

NAMES = {
    "elsa": "Elsa Holm",
    "bram": "Bram de Wit",
    "nora": "Nora Field",
    "tove": "Tove Berg",
    "oscar": "Oscar Lund",
    "mira": "Mira Sand",
}
_SELLER = "viktor"
_DOMAIN = "neighbours.example"
_BROWSER = Browser(browser="Demonstration", network="192.0.2.0/24")
_DAY = 86_400
_REASON = "Members asked to invite neighbours by mail; one mail each, and we look at refusals every week"


@dataclass(frozen=True)
class _Known:
    """A member as this story knows them."""

    actor: Actor
    address: str


class Neighbours:
    """Plays a day at a time. `send` carries what is queued to the demo mailbox."""

    def __init__(self, ctx: Context, officer: Actor, send: Callable[[], None]) -> None:
        self.ctx, self.officer, self._send = ctx, officer, send
        self.password = secrets.token_urlsafe(12)
        self._members: dict[str, _Known] = {}
        self._links: dict[str, bytes] = {}
        self._acts: dict[int, Callable[[], None]] = {
            52: self._found,
            45: self._first_invitations,
            30: self._links_go_up,
            20: self._seller,
            6: self._lately,
            1: self._still_open,
        }

    @property
    def sign_in(self) -> tuple[str, str]:
        """Address and password of the member to look around as."""
        return _address("elsa"), self.password

    def allow_mail(self) -> None:
        """The officer's yes to invitations by mail, before anybody is there who had to be told first."""
        policy = Policy(by_mail=True, recipient=Cap(2, 30 * _DAY))
        change_policy(self.ctx, self.officer, Name.INVITATIONS, of_inviting(policy), _REASON)

    def live(self, days_ago: int) -> None:
        """What happens among them on this day."""
        if act := self._acts.get(days_ago):
            act()
        expire_invitations(self.ctx)

    def _found(self) -> None:
        for name in ("elsa", "bram", "nora", "tove"):
            self._join(name)

    def _first_invitations(self) -> None:
        self._accept(self._by_mail("elsa", "bram", "friend", "We swapped beans in May. Shall we do it again?"))
        self._accept(self._by_mail("elsa", "nora", "colleague", "From the seed group."), shows_address=True)
        answers.decline(self.ctx, self._token(self._by_mail("bram", "away", "acquaintance", "")))
        self._by_mail("nora", "quiet", "friend", "Would you like a seat at our table?")
        by_hand = invite.send_invitation(
            self.ctx,
            self._members["tove"].actor,
            invite.Draft(way=Way.HAND, relationship="friend", note="The one from the fair", locale="en"),
        )
        token = self.ctx.tokens.issue(Purpose.HAND, by_hand, self._now())
        elsa = self._members["elsa"].actor
        ref = incoming.claim_hand(self.ctx, elsa, token)
        incoming.accept(self.ctx, elsa, ref, show_name=True, show_address=False, hand_token=token)

    def _links_go_up(self) -> None:
        for name, label in (("elsa", "Spring fair badge"), ("elsa", "Seed group page"), ("bram", "My garden blog")):
            self._links[label] = connect_links.make_link(
                self.ctx, self._members[name].actor, label=label, most=None, days=90
            )
        self._ask("Spring fair badge", "oscar", accepted=True)
        self._ask("My garden blog", "visitor", accepted=False)
        for name in ("oscar", "mira"):
            self._join(name)

    def _seller(self) -> None:
        """Somebody who takes invitations for advertising, and is stopped by those who got them."""
        self._join(_SELLER, "Viktor Falk")
        words = "Have a look at my new sheds!"
        for ref in [self._by_mail(_SELLER, f"stranger{number}", "customer", words) for number in range(4)]:
            answers.report(self.ctx, self._token(ref), Report.ADVERTISING)
        appeals.write_appeal(
            self.ctx, self._members[_SELLER].actor, "They bought a shed from me once. I will ask first."
        )

    def _lately(self) -> None:
        ref = self._by_mail("mira", "later", "family", "Come and see the pears, they are ripe.")
        answers.ask_reminder(self.ctx, self._token(ref))

    def _still_open(self) -> None:
        self._by_mail("mira", "elsa", "friend", "Shall we share a row of leeks?")
        self._by_mail("elsa", "anders", "friend", "Do you still have the old apple tree?")
        invite.send_invitation(
            self.ctx,
            self._members["elsa"].actor,
            invite.Draft(way=Way.HAND, relationship="acquaintance", note="We met at the compost stand", locale="en"),
        )
        self._ask("Seed group page", "newcomer", accepted=None)

    def _join(self, name: str, shown: str = "") -> None:
        """Ask for an account, read the mail, choose a name and a password."""
        address = _address(name)
        join.submit_start(self.ctx, address=address, network="192.0.2.0/24", locale="en")
        join.process_member_requests(self.ctx)
        self._send()
        with self.ctx.db.reading() as conn:
            person = find_by_address(conn, self.ctx.keyring, addresses.parse(address))
            assert person is not None  # noqa: S101  asked for above
            ref = (
                conn.execute(
                    select(confirmation.c.ref)
                    .where(confirmation.c.contact == person.id, confirmation.c.about == "account")
                    .order_by(confirmation.c.id.desc())
                )
                .scalars()
                .first()
            )
        assert ref is not None  # noqa: S101  the engine made it above
        token = self.ctx.tokens.issue(Purpose.ACCOUNT, ref, self._now())
        join.choose(
            self.ctx, token, name=shown or NAMES.get(name, name.title()), password=self.password, client=_BROWSER
        )
        with self.ctx.db.reading() as conn:
            row = conn.execute(select(member.c.id, member.c.ref).where(member.c.contact == person.id)).one()
        self._members[name] = _Known(Actor(f"member:{row.ref.hex()}", member_id=row.id), address)

    def _by_mail(self, inviter: str, invited: str, relationship: str, note: str) -> bytes:
        draft = invite.Draft(way=Way.MAIL, address=_address(invited), note=note, relationship=relationship, locale="en")
        ref = invite.send_invitation(self.ctx, self._members[inviter].actor, draft)
        process_invitations(self.ctx)
        self._send()
        return ref

    def _token(self, ref: bytes) -> str:
        return self.ctx.tokens.issue(Purpose.INVITATION, ref, self._now())

    def _accept(self, ref: bytes, *, shows_address: bool = False) -> None:
        """The invited member signs in and says yes."""
        with self.ctx.db.reading() as conn:
            who = conn.execute(
                select(member.c.id, member.c.ref)
                .join(invitation, invitation.c.contact == member.c.contact)
                .where(invitation.c.ref == ref)
            ).one()
        actor = Actor(f"member:{who.ref.hex()}", member_id=who.id)
        incoming.accept(self.ctx, actor, ref, show_name=True, show_address=shows_address)

    def _ask(self, label: str, name: str, *, accepted: bool | None) -> None:
        """Somebody asks through a link and confirms; `accepted`: what its owner says, None: nothing yet."""
        link = self._links[label]
        connect.submit_connect(
            self.ctx,
            link,
            address=_address(name),
            network="198.51.100.0/24",
            locale="en",
            ip="198.51.100.9",
            browser="Mozilla/5.0",
            seconds=30,
            honey="",
        )
        process_connects(self.ctx)
        self._send()
        with self.ctx.db.reading() as conn:
            row = conn.execute(
                select(invitation.c.ref, invitation.c.member).order_by(invitation.c.id.desc()).limit(1)
            ).one()
        token = self.ctx.tokens.issue(Purpose.CONNECT, row.ref, self._now())
        connect.confirm_connect(self.ctx, token, is_human=True)
        owner = next(known.actor for known in self._members.values() if known.actor.member_id == row.member)
        if accepted:
            incoming.accept(self.ctx, owner, row.ref, show_name=True, show_address=False)
        elif accepted is not None:
            incoming.refuse(self.ctx, owner, row.ref)
        self._send()

    def _now(self) -> int:
        with self.ctx.db.reading() as conn:
            return self.ctx.db.now(conn)


def _address(name: str) -> str:
    return f"{name}@{_DOMAIN}"
