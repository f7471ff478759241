"""What is handed over is everything: no table that holds something of a person is forgotten, nobody else is named."""

import json

import pytest

from outreach.services.context import Context
from outreach.services.receipts.checking import Verdict, check_receipt
from outreach.services.receipts.showing import as_text
from outreach.services.rights.room import ask, see_result
from outreach.store.schema import metadata
from tests.factories import World
from tests.services.owning import agreed, fresh_link
from tests.services.people import ALICE

# Tables with a column about a person, and the part that tells of it. A new table joins on purpose.
TOLD = {
    "address_move": "address_changes",
    "appeal": "appeals",
    "audit_entry": "log",
    "confirmation": "questions",
    "connect_link": "connect_links",
    "connection": "connections",
    "connection_side": "connections",
    "consent": "consents",
    "consent_event": "events",
    "contact": "you",
    "conversation": "conversations",
    "conversation_post": "conversations",
    "disclosure": "connections",
    "inbound_report": "reports",
    "invitation": "invitations_made",
    "member": "accounts",
    "member_session": "accounts",
    "message": "messages",
    "relayed": "connections",
    "rights_request": "requests",
    "staff": "accounts",
    "staff_session": "accounts",
}
# Holds nothing that is not told elsewhere: keys, links that were mailed, and what staff did at work.
NOT_TOLD = {
    "approval": "who asked and who agreed: work",
    "campaign": "who wrote it: work, not a person's own data",
    "claims_hold": "of people who were erased, under the ref they had",
    "connect_ask": "a count",
    "consent_text": "which officer published it: work",
    "contact_key": "a key",
    "conversation_opening": "work; that it was read is told from the log",
    "inbound_mail": "waits a moment to be acted on; then it is a report, or in a conversation",
    "one_time_link": "gone within a day",
    "public_answer": "who wrote it: work, and no words of a person are in it",
    "policy_told": "the mail that told of the change is among the messages",
    "relay_address": "at random; its owner reads it on the connection's page",
    "rights_link": "gone within a week",
    "saved_search": "work",
}
_PEOPLE = {"contact", "mailbox", "member", "staff"}


def about_people() -> set[str]:
    found = set()
    for table in metadata.tables.values():
        named = {key.column.table.name for column in table.columns for key in column.foreign_keys}
        columns = {column.name for column in table.columns}
        if named & _PEOPLE or columns & {"contact", "member"}:
            found.add(table.name)
    return found


def test_every_table_about_people_is_told_or_says_why_not() -> None:
    assert about_people() - TOLD.keys() - NOT_TOLD.keys() == set()


def test_all_parts_are_there_and_made_of_plain_data(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    _, found = see_result(ctx, token, ask(ctx, token, "access").ref)
    assert set(TOLD.values()) | {"bars", "read_by_staff", "invitations_received", "controller"} <= found.document.keys()
    (consent,) = found.document["consents"]
    assert consent["state"] == "granted"
    assert consent["text"]["wording"].startswith("I would like Northfield")
    assert [event["event"] for event in found.document["events"]] == ["requested", "confirmed"]
    assert found.document["events"][1]["evidence"]["ip"] == "192.0.2.7"
    assert [mail["origin"] for mail in found.document["messages"]] == ["confirmation"]
    (receipt,) = json.loads(found.to_json())["receipts"]
    assert receipt["event"] == "confirmed"
    assert check_receipt(ctx, as_text(receipt["document"])).verdict is Verdict.GENUINE
    assert "document" not in dict(found.parts)["receipts"][0], "a page tells what it is about"


def test_nobody_else_is_named_and_no_link_in_it_works(ctx: Context, world: World) -> None:
    world.topic()
    world.person("bob@example.org", name="Robert Field")
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    _, found = see_result(ctx, token, ask(ctx, token, "access").ref)
    text = found.to_json()
    assert "bob@example.org" not in text
    assert "Robert" not in text
    assert token not in text
    assert text.count(ALICE) == 1  # in `you`; evidence and everything else is masked


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_even_somebody_of_whom_nothing_happened_gets_an_answer(ctx: Context, world: World, kind: str) -> None:
    token = fresh_link(ctx, world.person(ALICE, name="Alice"))
    _, found = see_result(ctx, token, ask(ctx, token, kind).ref)
    assert found.document["you"]["fields"] == {"name": "Alice"}
