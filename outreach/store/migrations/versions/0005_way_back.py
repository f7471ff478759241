"""The way back: a function an area, each with its own tables."""

import base64
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _inbound()
    _conversations()
    _relaying()
    _room()
    _observations()
    _desk()


def _inbound() -> None:
    """Mail that came in, what it reported, and how long an address that keeps bouncing rests."""
    op.add_column("contact", sa.Column("rest_until", sa.BigInteger(), nullable=True))
    op.create_table(
        "inbound_mail",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(16), nullable=True),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("mail_box", sa.LargeBinary(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("door IN ('bounce','reply','stop','report','relay')", name=op.f("ck_inbound_mail_door")),
        sa.CheckConstraint("state IN ('waiting','done','failed')", name=op.f("ck_inbound_mail_state")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_inbound_mail_contact_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_mail")),
        sa.UniqueConstraint("ref", name=op.f("uq_inbound_mail_ref")),
        sa.UniqueConstraint("digest", name=op.f("uq_inbound_mail_digest")),
    )
    op.create_index(op.f("ix_inbound_mail_contact"), "inbound_mail", ["contact"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_inbound_mail_due", "inbound_mail", ["due"], sqlite_where=waiting, postgresql_where=waiting)
    _reports()


def _reports() -> None:
    op.create_table(
        "inbound_report",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("message", _ID, nullable=False),
        sa.Column("campaign", _ID, nullable=True),
        sa.Column("topic", _ID, nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("reporting", sa.Text(), server_default="", nullable=False),
        sa.Column("did", sa.Text(), server_default="noted", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bar", sa.LargeBinary(16), nullable=True),
        sa.Column("rested", sa.BigInteger(), nullable=True),
        sa.Column("rest_before", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("undone", sa.BigInteger(), nullable=True),
        sa.Column("undone_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("source IN ('mail','dialogue')", name=op.f("ck_inbound_report_source")),
        sa.CheckConstraint(
            "did IN ('noted','barred','rested','withdrew','unproved','conversation')",
            name=op.f("ck_inbound_report_did"),
        ),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_inbound_report_contact_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_report")),
        sa.UniqueConstraint("ref", name=op.f("uq_inbound_report_ref")),
    )
    op.create_index(op.f("ix_inbound_report_contact"), "inbound_report", ["contact"])
    once = sa.text("kind <> 'reply'")
    op.create_index(
        "uq_inbound_report_once",
        "inbound_report",
        ["message", "kind"],
        unique=True,
        sqlite_where=once,
        postgresql_where=once,
    )
    op.create_index("ix_inbound_report_campaign", "inbound_report", ["campaign", "kind"])
    op.create_index("ix_inbound_report_at", "inbound_report", ["at"])


def _conversations() -> None:
    """Conversations, their posts with files, tags and openings; answers to many, in public."""
    op.create_table(
        "conversation",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("topic", _ID, nullable=True),
        sa.Column("campaign", _ID, nullable=True),
        sa.Column("message", _ID, nullable=True),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("waiting", "answered", "closed")),
        sa.Column("staff", _ID, nullable=True),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.CheckConstraint("via IN ('reply','room')", name=op.f("ck_conversation_via")),
        sa.CheckConstraint("mark IN ('critical','praise','question')", name=op.f("ck_conversation_mark")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_conversation_contact_contact")),
        sa.ForeignKeyConstraint(["topic"], ["topic.id"], name=op.f("fk_conversation_topic_topic")),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_conversation_staff_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
        sa.UniqueConstraint("ref", name=op.f("uq_conversation_ref")),
        sqlite_autoincrement=True,
    )
    for column in ("contact", "topic"):
        op.create_index(op.f(f"ix_conversation_{column}"), "conversation", [column])
    conditions = {"waiting": "closed IS NULL AND waiting IS NOT NULL", "campaign": "campaign IS NOT NULL"}
    for column, condition in conditions.items():
        where = sa.text(condition)
        name = f"ix_conversation_{column}"
        op.create_index(name, "conversation", [column], sqlite_where=where, postgresql_where=where)
    _conversation_posts()
    _conversation_desk()


def _conversation_posts() -> None:
    op.create_table(
        "conversation_post",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("conversation", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("staff", _ID, nullable=True),
        sa.Column("message", _ID, nullable=True),
        sa.Column("inbound", _ID, nullable=True),
        sa.Column("is_foreign", sa.Integer(), server_default="0", nullable=False),
        sa.Column("words_box", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("kind IN ('theirs','answer','note')", name=op.f("ck_conversation_post_kind")),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversation.id"], name=op.f("fk_conversation_post_conversation_conversation")
        ),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_conversation_post_staff_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation_post")),
        sa.UniqueConstraint("ref", name=op.f("uq_conversation_post_ref")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_conversation_post_conversation"), "conversation_post", ["conversation"])
    where = sa.text("message IS NOT NULL")
    name = "ix_conversation_post_message"
    op.create_index(name, "conversation_post", ["message"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "conversation_file",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("post", _ID, nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("name_box", sa.LargeBinary(), nullable=True),
        sa.Column("content_box", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["post"], ["conversation_post.id"], name=op.f("fk_conversation_file_post_conversation_post")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation_file")),
        sa.UniqueConstraint("ref", name=op.f("uq_conversation_file_ref")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_conversation_file_post"), "conversation_file", ["post"])


def _conversation_desk() -> None:
    op.create_table(
        "conversation_tag",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("conversation", _ID, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversation.id"], name=op.f("fk_conversation_tag_conversation_conversation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation_tag")),
        sa.UniqueConstraint("conversation", "tag", name=op.f("uq_conversation_tag_conversation_tag")),
    )
    op.create_index("ix_conversation_tag_tag", "conversation_tag", ["tag"])
    op.create_table(
        "conversation_opening",
        sa.Column("conversation", _ID, nullable=False),
        sa.Column("staff", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversation.id"], name=op.f("fk_conversation_opening_conversation_conversation")
        ),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_conversation_opening_staff_staff")),
        sa.PrimaryKeyConstraint("conversation", "staff", name=op.f("pk_conversation_opening")),
    )
    op.create_table(
        "public_answer",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("topic", _ID, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("locale", "title", "said", "done")),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("author", _ID, nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn", sa.BigInteger(), nullable=True),
        sa.Column("critical", sa.Integer(), nullable=True),
        sa.Column("unanswered", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["topic"], ["topic.id"], name=op.f("fk_public_answer_topic_topic")),
        sa.ForeignKeyConstraint(["author"], ["staff.id"], name=op.f("fk_public_answer_author_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_answer")),
        sa.UniqueConstraint("ref", name=op.f("uq_public_answer_ref")),
    )
    op.create_index(op.f("ix_public_answer_topic"), "public_answer", ["topic"])


def _relaying() -> None:
    """Relay addresses, also of those connected already, and the mails on their way through them."""
    op.create_table(
        "relay_address",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("local_part", sa.Text(), nullable=False),
        sa.Column("connection", _ID, nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connection.id"], name=op.f("fk_relay_address_connection_connection")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_relay_address_contact_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_address")),
        sa.UniqueConstraint("local_part", name=op.f("uq_relay_address_local_part")),
        sa.UniqueConstraint("connection", "contact", name=op.f("uq_relay_address_connection_contact")),
    )
    op.create_table(
        "relayed",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("address", _ID, nullable=False),
        sa.Column("writer", _ID, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("message", _ID, nullable=True),
        sa.Column("warning", _ID, nullable=True),
        sa.Column("warnings", sa.Integer(), server_default="0", nullable=False),
        sa.Column("words_box", sa.LargeBinary(), nullable=True),
        sa.Column("origin_key", sa.LargeBinary(32), nullable=True),
        sa.Column("origin_box", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('held','waiting','going','done')", name=op.f("ck_relayed_state")),
        sa.CheckConstraint(
            "outcome IN ('passed','failed','dropped','expired','ended')", name=op.f("ck_relayed_outcome")
        ),
        sa.ForeignKeyConstraint(["address"], ["relay_address.id"], name=op.f("fk_relayed_address_relay_address")),
        sa.ForeignKeyConstraint(["writer"], ["contact.id"], name=op.f("fk_relayed_writer_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relayed")),
        sa.UniqueConstraint("ref", name=op.f("uq_relayed_ref")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_relayed_writer"), "relayed", ["writer"])
    op.create_index("ix_relayed_address", "relayed", ["address", "received"])
    op.create_index("ix_relayed_received", "relayed", ["received"])
    conditions = {"open": (["state", "until"], "state != 'done'")}
    conditions |= {one: ([one], f"{one} IS NOT NULL") for one in ("message", "warning")}
    for name, (columns, condition) in conditions.items():
        where = sa.text(condition)
        op.create_index(f"ix_relayed_{name}", "relayed", columns, sqlite_where=where, postgresql_where=where)
    _give_relay_addresses()


def _give_relay_addresses() -> None:
    live = op.get_bind().execute(sa.text("SELECT id, low, high FROM connection WHERE ended IS NULL"))
    rows = [
        {"connection": row.id, "contact": person, "local_part": f"with-{_base32()}"}
        for row in live
        for person in (row.low, row.high)
    ]
    if rows:
        made = "INSERT INTO relay_address (connection, contact, local_part) VALUES (:connection, :contact, :local_part)"
        op.get_bind().execute(sa.text(made), rows)


def _base32() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def _room() -> None:
    """Consents on their way to another address of the same person."""
    op.create_table(
        "address_move",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("target", _ID, nullable=True),
        sa.Column("confirmation", _ID, nullable=True),
        sa.Column("network", sa.LargeBinary(32), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("asked_box", sa.LargeBinary(), nullable=True),
        sa.Column("answer_box", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("outcome IN ('moved','stopped','declined','lapsed')", name=op.f("ck_address_move_outcome")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_address_move_contact_contact")),
        sa.ForeignKeyConstraint(["target"], ["contact.id"], name=op.f("fk_address_move_target_contact")),
        sa.ForeignKeyConstraint(
            ["confirmation"], ["confirmation.id"], name=op.f("fk_address_move_confirmation_confirmation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_move")),
        sa.UniqueConstraint("ref", name=op.f("uq_address_move_ref")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_address_move_contact"), "address_move", ["contact"])
    op.create_index(op.f("ix_address_move_target"), "address_move", ["target"])
    is_open = sa.text("ended IS NULL")
    op.create_index(
        "uq_address_move_open",
        "address_move",
        ["contact"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_address_move_due", "address_move", ["due"], sqlite_where=is_open, postgresql_where=is_open)


def _observations() -> None:
    """That the hidden link of a mail that asks was touched; by whom is not kept."""
    op.create_table(
        "observation",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("about", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observation")),
        sa.UniqueConstraint("about", name=op.f("uq_observation_about")),
    )
    op.create_index(op.f("ix_observation_at"), "observation", ["at"])


def _desk() -> None:
    """What a soft opt-in stands on, the relay that carried an attempt, and staff who are told what is due."""
    op.add_column("consent", sa.Column("soft_from", sa.BigInteger(), nullable=True))
    soft = sa.text("soft_from IS NOT NULL AND state IN ('granted', 'paused')")
    op.create_index("ix_consent_soft_from", "consent", ["soft_from"], sqlite_where=soft, postgresql_where=soft)
    op.add_column("attempt", sa.Column("relay", sa.Text(), nullable=True))
    op.add_column("staff", sa.Column("told_of_dues", sa.Integer(), server_default="1", nullable=False))
    op.add_column("staff", sa.Column("last_told", sa.BigInteger(), nullable=True))
    op.create_index("ix_policy_told_contact", "policy_told", ["contact"])
    for told in ("told_of_ask", "told_of_answer"):
        op.add_column("approval", sa.Column(told, sa.BigInteger(), nullable=True))
