"""The officer's desk: a function an area, each with its own tables."""

import hashlib
import json
import secrets

import sqlalchemy as sa
from alembic import op

from outreach.store.append_only import protect

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _rights()
    _log()
    _receipts()
    _policies()
    _desk()


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


def _desk() -> None:
    """Sums of the log, rulings on unknown outcomes, saved searches, the register's notes; indexes to search the log."""
    op.create_table(
        "log_figure",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("topic", sa.LargeBinary(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_figure")),
        sa.UniqueConstraint(
            "day", "kind", "topic", "reason", "provider", name=op.f("uq_log_figure_day_kind_topic_reason_provider")
        ),
    )
    op.create_table(
        "log_counted",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("size", _ID, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_log_counted_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_counted")),
    )
    op.create_table(
        "unknown_ruling",
        sa.Column("message", _ID, autoincrement=False, nullable=False),
        sa.Column("ruling", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("ruling IN ('arrived','lost','left')", name=op.f("ck_unknown_ruling_ruling")),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_unknown_ruling")),
    )
    op.create_table(
        "saved_search",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("staff", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_saved_search_staff_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sa.UniqueConstraint("ref", name=op.f("uq_saved_search_ref")),
    )
    op.create_index(op.f("ix_saved_search_staff"), "saved_search", ["staff"])
    op.create_table(
        "register_note",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_note")),
        sa.UniqueConstraint("section", "version", name=op.f("uq_register_note_section_version")),
    )
    protect(op.get_bind(), ("register_note",))
    _index_the_log()


def _index_the_log() -> None:
    op.drop_index("ix_audit_entry_actor", "audit_entry")
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])
    for column, which in (("actor", sa.text("actor != 'engine'")), ("campaign", sa.text("campaign IS NOT NULL"))):
        name = f"ix_audit_entry_{column}_at"
        op.create_index(name, "audit_entry", [column, "at"], sqlite_where=which, postgresql_where=which)


def _log() -> None:
    """Hashes above the leaves, made from the tiles there are; what is published, and who took it."""
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", _ID, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_audit_node")),
    )
    op.create_table(
        "publication",
        sa.Column("size", _ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["checkpoint.size"], name=op.f("fk_publication_size_checkpoint")),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_publication")),
    )
    op.create_table(
        "witness",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_witness")),
        sa.UniqueConstraint("name", name=op.f("uq_witness_name")),
    )
    op.create_table(
        "witnessed",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("size", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cosignature", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["size"], ["checkpoint.size"], name=op.f("fk_witnessed_size_checkpoint")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_witnessed")),
    )
    op.create_index("ix_witnessed_size", "witnessed", ["size"])
    op.create_index("ix_witnessed_witness", "witnessed", ["witness", "size"])
    _fill_nodes()


def _fill_nodes() -> None:
    """The root of every full tile, level by level, a thousand tiles at a time."""
    connection = op.get_bind()
    page = sa.text(
        "SELECT number, hashes FROM audit_tile WHERE level = :level AND number > :last ORDER BY number LIMIT 1000"
    )
    put = sa.text("INSERT INTO audit_node (level, number, hash) VALUES (:level, :number, :hash)")
    level, last = 0, -1
    while True:
        rows = connection.execute(page, {"level": level, "last": last}).all()
        if rows:
            nodes = [{"level": level + 1, "number": row.number, "hash": _root(row.hashes)} for row in rows]
            connection.execute(put, nodes)
            last = rows[-1].number
        elif last < 0:
            return
        else:
            level, last = level + 1, -1


def _root(packed: bytes) -> bytes:
    """RFC 6962 §2.1 over 32-byte hashes, a power of two of them."""
    while len(packed) > 32:
        packed = b"".join(hashlib.sha256(b"\x01" + packed[at : at + 64]).digest() for at in range(0, len(packed), 64))
    return packed


def _rights() -> None:
    """People's requests under the law, what serves them, and what an erasure keeps."""
    op.create_table(
        "rights_request",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=True)
            for name in ("extended", "identity_asked", "identity_met", "decided", "finished", "warned", "overdue")
        ),
        sa.Column("notice", sa.LargeBinary(16), nullable=True),
        sa.Column("claims_until", sa.BigInteger(), nullable=True),
        sa.Column("words_box", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('access','portability','correction','erasure','objection','restriction')",
            name=op.f("ck_rights_request_kind"),
        ),
        sa.CheckConstraint("via IN ('link','officer')", name=op.f("ck_rights_request_via")),
        sa.CheckConstraint("state IN ('open','carrying-out','done','refused')", name=op.f("ck_rights_request_state")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_rights_request_contact_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_request")),
        sa.UniqueConstraint("ref", name=op.f("uq_rights_request_ref")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_rights_request_contact"), "rights_request", ["contact"])
    waits = sa.text("finished IS NULL")
    op.create_index("ix_rights_request_due", "rights_request", ["due"], sqlite_where=waits, postgresql_where=waits)
    _serve_rights()
    _admit_rights()


def _serve_rights() -> None:
    """Links, the mails that rest on a request, results, proof kept for claims, and restores."""
    op.create_table(
        "rights_link",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("contact", _ID, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_rights_link_contact_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_link")),
        sa.UniqueConstraint("ref", name=op.f("uq_rights_link_ref")),
    )
    op.create_table(
        "rights_mail",
        sa.Column("message", _ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_rights_mail")),
    )
    op.create_table(
        "rights_result",
        sa.Column("request", _ID, autoincrement=False, nullable=False),
        sa.Column("result_box", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["rights_request.id"], name=op.f("fk_rights_result_request_rights_request")
        ),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_rights_result")),
    )
    op.create_table(
        "claims_hold",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("contact", sa.LargeBinary(16), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("proof_box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims_hold")),
        sa.UniqueConstraint("ref", name=op.f("uq_claims_hold_ref")),
    )
    op.create_table(
        "restoration",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("size", _ID, nullable=False),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restoration")),
    )
    indexed = {
        "rights_link": ("contact", "created"),
        "rights_mail": ("at",),
        "rights_result": ("expires",),
        "claims_hold": ("contact", "until"),
    }
    for table, columns in indexed.items():
        for column in columns:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _admit_rights() -> None:
    """One more door, and one more kind of bar."""
    doors = "door IN ('sign-up','staff-start','staff-reset','member-start','invite','connect','rights')"
    bars = {
        "kind": "kind IN ('bounce','complaint','never','restricted','erased','deceased','imported')",
        "scope": "scope IN ('address','mailbox')",
        "lift": "lift IN ('owner','officer','nobody')",
    }
    if op.get_bind().dialect.name == "postgresql":
        for table, name, check in (("request", "door", doors), ("suppression", "kind", bars["kind"])):
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
        return
    # moved: Alembic leaves the checks of a moved SQLite table behind, so all are named anew
    with op.batch_alter_table("request", recreate="always") as batch:
        batch.create_check_constraint(op.f("ck_request_door"), doors)
    with op.batch_alter_table("suppression", recreate="always") as batch:
        for name, check in bars.items():
            batch.create_check_constraint(op.f(f"ck_suppression_{name}"), check)


def _policies() -> None:
    """Versions of policies, approvals. The caps and rules of inviting there were become versions of theirs."""
    op.create_table(
        "policy_version",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("notice_days", sa.Integer(), nullable=True),
        sa.Column("approval", sa.LargeBinary(16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_version")),
        sa.UniqueConstraint("ref", name=op.f("uq_policy_version_ref")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_policy_version_name_version")),
    )
    op.create_table(
        "policy_progress",
        sa.Column("version", _ID, autoincrement=False, nullable=False),
        sa.Column("cursor", _ID, server_default="0", nullable=False),
        sa.Column("people", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=True),
        sa.Column("begun", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version"], ["policy_version.id"], name=op.f("fk_policy_progress_version_policy_version")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_progress")),
    )
    op.create_table(
        "policy_told",
        sa.Column("version", _ID, autoincrement=False, nullable=False),
        sa.Column("contact", _ID, autoincrement=False, nullable=False),
        sa.Column("message", _ID, nullable=False),
        sa.ForeignKeyConstraint(["version"], ["policy_version.id"], name=op.f("fk_policy_told_version_policy_version")),
        sa.PrimaryKeyConstraint("version", "contact", name=op.f("pk_policy_told")),
    )
    _approvals()
    _carry_policies(op.get_bind())
    protect(op.get_bind(), ("policy_version",))
    op.drop_table("cap")
    op.drop_table("invitation_policy")


def _approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ref", sa.LargeBinary(16), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("about", sa.LargeBinary(16), nullable=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asker", sa.Text(), nullable=False),
        sa.Column("staff", _ID, nullable=True),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("ripe", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="asked", nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=True),
        sa.Column("answerer", sa.Text(), nullable=True),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("act IN ('campaign','reveal','policy')", name=op.f("ck_approval_act")),
        sa.CheckConstraint(
            "state IN ('asked','approved','declined','lapsed','withdrawn')", name=op.f("ck_approval_state")
        ),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_approval_staff_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sa.UniqueConstraint("ref", name=op.f("uq_approval_ref")),
    )
    op.create_index("ix_approval_act_about", "approval", ["act", "about"])
    waits = sa.text("state = 'asked'")
    op.create_index("ix_approval_open", "approval", ["asked"], sqlite_where=waits, postgresql_where=waits)


def _carry_policies(connection: sa.Connection) -> None:
    """A version for each moment at which what held changed, with the reason given then."""
    for scope, otherwise in (("promotional", []), ("total", [[4, 604_800]])):
        query = 'SELECT n, "window", since, ended, reason FROM cap WHERE scope = :scope ORDER BY id'
        rows = connection.execute(sa.text(query), {"scope": scope}).all()
        held: list[tuple[int, str, object]] = []
        for at in sorted({row.since for row in rows} | {row.ended for row in rows if row.ended is not None}):
            now = [row for row in rows if row.since <= at and (row.ended is None or row.ended > at)]
            caps = sorted(([row.n, row.window] for row in now), key=lambda one: (one[1], one[0])) or otherwise
            reason = next((row.reason for row in now if row.since == at), "the caps before it ended")
            held.append((at, reason, {"caps": caps}))
        _carry(connection, f"cap-{scope}", held)
    columns = ("by_mail", "a_day", "a_month", "recipient_n", "recipient_window", "keep_days")
    rows = connection.execute(sa.text("SELECT * FROM invitation_policy ORDER BY since, id")).all()
    values = [{name: row._mapping[name] for name in columns} | {"by_mail": bool(row.by_mail)} for row in rows]
    _carry(connection, "invitations", [(row.since, row.reason, one) for row, one in zip(rows, values, strict=True)])


def _carry(connection: sa.Connection, name: str, held: list[tuple[int, str, object]]) -> None:
    made = sa.text(
        "INSERT INTO policy_version (ref, name, version, value, reason, author, made, since) "
        "VALUES (:ref, :name, :version, :value, :reason, 'unknown', :at, :at) RETURNING id"
    )
    begun = sa.text("INSERT INTO policy_progress (version, begun) VALUES (:version, :at)")
    for number, (at, reason, value) in enumerate(held, 1):
        values = {"ref": secrets.token_bytes(16), "name": name, "version": number, "reason": reason, "at": at}
        version = connection.execute(made, {**values, "value": json.dumps(value, sort_keys=True)}).scalar_one()
        connection.execute(begun, {"version": version, "at": at})
