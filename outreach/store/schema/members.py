"""Person to person: members and their sessions, invitations, connect links, connections and what each side shows."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, text

from outreach.store.schema.columns import belongs_to, box, identity, instant, metadata, ref

member = Table(
    "member",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", unique=True),  # whose confirmed address is the account's
    Column("code", Text, nullable=False, unique=True),  # what officers see instead of a name
    box("name_box"),  # as others read it, under the contact's key
    Column("password_hash", Text),  # argon2id; null once closed
    Column("notify", Integer, nullable=False, server_default="0"),  # 1: mail me when somebody answers
    instant("created"),
    instant("suspended", nullable=True),
    Column("suspended_for", Text),  # reports, refusals, officer
    instant("judged_from", nullable=True),  # an officer restored them: earlier answers no longer count
    instant("closed", nullable=True),
    sqlite_autoincrement=True,
)

member_session = Table(
    "member_session",
    metadata,
    identity(),
    Column("key", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the 256-bit id in the cookie
    ref(),
    belongs_to("member", "member.id", index=True),
    instant("created"),
    instant("seen"),
    instant("proved"),
    box("client_box"),
    instant("ended", nullable=True),
)

connect_link = Table(
    "connect_link",
    metadata,
    identity(),
    ref(),  # stands in its public address
    belongs_to("member", "member.id", index=True),
    box("label_box"),  # the owner's own name for it, under their key
    Column("most", Integer),  # how many may ask through it; null: no limit
    instant("expires", nullable=True),
    instant("created"),
    instant("closed", nullable=True),
    Column("closed_for", Text),  # reports: three mailboxes reported what came through it; null: its owner, or they left
)

# One row an invitation, whichever way it came about. `mailbox` is what once-ever counts by; it outlives the address.
invitation = Table(
    "invitation",
    metadata,
    identity(),
    ref(),
    belongs_to("member", "member.id", index=True),  # who invites, or whose connect link it is
    Column("way", Text, nullable=False),
    belongs_to("mailbox", "mailbox.id", nullable=True),  # by hand: known once somebody accepts
    belongs_to("contact", "contact.id", nullable=True, index=True),  # who is invited, while we hold them
    belongs_to("link", "connect_link.id", nullable=True, index=True),
    Column("relationship", Text),  # the inviter's statement; null for a connect link
    Column("locale", Text, nullable=False),
    box("note_box"),  # the inviter's words, under the inviter's key; gone when its time is over
    box("label_box"),  # the masked address as the inviter's own list shows it, under the inviter's key
    instant("asked"),  # the inviter's press, or the visitor's at a connect link
    instant("decided", nullable=True),  # when the engine took it
    instant("expires"),
    instant("answered", nullable=True),
    Column("answer", Text),  # the recipient's; for a connect link "accepted" is the confirming press
    instant("settled", nullable=True),  # connect links: the owner's answer; else: when its inviter took it back
    Column("settlement", Text),  # accepted, refused
    Column("report", Text),  # why it was reported
    Column("reminder", Text),  # asked: by the recipient; sent: by a fresh act of the inviter
    CheckConstraint("way IN ('hand','mail','link')", name="way"),
    CheckConstraint("answer IN ('accepted','declined','never','reported','expired','cancelled')", name="answer"),
    CheckConstraint("settlement IN ('accepted','refused')", name="settlement"),
    CheckConstraint("reminder IN ('asked','sent')", name="reminder"),
    sqlite_autoincrement=True,
)
# Once ever by the inviter's own act, and once through their links: an ask nobody confirmed uses up none of their own.
for _kind, _way in (("made", "way <> 'link'"), ("link", "way = 'link'")):
    Index(
        f"uq_invitation_{_kind}",
        invitation.c.member,
        invitation.c.mailbox,
        unique=True,
        sqlite_where=text(_way),
        postgresql_where=text(_way),
    )
_open = invitation.c.answered.is_(None)
Index("ix_invitation_open", invitation.c.expires, sqlite_where=_open, postgresql_where=_open)
_worded = invitation.c.note_box.is_not(None) | invitation.c.label_box.is_not(None)
Index("ix_invitation_worded", invitation.c.expires, sqlite_where=_worded, postgresql_where=_worded)
_waiting = "settled IS NULL AND way = 'link' AND answer = 'accepted'"  # for the link's owner
Index("ix_invitation_waiting", invitation.c.answered, sqlite_where=text(_waiting), postgresql_where=text(_waiting))
Index("ix_invitation_mailbox", invitation.c.mailbox)
Index("ix_invitation_asked", invitation.c.asked)

# One row an ask that the engine took, whatever became of it: what a link's owner has a limit of. Kept for 30 days.
connect_ask = Table(
    "connect_ask",
    metadata,
    identity(),
    belongs_to("link", "connect_link.id", index=True),
    belongs_to("invitation", "invitation.id", nullable=True),  # null: nobody was mailed
    instant("at", index=True),
)

connection = Table(
    "connection",
    metadata,
    identity(),
    ref(),
    belongs_to("invitation", "invitation.id", index=True),  # one that ended may be followed by another
    belongs_to("low", "contact.id", index=True),  # the two contacts, smaller id first
    belongs_to("high", "contact.id", index=True),
    instant("since"),
    instant("ended", nullable=True),
    belongs_to("ended_by", "contact.id", nullable=True),
    CheckConstraint("low < high", name="pair"),
    sqlite_autoincrement=True,
)
_live = connection.c.ended.is_(None)
Index(
    "uq_connection_live", connection.c.low, connection.c.high, unique=True, sqlite_where=_live, postgresql_where=_live
)

# A side may mute the connection: nothing about it reaches them until they unmute. Relay addresses will stand here.
connection_side = Table(
    "connection_side",
    metadata,
    belongs_to("connection", "connection.id", primary_key=True),
    belongs_to("contact", "contact.id", primary_key=True),
    instant("muted", nullable=True),
)

# What one side lets the other see, from when until when: what was seen is seen, and both can read since when.
disclosure = Table(
    "disclosure",
    metadata,
    identity(),
    belongs_to("connection", "connection.id", index=True),
    belongs_to("contact", "contact.id"),  # whose name or address
    Column("what", Text, nullable=False),
    instant("since"),
    instant("until", nullable=True),
    CheckConstraint("what IN ('name','address')", name="what"),
)

appeal = Table(
    "appeal",
    metadata,
    identity(),
    ref(),
    belongs_to("member", "member.id", index=True),
    instant("at"),
    box("words_box"),  # under the member's key
    instant("answered", nullable=True),
    Column("answer", Text),  # lifted, kept
    Column("reason", Text, nullable=False, server_default=""),  # the officer's, addresses masked
    CheckConstraint("answer IN ('lifted','kept')", name="answer"),
)
