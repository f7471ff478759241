"""Markup in every stored text that a person can type: the lived house after somebody who tries what pages do with it.

A new text column needs a line here: typed by people, or ours. Until it has one, the guard fails and names it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from sqlalchemy import Connection, Row, Table, Text, insert, select, text, update

from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import content
from outreach.store.schema.columns import metadata
from outreach.store.schema.organisation import controller, staff
from outreach.store.schema.people import contact_key

TYPED = {
    "appeal": ("reason",),
    "approval": ("reason", "words"),
    "attempt": ("reply",),
    "campaign": ("name", "subject", "preheader"),
    "consent_text": ("title", "gets", "wording", "sender_name"),
    "content": ("subject", "preheader"),
    "controller": ("name", "postal_address", "privacy_contact"),
    "conversation_tag": ("tag",),
    "former_controller": ("name", "postal_address", "privacy_contact"),
    "inbound_report": ("words", "reporting", "undone_reason"),
    "policy_version": ("reason",),
    "public_answer": ("title", "said", "done"),
    "register_note": ("words",),
    "saved_search": ("name",),
    "sender": ("name", "postal_address"),
    "suppression": ("reason",),
    "topic": ("name", "purpose"),
}
"""Columns, by table, that hold what people type, or other machines say."""

EVIDENCE = frozenset({"source", "wording", "title", "browser", "objecting", "bought", "act"})
EVERY = frozenset({"*"})
BOXED: dict[str, dict[str, frozenset[str]]] = {
    "appeal": {"words_box": EVERY},
    "claims_hold": {"proof_box": EVIDENCE},
    "confirmation": {"evidence_box": EVIDENCE},
    "connect_link": {"label_box": EVERY},
    "consent_event": {"evidence_box": EVIDENCE},
    "contact": {"fields_box": EVERY},
    "conversation_file": {"name_box": EVERY},
    "conversation_post": {"words_box": EVERY},
    "invitation": {"note_box": EVERY, "label_box": EVERY},
    "member": {"name_box": EVERY},
    "member_session": {"client_box": frozenset({"browser"})},
    "message": {"body_box": frozenset({"owner", "said", "name", "topic", "title", "gets", "wording"})},
    "relayed": {"words_box": frozenset({"subject", "text", "doubts"})},
    "rights_request": {"words_box": EVERY},
    "staff_session": {"client_box": frozenset({"browser"})},
}
"""Boxes, by table, and which names of the JSON in them people type; EVERY: all, or the text itself."""

LOGGED = frozenset({"reason", "name", "purpose", "words"})

_OURS = frozenset(
    [
        "about",
        "act",
        "actor",
        "answer",
        "answerer",
        "asked",
        "asker",
        "author",
        "body",
        "channel",
        "closed_for",
        "code",
        "cosignature",
        "country",
        "did",
        "dkim_selector",
        "door",
        "event",
        "from_domain",
        "from_local",
        "from_state",
        "kek",
        "kind",
        "kinds",
        "lane",
        "lift",
        "local_part",
        "locale",
        "mark",
        "messages",
        "note",
        "origin",
        "outcome",
        "password_hash",
        "pause_reason",
        "prepared",
        "provider",
        "purpose",
        "relationship",
        "relay",
        "reminder",
        "report",
        "resumes_to",
        "roles",
        "ruling",
        "scope",
        "section",
        "segment",
        "settlement",
        "slug",
        "source",
        "state",
        "status",
        "suspended_for",
        "timezone",
        "to_state",
        "trouble",
        "value",
        "via",
        "way",
        "what",
        "witness",
        "worker",
        "zone",
    ]
)
_OURS_TOO = {"message.reason", "log_figure.reason", "tally.reason", "witness.name", "policy_version.name"}
"""Codes, names from settings, addresses and host names, JSON of ours, what the pages treat as Markdown."""

MARK = "<b>q999q</b>&'\""
"""What is typed into forms."""

_SLOT = re.compile(r"q\d{3}q")
_PLAIN = re.compile(r"(?:<b>|%3[Cc]b%3[Ee])q\d{3}q")


def mark(field: str) -> str:
    """What is typed into a field."""
    return f"<b>q{_NUMBERS[field]:03}q</b>&'\""


def fields() -> set[str]:
    """All that are typed into."""
    return set(_NUMBERS)


def field_of(slot: str) -> str:
    """The field such a number stands for; empty for what a form was filled with."""
    return next((name for name, number in _NUMBERS.items() if f"q{number:03}q" == slot), "")


def undecided() -> set[str]:
    """Text columns of which nobody has said whether people type into them."""
    return {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text)
        and column.name not in TYPED.get(table.name, ())
        and column.name not in _OURS
        and f"{table.name}.{column.name}" not in _OURS_TOO
    }


class Read(HTMLParser):
    """What a reader and a browser make of a page. `wrong`: where a mark is not shown as it was typed; `seen`: its
    numbers. `holds_markup`: markup of ours is shown on it, to be copied, and is read as a page of its own.
    """

    def __init__(self, html: str, *, holds_markup: bool = False) -> None:
        super().__init__()
        self._holds_markup, self._snippet = holds_markup, ""
        self.wrong: list[str] = []
        self.seen: set[str] = set()
        self._said: list[str] = []
        self.feed(html)
        self.close()
        self._look("".join(self._said))

    def handle_data(self, data: str) -> None:
        if self._snippet:
            self.wrong += Read(data).wrong
        else:
            self._said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._said.append("\n")
        if self._holds_markup and tag in {"pre", "textarea"}:
            self._snippet = tag
        for name, value in attrs:
            self._look(value or "")
            self.wrong += [f"<{tag} {name}>"] if _SLOT.search(name) else []

    def handle_endtag(self, tag: str) -> None:
        self._said.append("\n")
        self._snippet = "" if tag == self._snippet else self._snippet

    def _look(self, shown: str) -> None:
        self.seen.update(_SLOT.findall(shown))
        if _SLOT.search(left := _PLAIN.sub("", shown)):
            self.wrong += [left[max(0, found.start() - 40) : found.end() + 40] for found in _SLOT.finditer(left)]


def mark_house(ctx: Context) -> None:
    """Type into every field of a copy, whose triggers and hashes are out of the way."""
    with ctx.db.transaction() as conn:
        for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            conn.execute(text(f"DROP TRIGGER {name}"))
        _add_rare(conn, ctx.db.now(conn))
        for table, columns in TYPED.items():
            for column in columns:
                here = metadata.tables[table].c[column]
                conn.execute(update(here.table).values({column: mark(f"{table}.{column}") + " " + here}))
        keys = ContactKeys(ctx.keyring, conn)
        people = list(conn.execute(select(contact_key.c.contact)).scalars())
        keys.load(people)
        for table, boxes in BOXED.items():
            for row in conn.execute(select(metadata.tables[table])).all():
                if changed := dict(_boxes(keys, people, table, row, boxes)):
                    conn.execute(update(metadata.tables[table]).where(_is(metadata.tables[table], row)).values(changed))
        _mark_json(conn)


def _add_rare(conn: Connection, now: int) -> None:
    """Rows that sixty days did not bring."""
    house = conn.execute(select(controller)).mappings().one()
    former_controller = metadata.tables["former_controller"]
    shared = {name: value for name, value in house.items() if name in former_controller.c and name != "id"}
    conn.execute(insert(former_controller).values(**shared, until=now))
    clerk = conn.execute(select(staff.c.id).order_by(staff.c.id.desc())).scalars().first()
    saved = {"staff": clerk, "name": "mine", "asked": "{}", "created": now, "ref": b"s" * 16}
    conn.execute(insert(metadata.tables["saved_search"]).values(saved))
    note = {"section": "security", "version": 99, "words": "locked doors", "author": "staff:" + "0" * 32, "at": now}
    conn.execute(insert(metadata.tables["register_note"]).values(note))


def _boxes(
    keys: ContactKeys, people: Iterable[int], table: str, row: Row[Any], boxes: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, bytes]]:
    for column, names in boxes.items():
        box = getattr(row, column)
        opened = box and _opened(keys, [row.id if table == "contact" else getattr(row, "contact", 0), *people], box)
        if not opened:
            continue
        whose, plain = opened
        typed = mark(f"{table}.{column}")
        try:
            facts = json.loads(plain)
        except ValueError:
            facts = plain
        yield column, keys.seal(whose, _typed(facts, names, typed, is_here=names is EVERY))


def _opened(keys: ContactKeys, candidates: Iterable[int], box: bytes) -> tuple[int, str] | None:
    """Whose it is and what it holds; None of somebody erased."""
    for whose in candidates:
        try:
            plain = keys.text(whose, box)
        except ValueError:
            continue
        if plain is not None:
            return whose, plain
    return None


def _typed(value: Any, names: frozenset[str], typed: str, *, is_here: bool) -> Any:
    if isinstance(value, str):
        return f"{typed} {value}" if is_here and value else value
    if isinstance(value, list) and len(value) == 2 and value[0] == "address":  # a doubt: its kind is ours
        return [value[0], f"{typed} {value[1]}"]
    if isinstance(value, list):
        return [_typed(one, names, typed, is_here=is_here) for one in value]
    if isinstance(value, dict):
        return {name: _typed(one, names, typed, is_here=names is EVERY or name in names) for name, one in value.items()}
    return value


def _mark_json(conn: Connection) -> None:
    """What the log says of reasons and names, and the parts of a campaign's mail that are not Markdown."""
    for row in conn.execute(select(audit_entry.c.id, audit_entry.c.body)).all():
        facts = json.loads(row.body)
        said = {name: one for name, one in facts.items() if name in LOGGED and isinstance(one, str) and " " in one}
        if said:
            typed = {name: f"{mark('audit_entry.body')} {one}" for name, one in said.items()}
            kept = json.dumps(facts | typed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            conn.execute(update(audit_entry).where(audit_entry.c.id == row.id).values(body=kept))
    for row in conn.execute(select(content.c.id, content.c.prepared)).all():
        facts = json.loads(row.prepared)
        facts["subject"] = [mark("content.subject"), *facts["subject"]]
        facts["preheader"] = [mark("content.preheader"), *facts["preheader"]]
        conn.execute(update(content).where(content.c.id == row.id).values(prepared=json.dumps(facts)))


def _is(table: Table, row: Row[Any]) -> Any:
    key = next(iter(table.primary_key.columns))
    return key == getattr(row, key.name)


_FIELDS = [
    *(f"{table}.{column}" for table, columns in TYPED.items() for column in columns),
    *(f"{table}.{column}" for table, columns in BOXED.items() for column in columns),
    "audit_entry.body",
]
_NUMBERS = {name: number for number, name in enumerate(_FIELDS)}
