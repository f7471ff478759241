"""The officer's desk: a function an area, each with its own tables."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _receipts()


def _receipts() -> None:
    op.create_table(
        "former_controller",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("postal_address", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("privacy_contact", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_controller")),
    )
    op.create_index(op.f("ix_former_controller_until"), "former_controller", ["until"])
    op.create_table(
        "receipt_mail",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("event", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["consent_event.id"], name=op.f("fk_receipt_mail_event_consent_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_mail")),
        sa.UniqueConstraint("message", name=op.f("uq_receipt_mail_message")),
    )
    op.create_index(op.f("ix_receipt_mail_event"), "receipt_mail", ["event"])
