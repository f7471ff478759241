"""What a report is called and what followed from it, as staff read it."""

from outreach.mail.inbound.incoming import Kind
from outreach.services.intake import bounces, complaints

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
    complaints.UNPROVED: "Said to be reported as spam, but their mail provider did not vouch for the report",
    bounces.UNPROVED: "Said to have come back, but not in the way a mail server tells it: anybody may have written it",
}

DID = {
    "noted": "noted, nothing else",
    "barred": "the address was barred",
    "rested": "campaigns leave the address in peace",
    "withdrew": "consents were withdrawn",
    "unproved": "nothing: it may be forged",
    "conversation": "it is in a conversation",
}


def kind_words(kind: str) -> str:
    """A report's kind as staff read it."""
    return KINDS.get(kind, kind.replace("-", " ").capitalize())
