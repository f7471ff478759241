"""What officers set: versions of policies, how far each came, who was told of it, and what waits for a second yes."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, identity, instant, metadata, ref

# Append-only: what an officer decided, never changed and never ended. A newer version takes its place.
policy_version = Table(
    "policy_version",
    metadata,
    identity(),
    ref(),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),  # 1, 2, … of this name
    Column("value", Text, nullable=False),  # JSON, see domain/policies.py
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),  # as the log names them: "staff:<ref>"
    instant("made"),
    instant("since"),  # from when it may hold
    Column("notice_days", Integer),  # people are told so many days before; null: nobody needs to be
    Column("approval", LargeBinary(16)),  # ref of the approval it stands on
    UniqueConstraint("name", "version"),
)

# How far a version has come. A row for each.
policy_progress = Table(
    "policy_progress",
    metadata,
    belongs_to("version", "policy_version.id", primary_key=True, autoincrement=False),
    Column("cursor", BigId, nullable=False, server_default="0"),  # the last contact a notice was planned for
    Column("people", Integer, nullable=False, server_default="0"),  # notices planned
    instant("told", nullable=True),  # every notice had been handed over or settled
    instant("begun", nullable=True),  # what its start brings with it was done
)

# Who was told of a version, and by which mail. Contacts outlive no erasure: the id alone stays, naming nobody.
policy_told = Table(
    "policy_told",
    metadata,
    belongs_to("version", "policy_version.id", primary_key=True, autoincrement=False),
    Column("contact", BigId, primary_key=True, autoincrement=False),
    Column("message", BigId, nullable=False),
)
Index("ix_policy_told_contact", policy_told.c.contact)

# One row an act that needs a second person, or a day's delay where there is none.
approval = Table(
    "approval",
    metadata,
    identity(),
    ref(),
    Column("act", Text, nullable=False),
    Column("about", LargeBinary(16)),  # ref of the campaign or contact
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of exactly what was asked
    Column("body", Text, nullable=False),  # JSON: what is asked, in refs, numbers and reasons
    Column("reason", Text, nullable=False),
    Column("asker", Text, nullable=False),
    belongs_to("staff", "staff.id", nullable=True),  # who asked
    instant("asked"),
    instant("ripe", nullable=True),  # nobody else could approve: granted by itself at this instant
    instant("expires"),
    Column("state", Text, nullable=False, server_default="asked"),
    instant("answered", nullable=True),
    Column("answerer", Text),
    Column("words", Text, nullable=False, server_default=""),  # why, of whoever answered
    instant("used", nullable=True),
    instant("told_of_ask", nullable=True),  # when whoever may answer was mailed, and whoever asked
    instant("told_of_answer", nullable=True),
    CheckConstraint("act IN ('campaign','reveal','policy')", name="act"),
    CheckConstraint("state IN ('asked','approved','declined','lapsed','withdrawn')", name="state"),
)
Index("ix_approval_act_about", approval.c.act, approval.c.about)
_open = approval.c.state == "asked"
Index("ix_approval_open", approval.c.asked, sqlite_where=_open, postgresql_where=_open)
