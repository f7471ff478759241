"""What people ask of us under the law (GDPR 15 to 22), the links and mails that serve it, and what an erasure keeps."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

# One row a request. It outlives the person: what was asked, when, and that it was answered in time.
rights_request = Table(
    "rights_request",
    metadata,
    identity(),
    ref(),
    Column("kind", Text, nullable=False),
    belongs_to("contact", "contact.id", index=True),
    Column("via", Text, nullable=False),  # link: by the person; officer: entered for them
    Column("state", Text, nullable=False),
    instant("opened"),  # when it reached us: the month counts from here
    instant("due"),
    instant("extended", nullable=True),
    instant("identity_asked", nullable=True),  # more than control of the mailbox was asked for
    instant("identity_met", nullable=True),
    instant("decided", nullable=True),
    instant("finished", nullable=True),
    instant("warned", nullable=True),  # the log says that it is due soon
    instant("overdue", nullable=True),  # the log says that its time is over
    Column("notice", LargeBinary(16)),  # the mail an erasure waits for
    instant("claims_until", nullable=True),  # an erasure: until when proof is kept for claims, as the person was told
    box("words_box"),  # JSON, under the person's key: what they wrote, what they were told
    CheckConstraint(
        "kind IN ('access','portability','correction','erasure','objection','restriction')",
        name="kind",
    ),
    CheckConstraint("via IN ('link','officer')", name="via"),
    CheckConstraint("state IN ('open','carrying-out','done','refused')", name="state"),
    sqlite_autoincrement=True,
)
_unfinished = rights_request.c.finished.is_(None)
Index("ix_rights_request_due", rights_request.c.due, sqlite_where=_unfinished, postgresql_where=_unfinished)

# A fresh link to a person's own data, good for half an hour. The row stays a week, so that links can be counted.
rights_link = Table(
    "rights_link",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", index=True),
    instant("created", index=True),
)

# Which mails rest on a person's request or on their asking for a link: the law wants them answered, whatever is barred.
rights_mail = Table(
    "rights_mail",
    metadata,
    Column("message", BigId, primary_key=True, autoincrement=False),
    instant("at", index=True),
)

# The answer to a request for access or portability, under the person's key, until it expires.
rights_result = Table(
    "rights_result",
    metadata,
    belongs_to("request", "rights_request.id", primary_key=True, autoincrement=False),
    box("result_box", nullable=False),
    instant("made"),
    instant("expires", index=True),
)

# Proof of what an erased person agreed to, kept for legal claims alone (GDPR 17(3)(e)), under a key of its own.
claims_hold = Table(
    "claims_hold",
    metadata,
    identity(),
    ref(),
    Column("contact", LargeBinary(16), nullable=False, index=True),  # the ref they had, as in the log
    instant("made"),
    instant("until", index=True),
    box("proof_box", nullable=False),
)

# A database brought back from a backup, and the erasures since applied to it again.
restoration = Table(
    "restoration",
    metadata,
    identity(),
    instant("at"),
    Column("size", BigId, nullable=False),  # of the newest checkpoint kept outside the database
    Column("erased", Integer, nullable=False),
)
