"""What came in by mail: each mail until it is acted on, and what mail servers and readers reported about ours."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, text

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

# One row a mail and recipient, written before the server that brought it is told so. The mail itself goes once it was
# acted on; the digest stays, so that the same mail is not taken twice.
inbound_mail = Table(
    "inbound_mail",
    metadata,
    identity(),
    ref(),
    Column("door", Text, nullable=False),  # bounce, reply, stop, report: of our own addresses; relay: a connection's
    Column("message", LargeBinary(16)),  # ref of the message it is about; null: a relay address's
    belongs_to("contact", "contact.id", index=True),  # under whose key the mail is boxed
    Column("digest", LargeBinary(32), nullable=False, unique=True),  # HMAC of recipient and octets
    box("mail_box"),  # JSON: octets as Latin-1, local part, who brought it
    instant("received"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    instant("due"),
    instant("settled", nullable=True),
    CheckConstraint("door IN ('bounce','reply','stop','report','relay')", name="door"),
    CheckConstraint("state IN ('waiting','done','failed')", name="state"),
)
_waiting = inbound_mail.c.state == "waiting"
Index("ix_inbound_mail_due", inbound_mail.c.due, sqlite_where=_waiting, postgresql_where=_waiting)

# What is known of a message since it was handed over. One of each kind a message: a second says nothing new.
inbound_report = Table(
    "inbound_report",
    metadata,
    identity(),
    ref(),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),  # mail: a mail that came in; dialogue: the relay's own answer
    belongs_to("contact", "contact.id", index=True),
    Column("message", BigId, nullable=False),
    Column("campaign", BigId),
    Column("topic", BigId),
    Column("provider", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=""),  # RFC 3463
    Column("words", Text, nullable=False, server_default=""),  # the server's, addresses masked
    Column("reporting", Text, nullable=False, server_default=""),  # a host name
    Column("did", Text, nullable=False, server_default="noted"),
    Column("changed", Integer, nullable=False, server_default="0"),  # consents it ended
    Column("bar", LargeBinary(16)),  # the suppression it put up
    instant("rested", nullable=True),  # until when it gave the address a rest
    instant("rest_before", nullable=True),
    instant("at"),
    instant("undone", nullable=True),
    Column("undone_reason", Text, nullable=False, server_default=""),
    CheckConstraint("source IN ('mail','dialogue')", name="source"),
    CheckConstraint("did IN ('noted','barred','rested','withdrew','unproved','conversation')", name="did"),
)
_once = text("kind <> 'reply'")
Index(
    "uq_inbound_report_once",
    inbound_report.c.message,
    inbound_report.c.kind,
    unique=True,
    sqlite_where=_once,
    postgresql_where=_once,
)
Index("ix_inbound_report_campaign", inbound_report.c.campaign, inbound_report.c.kind)
Index("ix_inbound_report_at", inbound_report.c.at)
