"""How fast each relay may hand mail to each provider, shared by all workers; messages are claimed no more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "pace",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("relay", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=True),
        sa.Column("free", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("resting", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("slowed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("strikes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("day", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pace")),
        sa.UniqueConstraint("relay", "provider", name=op.f("uq_pace_relay_provider")),
    )
    op.execute("UPDATE message SET state = 'planned', worker = NULL, lease = NULL WHERE state = 'claimed'")
    op.drop_index("ix_message_lease", "message")
    checks = {
        "kind": "kind IN ('promotional','informational','service')",
        "origin": "origin IN ('campaign','confirmation','invitation','notice','reply','test')",
        "state": "state IN ('waiting','planned','attempted','sent','withheld','failed','unknown')",
    }
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_message_state"), "message", type_="check")
        op.create_check_constraint(op.f("ck_message_state"), "message", checks["state"])
    else:  # moved: Alembic leaves the checks of a moved SQLite table behind, so all are named anew
        with op.batch_alter_table("message", recreate="always", table_kwargs={"sqlite_autoincrement": True}) as batch:
            for name, check in checks.items():
                batch.create_check_constraint(op.f(f"ck_message_{name}"), check)
    op.create_index(
        "ix_message_lease",
        "message",
        ["lease"],
        sqlite_where=sa.text("state = 'attempted'"),
        postgresql_where=sa.text("state = 'attempted'"),
    )
