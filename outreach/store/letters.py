"""What composing a batch needs, loaded set-wise: readers, content, senders, and the texts people agreed to."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text

from outreach.store.schema.consents import consent_text
from outreach.store.schema.organisation import controller, sender

# Campaign mail and its tests, the many: no more than differs from reader to reader, in the order it is taken apart in.
_CAMPAIGN = """
    SELECT x.id, x.ref, x.contact, x.content, cs.text, c.code, c.locale, c.provider, c.address_box, c.fields_box,
      k.kek, k.wrapped
    FROM message x
    JOIN contact c ON c.id = x.contact
    LEFT JOIN contact_key k ON k.contact = x.contact
    LEFT JOIN consent cs ON cs.contact = x.contact AND cs.topic = x.topic
    WHERE x.origin IN ('campaign', 'test') AND x.id
    """
_CAMPAIGN_POSTGRESQL = text(f"{_CAMPAIGN} = ANY(CAST(:ids AS bigint[]))")  # one value to bind, and planned once
_CAMPAIGN_SQLITE = text(f"{_CAMPAIGN} IN (SELECT value FROM json_each(:ids))")

_CONTENTS = text(
    """
    SELECT n.id, n.prepared, p.ref AS campaign, t.ref AS topic, t.name AS topic_name, t.sender,
      EXISTS (SELECT 1 FROM public_answer a WHERE a.topic = t.id AND a.published IS NOT NULL
        AND a.withdrawn IS NULL) AS is_answered
    FROM content n JOIN campaign p ON p.id = n.campaign JOIN topic t ON t.id = p.topic
    WHERE n.id IN :ids
    """
).bindparams(bindparam("ids", expanding=True))

_OTHERS = text(
    """
    SELECT x.id, x.ref, x.origin, x.contact, x.confirmation, x.body_box, c.code, c.locale, c.provider, c.address_box,
      c.fields_box, COALESCE(t.sender, ot.sender) AS sender, f.ref AS confirmation_ref, f.locale AS confirmation_locale,
      f.about, f.expires AS ends, am.id AS account, i.ref AS invitation, i.way, i.locale AS invitation_locale,
      i.relationship, i.note_box,
      i.asked, i.expires, im.contact AS inviter, im.name_box,
      EXISTS (SELECT 1 FROM message earlier WHERE earlier.mailbox = x.mailbox AND earlier.invitation = x.invitation
        AND earlier.id < x.id) AS is_reminder
    FROM message x
    JOIN contact c ON c.id = x.contact
    LEFT JOIN topic t ON t.id = x.topic
    LEFT JOIN confirmation f ON f.id = x.confirmation
    LEFT JOIN (SELECT confirmation, MIN(topic) AS topic FROM confirmation_topic GROUP BY confirmation) fo
      ON fo.confirmation = f.id
    LEFT JOIN topic ot ON ot.id = fo.topic
    LEFT JOIN member am ON am.contact = c.id AND am.closed IS NULL
    LEFT JOIN invitation i ON i.id = x.invitation
    LEFT JOIN member im ON im.id = i.member
    WHERE x.origin NOT IN ('campaign', 'test') AND x.id IN :ids
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


def campaign_letters(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    """A row for each of these messages that a campaign wrote: its reader, their key, the text they agreed to."""
    if connection.dialect.name == "sqlite":
        return list(connection.execute(_CAMPAIGN_SQLITE, {"ids": json.dumps(list(ids))}).all())
    return list(connection.execute(_CAMPAIGN_POSTGRESQL, {"ids": list(ids)}).all())


def contents(connection: Connection, ids: Collection[int]) -> dict[int, Row[Any]]:
    """Frozen words by id, `prepared` as JSON, with their campaign and its topic."""
    return {row.id: row for row in connection.execute(_CONTENTS, {"ids": list(ids)})} if ids else {}


def promises(connection: Connection, texts: Collection[int]) -> dict[int, Row[Any]]:
    """Consent texts by id."""
    query = select(consent_text).where(consent_text.c.id.in_(list(texts)))
    return {row.id: row for row in connection.execute(query)} if texts else {}


def other_letters(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    """A row for each of these messages that no campaign wrote, with all its letter may need."""
    return list(connection.execute(_OTHERS, {"ids": list(ids)}))


def asked(connection: Connection, confirmations: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The topics each confirmation asks about, with the text its reader is shown."""
    found: dict[int, list[dict[str, Any]]] = {one: [] for one in confirmations}
    for row in connection.execute(_ASKED, {"ids": list(confirmations)}).mappings() if confirmations else ():
        found[row["confirmation"]].append(dict(row))
    return found


def senders(connection: Connection) -> dict[int, Row[Any]]:
    """Every sender by id."""
    return {row.id: row for row in connection.execute(select(sender).order_by(sender.c.id))}


def the_controller(connection: Connection) -> Row[Any] | None:
    """The organisation; None before set-up."""
    return connection.execute(select(controller)).one_or_none()
