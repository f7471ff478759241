"""What composing a batch needs, loaded set-wise: readers, content, senders, and the texts people agreed to."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text

from outreach.store.schema.campaigns import content
from outreach.store.schema.organisation import controller, sender

_READERS = text(
    """
    SELECT x.id, x.ref, x.origin, x.contact, x.content, x.confirmation, x.body_box, x.topic AS topic_id,
      c.code, c.locale, c.address_box, c.fields_box, p.ref AS campaign, t.ref AS topic, t.name AS topic_name,
      COALESCE(t.sender, ot.sender) AS sender, ct.title, COALESCE(ct.cap_n, 0) AS cap_n,
      COALESCE(ct.cap_window, 0) AS cap_window, f.ref AS confirmation_ref, f.locale AS confirmation_locale,
      f.about, am.id AS account, i.ref AS invitation, i.way, i.locale AS invitation_locale, i.relationship, i.note_box,
      i.asked, i.expires, im.contact AS inviter, im.name_box,
      EXISTS (SELECT 1 FROM message earlier WHERE earlier.mailbox = x.mailbox AND earlier.invitation = x.invitation
        AND earlier.id < x.id) AS is_reminder
    FROM message x
    JOIN contact c ON c.id = x.contact
    LEFT JOIN content n ON n.id = x.content
    LEFT JOIN campaign p ON p.id = COALESCE(x.campaign, n.campaign)
    LEFT JOIN topic t ON t.id = COALESCE(p.topic, x.topic)
    LEFT JOIN consent cs ON cs.contact = x.contact AND cs.topic = x.topic
    LEFT JOIN consent_text ct ON ct.id = cs.text
    LEFT JOIN confirmation f ON f.id = x.confirmation
    LEFT JOIN (SELECT confirmation, MIN(topic) AS topic FROM confirmation_topic GROUP BY confirmation) fo
      ON fo.confirmation = f.id
    LEFT JOIN topic ot ON ot.id = fo.topic
    LEFT JOIN member am ON am.contact = c.id AND am.closed IS NULL
    LEFT JOIN invitation i ON i.id = x.invitation
    LEFT JOIN member im ON im.id = i.member
    WHERE x.id IN :ids
    """
).bindparams(bindparam("ids", expanding=True))

_ASKED = text(
    """
    SELECT ft.confirmation, ct.title, ct.gets, ct.wording, ct.version, ct.cap_n, ct.cap_window, ct.ratio_k, ct.kinds,
      ct.sender_name
    FROM confirmation_topic ft JOIN consent_text ct ON ct.id = ft.text
    WHERE ft.confirmation IN :ids ORDER BY ft.confirmation, ft.topic
    """
).bindparams(bindparam("ids", expanding=True))


def readers(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    """A row a message, with all that is known of its reader and its topic."""
    return list(connection.execute(_READERS, {"ids": list(ids)}))


def asked(connection: Connection, confirmations: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The topics each confirmation asks about, with the text its reader is shown."""
    found: dict[int, list[dict[str, Any]]] = {one: [] for one in confirmations}
    for row in connection.execute(_ASKED, {"ids": list(confirmations)}).mappings() if confirmations else ():
        found[row["confirmation"]].append(dict(row))
    return found


def prepared(connection: Connection, contents: Sequence[int]) -> dict[int, str]:
    """Prepared content by id, as JSON."""
    query = select(content.c.id, content.c.prepared).where(content.c.id.in_(list(contents)))
    return {row.id: row.prepared for row in connection.execute(query)}


def senders(connection: Connection) -> dict[int, Row[Any]]:
    """Every sender by id."""
    return {row.id: row for row in connection.execute(select(sender).order_by(sender.c.id))}


def the_controller(connection: Connection) -> Row[Any] | None:
    """The organisation; None before set-up."""
    return connection.execute(select(controller)).one_or_none()
