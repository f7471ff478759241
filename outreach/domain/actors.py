"""Who is acting. Every service takes an Actor, every audit entry names one."""

from dataclasses import dataclass
from enum import StrEnum

from outreach.domain.errors import NotAllowedError


class Role(StrEnum):
    """What a member of staff may do; one person may hold several."""

    ADMINISTRATOR = "administrator"
    MARKETER = "marketer"
    OFFICER = "officer"


@dataclass(frozen=True)
class Actor:
    """`name` is what the log prints: "staff:<ref hex>", "member:<ref hex>", "recipient", "recipient:room", "visitor",
    "engine" …
    """

    name: str
    roles: frozenset[Role] = frozenset()
    staff_id: int | None = None
    member_id: int | None = None

    def must_be(self, *roles: Role) -> None:
        """Raise NotAllowedError unless the actor holds one of `roles`."""
        if not self.roles.intersection(roles):
            raise NotAllowedError("Your account does not have the role for this.")

    def must_be_member(self) -> int:
        """The member's id. Raises NotAllowedError for anybody else."""
        if self.member_id is None:
            raise NotAllowedError("Sign in to your member's account first.")
        return self.member_id


VISITOR = Actor("visitor")
RECIPIENT = Actor("recipient")
OWNER = Actor("recipient:room")
"""A recipient in their own room, behind a fresh link mailed to their address."""
ENGINE = Actor("engine")
CONSOLE = Actor("console", frozenset(Role))
