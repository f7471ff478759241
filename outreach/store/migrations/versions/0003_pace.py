"""How fast each relay may hand mail to each provider, shared by all workers; messages are claimed no more."""

import sqlalchemy as sa
from alembic import op

from outreach.store.append_only import protect

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
        sa.Column("passed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
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
    _index_the_queue()
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("worker", name=op.f("uq_batch_worker")),
    )
    listed = "string_agg(CAST(id AS TEXT), ',')" if op.get_bind().dialect.name == "postgresql" else "group_concat(id)"
    op.execute(
        f"INSERT INTO batch (worker, lease, messages) SELECT worker, MAX(lease), '[' || {listed} || ']' FROM message "
        "WHERE state = 'attempted' GROUP BY worker"
    )
    _let_go_of_foreign_keys()
    _count_once()


def _count_once() -> None:
    """Sums of how each campaign's messages stand, from now on kept by whoever changes them."""
    op.create_index("ix_campaign_state", "campaign", ["state"])
    op.create_table(
        "tally",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("campaign", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    op.create_index("ix_tally_campaign", "tally", ["campaign", "state", "at"])
    op.execute(
        "INSERT INTO tally (campaign, at, state, reason, n) SELECT campaign, MAX(COALESCE(settled, planned)), state, "
        "reason, COUNT(*) FROM (SELECT campaign, settled, planned, "
        "CASE state WHEN 'attempted' THEN 'planned' ELSE state END AS state, "
        "CASE WHEN state NOT IN ('planned', 'attempted', 'waiting') THEN reason END AS reason "
        "FROM message WHERE campaign IS NOT NULL) AS stands GROUP BY campaign, state, reason"
    )


def _index_the_queue() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    queue = "CASE state WHEN 'planned' THEN 1 WHEN 'waiting' THEN 2 END"
    op.drop_index("ix_message_lane", "message")
    op.drop_index("ix_message_waiting", "message")
    kept = "STORED" if is_postgresql else "VIRTUAL"
    op.execute(f"ALTER TABLE message ADD COLUMN queue INTEGER GENERATED ALWAYS AS ({queue}) {kept}")
    for name, columns, number in (("lane", ["lane", "due", "id"], 1), ("waiting", ["campaign", "due"], 2)):
        where = sa.text(f"queue = {number}")
        op.create_index(f"ix_message_{name}", "message", columns, sqlite_where=where, postgresql_where=where)
    if is_postgresql:  # room on the page, so that the end of an attempt is written beside its beginning
        op.execute("ALTER TABLE message SET (fillfactor = 70)")


def _let_go_of_foreign_keys() -> None:
    keys = {"audit_pending": "entry_audit_entry", "audit_leaf": "entry_audit_entry", "attempt": "message_message"}
    for table, key in keys.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"fk_{table}_{key}"), type_="foreignkey")
    protect(op.get_bind(), ("audit_leaf",))  # moved, on SQLite: its triggers went with the old table
