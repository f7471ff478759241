"""A receipt as JSON-LD: nothing is lost on the way there and back, every term is DPV's, and it follows from the log."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.consent import Event, State
from outreach.domain.receipt_document import (
    CONTEXT,
    document,
    inclusion_as_json,
    instant,
    proofs_of,
    read_document,
)
from outreach.domain.receipts import EVENTS, Controller, How, Inclusion, Receipt, Standing, Words, how, standing
from outreach.domain.signed_json import canonical

# Terms of DPV 2 (w3id.org/dpv, w3id.org/dpv/legal/eu/gdpr, w3id.org/dpv/pd) and of Dublin Core that a receipt may use.
TERMS = {
    "dpv": {
        *("CommunicationManagement", "Consent", "ConsentExpired", "ConsentGiven", "ConsentNotice", "ConsentReceipt"),
        *("ConsentStatus", "LegitimateInterestOfController"),
        *("ConsentRecord", "ConsentWithdrawn", "DataController", "DataSubject", "DataSubjectRight", "DirectMarketing"),
        *("Process", "RenewedConsentGiven", "ServiceProvision", "StorageDuration", "StorageLocation"),
        *("WithdrawConsent", "hasAddress", "hasConsentControl", "hasConsentStatus", "hasContact", "hasDataController"),
        *("hasDataSubject", "hasDuration", "hasIdentifier", "hasIndicationMethod", "hasJurisdiction", "hasLegalBasis"),
        *("hasLocation", "hasName", "hasNotice", "hasPersonalData", "hasProcess", "hasPurpose", "hasRecipient"),
        *("hasRecordOfActivity", "hasRight", "hasStorageCondition", "isExercisedAt", "isIndicatedAtTime"),
        "isIndicatedBy",
    },
    "dct": {
        *("abstract", "conformsTo", "created", "creator", "description", "hasVersion", "identifier", "issued"),
        *("language", "publisher", "title", "valid"),
    },
    "eu-gdpr": {"A7-3", "A15", "A16", "A17", "A18", "A20", "A21", "A77"},
    "pd": {"EmailAddress"},
}
REQUIRED = {  # fields ISO/IEC TS 27560 demands of a record, by the guide's mapping to DPV
    *("dct:conformsTo", "dct:identifier", "dpv:hasDataSubject", "dpv:hasNotice", "dpv:hasDataController"),
    *("dpv:hasJurisdiction", "dpv:hasProcess", "dpv:hasConsentStatus", "dpv:hasConsentControl", "dpv:hasLegalBasis"),
}
REQUIRED_OF_PROCESS = {"dpv:hasPurpose", "dpv:hasPersonalData", "dpv:hasRecipient", "dpv:hasStorageCondition"}

refs = st.binary(min_size=16, max_size=16).map(bytes.hex)
instants = st.integers(0, 4_000_000_000_000_000)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
caps = st.tuples(st.integers(1, 100), st.integers(86_400, 31_622_400))
words = st.builds(
    Words,
    ref=refs,
    locale=st.sampled_from(["en", "sv", "nl"]),
    version=st.integers(1, 99),
    title=texts,
    gets=texts,
    wording=texts,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    sender=texts,
    published=instants,
    kinds=st.lists(st.sampled_from(["promotional", "informational", "service"]), min_size=1, unique=True).map(tuple),
    cap_n=st.integers(1, 100),
    cap_window=st.integers(86_400, 31_622_400),
    ratio_k=st.integers(0, 9),
)


def about(receipt: Receipt) -> Receipt:
    """With the entry the log would hold about it."""
    entry = {
        "kind": f"consent.{receipt.event}",
        "contact": receipt.subject,
        "topic": receipt.topic,
        "at": receipt.at,
        "body": json.dumps({"event": receipt.id}),
    }
    return replace(receipt, entry=json.dumps(entry))


receipts = st.builds(
    Receipt,
    site=st.just("https://mail.example.org"),
    id=refs,
    subject=refs,
    at=instants,
    event=st.sampled_from(sorted(EVENTS)),
    before=st.sampled_from(State),
    state=st.sampled_from([State.GRANTED, State.PAUSED, State.WITHDRAWN, State.EXPIRED]),
    how=st.sampled_from(How),
    controller=st.builds(
        Controller, name=texts, address=texts, contact=texts, country=st.sampled_from(["", "SE", "NL"])
    ),
    topic=refs,
    topic_name=texts,
    purpose=texts,
    retention_days=st.integers(1, 3660),
    words=st.none() | words,
    own=st.none() | caps,
    expires=st.none() | instants,
    paused_until=st.none() | instants,
    log=texts,
    entry=st.just(""),
    is_soft=st.booleans(),
    version=st.integers(1, 2),
).map(about)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    if isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@given(receipts)
def test_a_document_says_all_of_a_receipt_and_nothing_else(receipt: Receipt) -> None:
    made = document(receipt)
    assert read_document(made) == receipt
    assert read_document({**made, "proof": [{}]}) == receipt
    assert read_document(json.loads(canonical(made))) == receipt


@given(receipts)
def test_receipts_of_the_first_version_are_read_as_they_were_written(receipt: Receipt) -> None:
    """Copies that people keep: rights were exercised at the site then, at their own page now."""
    written = {one: document(replace(receipt, version=one)) for one in (1, 2)}
    told = "dpv:isExercisedAt"
    places = {one: {node[told] for node in nodes(made) if told in node} for one, made in written.items()}
    assert places == {1: {"https://mail.example.org/"}, 2: {"https://mail.example.org/rights"}}
    with pytest.raises(ValueError, match="as we write it"):
        read_document(document(replace(receipt, version=3)))


@given(receipts)
def test_every_term_is_one_of_the_vocabularies_named_in_the_context(receipt: Receipt) -> None:
    made = document(receipt)
    context = made.pop("@context")
    assert set(context) == {*CONTEXT, "outreach"}
    used: set[str] = set()
    for node in nodes(made):
        used |= set(node) - {"@id", "@type"}
        used |= set(listed(node.get("@type", [])))
        used |= {one for one in listed(node.get("@id", [])) if not one.startswith("https://")}
    for term in used:
        prefix, _, name = term.partition(":")
        assert prefix in context, term
        assert name in TERMS.get(prefix, {name}), term
        if prefix == "loc":
            assert re.fullmatch("[A-Z]{2}", name)


@given(receipts)
def test_every_field_the_standard_demands_is_there(receipt: Receipt) -> None:
    made = document(replace(receipt, words=receipt.words or ANY_WORDS, controller=replace(NORTHFIELD)))
    assert {"dct:conformsTo", "dpv:hasIdentifier", "dct:created", "dpv:hasRecordOfActivity"} <= set(made)
    record = made["dpv:hasRecordOfActivity"]
    assert set(record) >= REQUIRED
    assert set(record["dpv:hasProcess"]) >= REQUIRED_OF_PROCESS
    assert {"dct:description", "dct:language", "dct:hasVersion", "outreach:sha256"} <= set(record["dpv:hasNotice"])
    assert {"@type", "dpv:isIndicatedBy", "dpv:isIndicatedAtTime"} <= set(record["dpv:hasConsentStatus"])
    assert {"dpv:hasName", "dpv:hasAddress", "dpv:hasContact"} <= set(record["dpv:hasDataController"])


@given(receipts, receipts)
def test_an_entry_about_something_else_is_no_part_of_a_receipt(one: Receipt, other: Receipt) -> None:
    if one.id != other.id:
        with pytest.raises(ValueError, match="something else"):
            read_document(document(replace(one, entry=other.entry)))


@given(receipts, st.sampled_from(["@type", "dpv:hasIdentifier", "outreach:logEntry", "dct:created", "outreach:new"]))
def test_a_document_of_another_shape_is_no_receipt(receipt: Receipt, name: str) -> None:
    made = document(receipt)
    with pytest.raises(ValueError, match="receipt"):
        read_document({**made, name: 7})
    with pytest.raises(ValueError, match="receipt"):
        read_document({key: value for key, value in made.items() if key != "dpv:hasRecordOfActivity"})


@given(st.builds(Inclusion, st.integers(0, 2**40), st.lists(st.binary(min_size=32, max_size=32)).map(tuple), texts))
def test_a_proof_of_inclusion_is_read_as_written_and_in_no_other_spelling(inclusion: Inclusion) -> None:
    written = inclusion_as_json(inclusion)
    assert proofs_of({"proof": [{"a": 1}, written]}) == ({"a": 1}, inclusion)
    assert proofs_of({"proof": [{"a": 1}]}) == ({"a": 1}, None)
    wrong: list[Any] = [{**written, "more": 1}, {**written, "outreach:index": True}, {}, 7]
    wrong += [
        {**written, "outreach:path": [*written["outreach:path"], step]} for step in ("AA==", "?", "A" * 42 + "B=")
    ]
    for one in wrong:
        with pytest.raises(ValueError, match="proof"):
            proofs_of({"proof": [{"a": 1}, one]})


@pytest.mark.parametrize("proof", [None, {}, [], [1], [{}, {}, {}], "x"])
def test_a_document_without_a_list_of_proofs_has_none(proof: Any) -> None:
    with pytest.raises(ValueError, match="proof"):
        proofs_of({"proof": proof})


@pytest.mark.parametrize(
    ("event", "actor", "expected"),
    [
        (Event.CONFIRMED, "recipient", How.CONFIRMED),
        (Event.IMPORTED, "staff:00", How.IMPORTED),
        (Event.SOFT, "staff:00", How.PURCHASE),
        (Event.WITHDRAWN, "recipient", How.LINK),
        (Event.WITHDRAWN, "staff:00", How.STAFF),
        (Event.WITHDRAWN, "console", How.STAFF),
        (Event.RESUMED, "engine", How.TIME),
        (Event.EXPIRED, "engine", How.TIME),
        (Event.RESUMED, "recipient", How.UNDO),
        (Event.RESTORED, "recipient", How.UNDO),
        (Event.COMPLAINED, "engine", How.COMPLAINT),
    ],
)
def test_what_an_event_rests_on_follows_from_who_acted(event: Event, actor: str, expected: How) -> None:
    assert how(event, actor) is expected


def told(event: Event, before: State, after: State, **more: Any) -> tuple[Event, dict[str, Any]]:
    return event, {"from": before.value, "to": after.value, **more}


GRANTED, PAUSED, WITHDRAWN = State.GRANTED, State.PAUSED, State.WITHDRAWN
BEGAN = told(Event.CONFIRMED, State.PENDING, GRANTED, expires=99)
LOWERED = told(Event.LIMITED, GRANTED, GRANTED, own=[1, 604_800])


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], Standing()),
        ([BEGAN], Standing(None, None, 99)),
        ([BEGAN, LOWERED], Standing((1, 604_800), None, 99)),
        ([BEGAN, LOWERED, told(Event.UNLIMITED, GRANTED, GRANTED, own=None)], Standing(None, None, 99)),
        ([BEGAN, LOWERED, told(Event.CONFIRMED, GRANTED, GRANTED)], Standing((1, 604_800))),
        ([BEGAN, LOWERED, told(Event.WITHDRAWN, GRANTED, WITHDRAWN)], Standing()),
        (
            [BEGAN, LOWERED, told(Event.WITHDRAWN, GRANTED, WITHDRAWN), told(Event.RESTORED, WITHDRAWN, GRANTED)],
            Standing((1, 604_800), None, 99),
        ),
        (
            [BEGAN, LOWERED, told(Event.WITHDRAWN, GRANTED, WITHDRAWN), told(Event.CONFIRMED, WITHDRAWN, GRANTED)],
            Standing(),
        ),
        ([BEGAN, told(Event.PAUSED, GRANTED, PAUSED, until=7)], Standing(None, 7, 99)),
        (
            [BEGAN, told(Event.PAUSED, GRANTED, PAUSED, until=7), told(Event.LIMITED, PAUSED, PAUSED, own=[1, 9])],
            Standing((1, 9), 7, 99),
        ),
        (
            [BEGAN, told(Event.PAUSED, GRANTED, PAUSED, until=7), told(Event.RESUMED, PAUSED, GRANTED)],
            Standing(None, None, 99),
        ),
        ([BEGAN, told(Event.EXPIRED, GRANTED, State.EXPIRED)], Standing()),
        ([told(Event.SOFT, State.NONE, GRANTED, expires=9)], Standing(None, None, 9, is_soft=True)),
        ([told(Event.SOFT, State.NONE, GRANTED), told(Event.WITHDRAWN, GRANTED, WITHDRAWN)], Standing(is_soft=True)),
        ([told(Event.SOFT, State.NONE, GRANTED), told(Event.CONFIRMED, GRANTED, GRANTED)], Standing()),
    ],
)
def test_what_stands_follows_from_the_entries(events: list[Any], expected: Standing) -> None:
    assert standing(events) == expected


def test_instants_are_written_as_rfc_3339_says() -> None:
    assert instant(0) == "1970-01-01T00:00:00.000000Z"
    assert instant(1_769_846_400_000_001) == "2026-01-31T08:00:00.000001Z"


NORTHFIELD = Controller(name="Northfield", address="1 Orchard Lane", contact="https://northfield.example", country="SE")
ANY_WORDS = Words(
    ref="00" * 16,
    locale="en",
    version=1,
    title="Garden tips",
    gets="tips",
    wording="I would like tips.",
    sha256="00" * 32,
    sender="Northfield",
    published=0,
    kinds=("informational",),
    cap_n=2,
    cap_window=604_800,
    ratio_k=0,
)
