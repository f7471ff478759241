"""What a report is called and what followed from it, as staff read it."""

from outreach.mail.inbound.incoming import Kind
from outreach.services.intake.complaints import UNPROVED

KINDS = {
    Kind.HARD_BOUNCE.value: "There is no such mailbox",
    Kind.SOFT_BOUNCE.value: "The mailbox could not take it",
    Kind.DELAY.value: "Delayed: their server still tries",
    Kind.BLOCKED.value: "Their server refused it, whoever its reader is",
    Kind.DELIVERED.value: "Their server says it arrived",
    Kind.COMPLAINT.value: "Reported as spam",
    Kind.NOT_SPAM.value: "Reported as not spam",
    Kind.UNSUBSCRIBE.value: "Asked to stop, by mail",
    Kind.AUTO_REPLY.value: "An automatic answer",
    Kind.CHALLENGE.value: "A question whether we are human; it is never answered",
    Kind.REPLY.value: "A reply",
    Kind.UNREADABLE.value: "A mail that could not be read",
    UNPROVED: "Said to be reported as spam, but nobody vouched for the report",
}

DID = {
    "noted": "noted, nothing else",
    "barred": "the address was barred",
    "rested": "campaigns leave the address in peace",
    "withdrew": "consents were withdrawn",
    "unproved": "nothing: it carried no valid signature of its sender",
    "conversation": "it is in a conversation",
}


def kind_words(kind: str) -> str:
    """A report's kind as staff read it."""
    return KINDS.get(kind, kind.replace("-", " ").capitalize())
