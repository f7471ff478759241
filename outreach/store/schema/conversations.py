"""What people wrote back, what staff answered, and what is told in public of many such replies together."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

# One thread with one person. What was said is in its posts; nothing here tells what it is about but staff's own words.
conversation = Table(
    "conversation",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", index=True),
    belongs_to("topic", "topic.id", nullable=True, index=True),
    Column("campaign", BigId),  # the one it replies to, if it does
    Column("message", BigId),  # the mail it replies to, if it does
    Column("via", Text, nullable=False),  # reply: by mail; room: in the person's own room
    instant("opened"),
    instant("waiting", nullable=True),  # since when something of theirs waits for an answer
    instant("answered", nullable=True),  # our latest answer
    instant("closed", nullable=True),
    belongs_to("staff", "staff.id", nullable=True),  # who takes care of it
    Column("mark", Text),  # critical, praise, question
    CheckConstraint("via IN ('reply','room')", name="via"),
    CheckConstraint("mark IN ('critical','praise','question')", name="mark"),
    sqlite_autoincrement=True,
)
_waits = conversation.c.closed.is_(None) & conversation.c.waiting.is_not(None)
Index("ix_conversation_waiting", conversation.c.waiting, sqlite_where=_waits, postgresql_where=_waits)
_of_campaign = conversation.c.campaign.is_not(None)
Index("ix_conversation_campaign", conversation.c.campaign, sqlite_where=_of_campaign, postgresql_where=_of_campaign)

# One thing said, or noted for colleagues.
conversation_post = Table(
    "conversation_post",
    metadata,
    identity(),
    ref(),
    belongs_to("conversation", "conversation.id", index=True),
    Column("kind", Text, nullable=False),
    instant("at"),
    belongs_to("staff", "staff.id", nullable=True),  # who answered or noted it; a note of nobody's is a stop
    Column("message", BigId),  # an answer: the mail that takes it
    Column("inbound", BigId),  # theirs: the mail that brought it
    Column("is_foreign", Integer, nullable=False, server_default="0"),  # it came from another address than we hold
    box("words_box"),  # JSON, under the person's key: subject, text, quoted
    CheckConstraint("kind IN ('theirs','answer','note')", name="kind"),
    sqlite_autoincrement=True,
)
_sent = conversation_post.c.message.is_not(None)
Index("ix_conversation_post_message", conversation_post.c.message, sqlite_where=_sent, postgresql_where=_sent)

# A file that came with a post. Too large a one is named only.
conversation_file = Table(
    "conversation_file",
    metadata,
    identity(),
    ref(),
    belongs_to("post", "conversation_post.id", index=True),
    Column("octets", Integer, nullable=False),  # how many there were
    box("name_box"),  # as its sender called it
    box("content_box"),  # base64
    sqlite_autoincrement=True,
)

# Words staff sort by.
conversation_tag = Table(
    "conversation_tag",
    metadata,
    identity(),
    belongs_to("conversation", "conversation.id"),
    Column("tag", Text, nullable=False),
    UniqueConstraint("conversation", "tag"),
)
Index("ix_conversation_tag_tag", conversation_tag.c.tag)

# Who has a conversation open to read, and since when: the log holds an entry of each opening.
conversation_opening = Table(
    "conversation_opening",
    metadata,
    belongs_to("conversation", "conversation.id", primary_key=True),
    belongs_to("staff", "staff.id", primary_key=True),
    instant("at"),
)

# "You said, we did": staff's own words about many replies to one topic, for everybody.
public_answer = Table(
    "public_answer",
    metadata,
    identity(),
    ref(),
    belongs_to("topic", "topic.id", index=True),
    Column("locale", Text, nullable=False),  # the language of the words
    Column("title", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("done", Text, nullable=False),
    instant("since"),  # replies count from here
    belongs_to("author", "staff.id"),
    instant("written"),
    instant("published", nullable=True),
    instant("withdrawn", nullable=True),
    Column("critical", Integer),  # how many replies were critical, and how many unanswered, when it was published
    Column("unanswered", Integer),
)
