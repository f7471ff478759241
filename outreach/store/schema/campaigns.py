"""What marketers write and what the pipeline carries: campaigns, their frozen content, messages and attempts."""

from sqlalchemy import CheckConstraint, Column, Computed, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

campaign = Table(
    "campaign",
    metadata,
    identity(),
    ref(),
    Column("name", Text, nullable=False),
    belongs_to("topic", "topic.id"),
    belongs_to("author", "staff.id"),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="draft"),
    Column("resumes_to", Text),  # the state a paused campaign goes back to
    Column("pause_reason", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("preheader", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False, server_default=""),  # Markdown with Liquid fields
    Column("segment", Text, nullable=False, server_default="{}"),  # JSON
    Column("priority", Integer, nullable=False, server_default="5"),  # 1 goes first
    instant("due", nullable=True),
    Column("zone", Text, nullable=False, server_default="UTC"),
    instant("later_until", nullable=True),  # "send later if it opens before": the deadline
    Column("content", BigId),
    Column("cursor", BigId, nullable=False, server_default="0"),  # last mailbox id planned
    instant("planned", nullable=True),  # when the whole audience had been planned
    instant("created"),
    instant("updated"),
    instant("started", nullable=True),
    instant("finished", nullable=True),
    CheckConstraint("kind IN ('promotional','informational','service')", name="kind"),
    CheckConstraint("state IN ('draft','scheduled','sending','paused','sent','cancelled')", name="state"),
)

Index("ix_campaign_state", campaign.c.state)

# Content frozen and prepared once, when a campaign is scheduled.
content = Table(
    "content",
    metadata,
    identity(),
    ref(),
    belongs_to("campaign", "campaign.id", index=True),
    Column("version", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("preheader", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prepared", Text, nullable=False),  # JSON of mail.content.Prepared
    Column("sha256", LargeBinary(32), nullable=False),
    instant("frozen"),
    UniqueConstraint("campaign", "version"),
)

message = Table(
    "message",
    metadata,
    identity(),
    ref(),
    Column("origin", Text, nullable=False),  # campaign, confirmation, invitation, notice, test (reply: comes later)
    Column("kind", Text, nullable=False),  # promotional, informational, service
    Column("lane", Text, nullable=False),
    belongs_to("contact", "contact.id"),
    Column("mailbox", BigId, nullable=False),
    Column("campaign", BigId),
    Column("topic", BigId),
    Column("content", BigId),
    Column("confirmation", BigId),
    Column("invitation", BigId),
    Column("state", Text, nullable=False),
    # What the indexes of waiting mail go by. It does not change when an attempt ends, so that PostgreSQL need not touch
    # any index for it.
    Column("queue", Integer, Computed("CASE state WHEN 'planned' THEN 1 WHEN 'waiting' THEN 2 END")),
    Column("reason", Text),
    instant("planned"),  # when it was planned; a place under the caps counts from here
    instant("due"),
    instant("later_until", nullable=True),
    Column("worker", Text),
    instant("lease", nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    instant("first_attempt", nullable=True),
    instant("counted", nullable=True),  # accepted: the hand-off; unknown: the end of its lease
    instant("settled", nullable=True),
    box("body_box"),  # a notice's own facts, JSON
    CheckConstraint("state IN ('waiting','planned','attempted','sent','withheld','failed','unknown')", name="state"),
    CheckConstraint("kind IN ('promotional','informational','service')", name="kind"),
    CheckConstraint("origin IN ('campaign','confirmation','invitation','notice','reply','test')", name="origin"),
    UniqueConstraint("campaign", "contact"),
    sqlite_autoincrement=True,
)
# The caps' ledger: every message that may count against a mailbox.
Index("ix_message_mailbox", message.c.mailbox)
_planned = message.c.queue == 1
Index("ix_message_lane", message.c.lane, message.c.due, message.c.id, sqlite_where=_planned, postgresql_where=_planned)
_waiting = message.c.queue == 2
Index("ix_message_waiting", message.c.campaign, message.c.due, sqlite_where=_waiting, postgresql_where=_waiting)

# What a worker has committed to and not recorded yet: one row a batch.
batch = Table(
    "batch",
    metadata,
    identity(),
    Column("worker", Text, nullable=False, unique=True),
    instant("lease"),
    Column("messages", Text, nullable=False),  # JSON: ids
)

# Attempts that are over. No foreign key: messages are never deleted, and one would cost more than the row.
attempt = Table(
    "attempt",
    metadata,
    identity(),
    Column("message", BigId, nullable=False, index=True),
    Column("number", Integer, nullable=False),
    instant("at"),
    Column("worker", Text, nullable=False),
    instant("ended", nullable=True),
    Column("outcome", Text),  # sent, deferred, failed, unknown, put back
    Column("code", Integer),
    Column("reply", Text),  # the server's words, addresses masked
    Column("relay", Text),  # which of the settings' relays was tried; null where nobody knows
)
