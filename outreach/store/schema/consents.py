"""What people agreed to: topics, consent texts, the present state, its append-only events, and pending requests."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

topic = Table(
    "topic",
    metadata,
    identity(),
    ref(),
    Column("slug", Text, nullable=False, unique=True),
    belongs_to("sender", "sender.id"),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("retention_days", Integer, nullable=False),  # how long evidence is kept after consent ends
    Column("expires_days", Integer),  # consent lapses after so many days; null: it does not
    instant("created"),
    instant("closed", nullable=True),
)

# Append-only: a row is what one person may have agreed to, so it never changes.
consent_text = Table(
    "consent_text",
    metadata,
    identity(),
    ref(),
    belongs_to("topic", "topic.id"),
    Column("locale", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("title", Text, nullable=False),  # the topic's name in this locale
    Column("gets", Text, nullable=False),  # what the person will get, in a few words
    Column("wording", Text, nullable=False),  # the exact sentence agreed to
    Column("sender_name", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # comma-separated, of promotional, informational, service
    Column("cap_n", Integer, nullable=False),  # at most n mails …
    Column("cap_window", Integer, nullable=False),  # … in any window of so many seconds
    Column("ratio_k", Integer, nullable=False),  # informational mails for each promotional one; 0: no promise
    Column("sha256", LargeBinary(32), nullable=False),
    belongs_to("published_by", "staff.id", nullable=True),
    instant("published"),
    UniqueConstraint("topic", "locale", "version"),
    CheckConstraint("cap_n > 0 AND cap_window > 0 AND ratio_k >= 0", name="promise"),
)

consent = Table(
    "consent",
    metadata,
    belongs_to("contact", "contact.id", primary_key=True),
    belongs_to("topic", "topic.id", primary_key=True),
    Column("state", Text, nullable=False),
    instant("since"),
    instant("expires", nullable=True),
    instant("paused_until", nullable=True),
    belongs_to("text", "consent_text.id", nullable=True),  # the version this person agreed to
    Column("cap_n", Integer),  # the promise of that text, copied so that SQL decides without a join
    Column("cap_window", Integer),
    Column("ratio_k", Integer),
    Column("kinds", Text),
    Column("own_n", Integer),  # their own lower cap
    Column("own_window", Integer),
    instant("soft_from", nullable=True),  # of the purchase or inquiry it stands on; null: on consent
    CheckConstraint("state IN ('none','pending','granted','paused','withdrawn','expired')", name="state"),
)
Index("ix_consent_topic_contact", consent.c.topic, consent.c.contact)
Index(
    "ix_consent_expires",
    consent.c.expires,
    sqlite_where=consent.c.expires.is_not(None),
    postgresql_where=consent.c.expires.is_not(None),
)
Index(
    "ix_consent_paused_until",
    consent.c.paused_until,
    sqlite_where=consent.c.paused_until.is_not(None),
    postgresql_where=consent.c.paused_until.is_not(None),
)

_soft = consent.c.soft_from.is_not(None) & consent.c.state.in_(["granted", "paused"])
Index("ix_consent_soft_from", consent.c.soft_from, sqlite_where=_soft, postgresql_where=_soft)

# Append-only.
consent_event = Table(
    "consent_event",
    metadata,
    identity(),
    ref(),
    # No foreign key: an event outlives the person's row, and contact ids are never handed out twice.
    Column("contact", BigId, nullable=False, index=True),
    belongs_to("topic", "topic.id"),
    instant("at"),
    Column("event", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    belongs_to("text", "consent_text.id", nullable=True),
    Column("message_ref", LargeBinary(16)),  # the mail whose link was used, if one was
    box("evidence_box"),  # JSON: verbatim text, form, box state, times, networks, token's id, the act
)

# What came through a public door, before anything is known about it. One row a submission, always.
request = Table(
    "request",
    metadata,
    identity(),
    ref(),
    Column("door", Text, nullable=False),
    instant("received"),
    Column("network", LargeBinary(32), nullable=False),  # keyed hash of the IP prefix, for budgets
    box("payload_box"),  # JSON, sealed under the doors' key until the engine has dealt with it
    instant("not_before"),
    instant("settled", nullable=True),
    CheckConstraint(
        "door IN ('sign-up','staff-start','staff-reset','member-start','invite','connect','rights')", name="door"
    ),
)
Index(
    "ix_request_open",
    request.c.not_before,
    sqlite_where=request.c.settled.is_(None),
    postgresql_where=request.c.settled.is_(None),
)
Index(
    "ix_request_settled",
    request.c.settled,
    sqlite_where=request.c.settled.is_not(None),
    postgresql_where=request.c.settled.is_not(None),
)

# A request awaiting its owner's press: for consent, or for a member's account. Changes no state by itself.
confirmation = Table(
    "confirmation",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", index=True),
    Column("about", Text, nullable=False, server_default="topics"),  # topics, account
    Column("locale", Text, nullable=False),
    Column("network", LargeBinary(32), nullable=False),
    instant("requested"),
    instant("created"),
    instant("expires"),
    instant("answered", nullable=True),
    Column("answer", Text),  # confirmed, declined, never, expired
    box("evidence_box"),  # JSON: form URL, network, browser, source, the mail as sent
    CheckConstraint("answer IN ('confirmed','declined','never','expired')", name="answer"),
)
Index(
    "ix_confirmation_open",
    confirmation.c.expires,
    sqlite_where=confirmation.c.answered.is_(None),
    postgresql_where=confirmation.c.answered.is_(None),
)

_refused = (confirmation.c.answer == "declined") & confirmation.c.evidence_box.is_not(None)
Index("ix_confirmation_refused", confirmation.c.expires, sqlite_where=_refused, postgresql_where=_refused)

confirmation_topic = Table(
    "confirmation_topic",
    metadata,
    belongs_to("confirmation", "confirmation.id", primary_key=True),
    belongs_to("topic", "topic.id", primary_key=True),
    belongs_to("text", "consent_text.id"),  # the version whose words the person is shown
    Column("granted", Integer, nullable=False, server_default="0"),
)

# Confirmation mails started, by mailbox and by network: durable budgets over rolling windows.
mail_budget = Table(
    "mail_budget",
    metadata,
    identity(),
    Column("key", LargeBinary(32), nullable=False),
    instant("at"),
)
Index("ix_mail_budget_key_at", mail_budget.c.key, mail_budget.c.at)
Index("ix_mail_budget_at", mail_budget.c.at)
