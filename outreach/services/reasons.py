"""Why an officer does something: a sentence the log keeps with the act, any address in it masked."""

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError

SHORTEST_REASON = 10
LONGEST_REASON = 500


def check_reason(typed: str, wanted: str, otherwise: str) -> str:
    """The reason as it is kept. Raises InvalidInputError (field "reason") unless it has 10 to 500 characters.

    `wanted`: what the reason is to say ("why you need the address"); `otherwise`: what was not done ("Nothing was
    shown.").
    """
    said = addresses.scrub(" ".join(typed.split()))
    if not SHORTEST_REASON <= len(said) <= LONGEST_REASON:
        raise InvalidInputError(
            f"Say in {SHORTEST_REASON} to {LONGEST_REASON} characters {wanted}; the log keeps it. {otherwise}",
            field="reason",
        )
    return said
