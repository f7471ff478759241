"""A receipt as a JSON-LD document, and back: ISO/IEC TS 27560:2023 in terms of the W3C's Data Privacy Vocabulary.

Terms are those of DPV 2 and of its guide to 27560 (w3id.org/dpv/guides/consent-27560); what it has no term for is under
`outreach:`, explained in docs/guides/receipts.md. `proof` is a list: the signature, and once the entry is sealed its
inclusion in the log, which changes nothing that was signed.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from outreach.domain.audit import HASH
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.receipts import VERSION, Controller, How, Inclusion, Receipt, Words
from outreach.domain.signed_json import canonical

RECEIPT_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt"
RECORD_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
CONTEXT = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "proof": "https://w3id.org/security#proof",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = {
    State.GRANTED: "dpv:ConsentGiven",
    State.PAUSED: "dpv:ConsentGiven",
    State.WITHDRAWN: "dpv:ConsentWithdrawn",
    State.EXPIRED: "dpv:ConsentExpired",
}
_SOFT_STATUS = "dpv:ConsentStatus"  # DPV has no term for the state of what nobody consented to
_PURPOSES = {
    "promotional": "dpv:DirectMarketing",
    "informational": "dpv:CommunicationManagement",
    "service": "dpv:ServiceProvision",
}
_RIGHTS = ("A7-3", "A15", "A16", "A17", "A18", "A20", "A21", "A77")
_BY_THE_CONTROLLER = frozenset({How.IMPORTED, How.PURCHASE, How.STAFF, How.TIME})


def document(receipt: Receipt) -> dict[str, Any]:
    """The receipt as JSON-LD, unsigned."""
    here = f"{receipt.site}/receipts"
    return {
        "@context": {**CONTEXT, "outreach": f"{here}#"},
        "@id": f"{here}#receipt-{receipt.id}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": {"@id": RECEIPT_SCHEMA},
        "dct:created": instant(receipt.at),
        "dct:publisher": {"@id": receipt.site},
        "dpv:hasIdentifier": receipt.id,
        "dpv:hasRecordOfActivity": _record(receipt, here),
        "outreach:logEntry": receipt.entry,
        "outreach:logOrigin": receipt.log,
        "outreach:version": receipt.version,
    }


def read_document(found: Mapping[str, Any]) -> Receipt:
    """The receipt a document says. Raises ValueError for one that is not just what `document` makes of a receipt, or
    whose entry is about something else.
    """
    unsigned = {name: value for name, value in found.items() if name != "proof"}
    try:
        receipt = _read(unsigned)
        entry = json.loads(receipt.entry)
        told = (entry["kind"], entry["contact"], entry["topic"], entry["at"], json.loads(entry["body"])["event"])
        again = canonical(document(receipt))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise ValueError("not a receipt") from None
    if again != canonical(unsigned) or receipt.version not in range(1, VERSION + 1):
        raise ValueError("not a receipt as we write it")
    if told != (f"consent.{receipt.event}", receipt.subject, receipt.topic, receipt.at, receipt.id):
        raise ValueError("the log's entry in it is about something else")
    return receipt


def inclusion_as_json(inclusion: Inclusion) -> dict[str, Any]:
    """The proof of inclusion beside the signature."""
    return {
        "type": "outreach:LogInclusion",
        "outreach:index": inclusion.index,
        "outreach:path": [base64.b64encode(step).decode() for step in inclusion.path],
        "outreach:checkpoint": inclusion.checkpoint,
    }


def proofs_of(found: Mapping[str, Any]) -> tuple[dict[str, Any], Inclusion | None]:
    """(the signature, the inclusion if there is one yet). Raises ValueError when they have another shape."""
    proofs = found.get("proof")
    if not isinstance(proofs, list) or not 1 <= len(proofs) <= 2 or not all(isinstance(one, dict) for one in proofs):
        raise ValueError("no proof")
    if len(proofs) == 1:
        return proofs[0], None
    try:
        steps = tuple(base64.b64decode(step, validate=True) for step in proofs[1]["outreach:path"])
        read = Inclusion(proofs[1]["outreach:index"], steps, proofs[1]["outreach:checkpoint"])
        same = canonical(inclusion_as_json(read)) == canonical(proofs[1])
    except (KeyError, TypeError, ValueError):
        raise ValueError("a proof of inclusion that cannot be read") from None
    if not same or type(read.index) is not int or any(len(step) != HASH for step in steps):
        raise ValueError("a proof of inclusion of another shape")
    return proofs[0], read


def instant(at: int) -> str:
    """UTC microseconds as RFC 3339 writes them: 2026-01-31T08:00:00.000000Z."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _record(receipt: Receipt, here: str) -> dict[str, Any]:
    controller, place = receipt.controller, f"loc:{receipt.controller.country}"
    rights = f"{receipt.site}/rights" if receipt.version > 1 else f"{receipt.site}/"
    storage: list[dict[str, Any]] = [{"@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{receipt.retention_days}D"}]
    record: dict[str, Any] = {
        "@id": f"{here}#record-{receipt.id}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": RECORD_SCHEMA},
        "dct:identifier": receipt.id,
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": receipt.subject},
        "dpv:hasDataController": {
            "@id": receipt.site,
            "@type": "dpv:DataController",
            "dpv:hasAddress": controller.address,
            "dpv:hasContact": controller.contact,
            "dpv:hasName": controller.name,
        },
        "dpv:hasLegalBasis": {"@id": "dpv:LegitimateInterestOfController" if receipt.is_soft else "dpv:Consent"},
        "dpv:hasProcess": _process(receipt, storage),
        "dpv:hasConsentStatus": _status(receipt),
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": rights},
        "dpv:hasRight": [
            {"@type": ["dpv:DataSubjectRight", f"eu-gdpr:{right}"], "dpv:isExercisedAt": rights} for right in _RIGHTS
        ],
    }
    if controller.country:
        storage.append({"@type": "dpv:StorageLocation", "dpv:hasLocation": {"@id": place}})
        record["dpv:hasJurisdiction"] = {"@id": place}
    if receipt.words is not None:
        record["dpv:hasNotice"] = _notice(receipt.words)
    return record


def _process(receipt: Receipt, storage: list[dict[str, Any]]) -> dict[str, Any]:
    words = receipt.words
    process: dict[str, Any] = {
        "@type": "dpv:Process",
        "dct:identifier": receipt.topic,
        "dct:title": receipt.topic_name,
        "dct:description": receipt.purpose,
        "dpv:hasPersonalData": {"@id": "pd:EmailAddress"},
        "dpv:hasRecipient": {"@id": receipt.site},
        "dpv:hasStorageCondition": storage,
    }
    if words is not None:
        process["dpv:hasPurpose"] = [{"@id": _PURPOSES[kind]} for kind in words.kinds]
        process["outreach:promise"] = {
            **_cap(words.cap_n, words.cap_window),
            "outreach:kinds": list(words.kinds),
            "outreach:usefulForEachOffer": words.ratio_k,
        }
    if receipt.own is not None:
        process["outreach:ownCap"] = _cap(*receipt.own)
    return process


def _cap(n: int, seconds: int) -> dict[str, Any]:
    return {"outreach:atMost": n, "outreach:inSeconds": seconds}


def _notice(words: Words) -> dict[str, Any]:
    return {
        "@type": "dpv:ConsentNotice",
        "dct:abstract": words.gets,
        "dct:creator": words.sender,
        "dct:description": words.wording,
        "dct:hasVersion": words.version,
        "dct:identifier": words.ref,
        "dct:issued": instant(words.published),
        "dct:language": words.locale,
        "dct:title": words.title,
        "outreach:sha256": words.sha256,
    }


def _status(receipt: Receipt) -> dict[str, Any]:
    renewed = receipt.event == Event.CONFIRMED and receipt.before in LIVE | {State.EXPIRED}
    by = "dpv:DataController" if receipt.how in _BY_THE_CONTROLLER else "dpv:DataSubject"
    status: dict[str, Any] = {
        "@type": _SOFT_STATUS if receipt.is_soft else "dpv:RenewedConsentGiven" if renewed else _STATUS[receipt.state],
        "dpv:hasIndicationMethod": receipt.how.value,
        "dpv:isIndicatedAtTime": instant(receipt.at),
        "dpv:isIndicatedBy": {"@id": by},
        "outreach:event": receipt.event.value,
        "outreach:before": receipt.before.value,
        "outreach:state": receipt.state.value,
    }
    if receipt.expires is not None:
        status["dct:valid"] = instant(receipt.expires)
    if receipt.paused_until is not None:
        status["outreach:pausedUntil"] = instant(receipt.paused_until)
    return status


def _read(found: Mapping[str, Any]) -> Receipt:
    record = found["dpv:hasRecordOfActivity"]
    process, status, controller = (
        record[f"dpv:{name}"] for name in ("hasProcess", "hasConsentStatus", "hasDataController")
    )
    own = process.get("outreach:ownCap")
    valid, until = status.get("dct:valid"), status.get("outreach:pausedUntil")
    return Receipt(
        site=found["dct:publisher"]["@id"],
        id=found["dpv:hasIdentifier"],
        subject=record["dpv:hasDataSubject"]["dct:identifier"],
        at=_micros(found["dct:created"]),
        event=Event(status["outreach:event"]),
        before=State(status["outreach:before"]),
        state=State(status["outreach:state"]),
        how=How(status["dpv:hasIndicationMethod"]),
        controller=Controller(
            name=controller["dpv:hasName"],
            address=controller["dpv:hasAddress"],
            contact=controller["dpv:hasContact"],
            country=record.get("dpv:hasJurisdiction", {"@id": "loc:"})["@id"].removeprefix("loc:"),
        ),
        topic=process["dct:identifier"],
        topic_name=process["dct:title"],
        purpose=process["dct:description"],
        retention_days=int(process["dpv:hasStorageCondition"][0]["dpv:hasDuration"][1:-1]),
        words=_read_words(record["dpv:hasNotice"], process["outreach:promise"]) if "dpv:hasNotice" in record else None,
        own=(own["outreach:atMost"], own["outreach:inSeconds"]) if own else None,
        expires=_micros(valid) if valid else None,
        paused_until=_micros(until) if until else None,
        log=found["outreach:logOrigin"],
        entry=found["outreach:logEntry"],
        is_soft=record["dpv:hasLegalBasis"]["@id"] != "dpv:Consent",
        version=found["outreach:version"],
    )


def _read_words(notice: Mapping[str, Any], promise: Mapping[str, Any]) -> Words:
    return Words(
        ref=notice["dct:identifier"],
        locale=notice["dct:language"],
        version=notice["dct:hasVersion"],
        title=notice["dct:title"],
        gets=notice["dct:abstract"],
        wording=notice["dct:description"],
        sha256=notice["outreach:sha256"],
        sender=notice["dct:creator"],
        published=_micros(notice["dct:issued"]),
        kinds=tuple(promise["outreach:kinds"]),
        cap_n=promise["outreach:atMost"],
        cap_window=promise["outreach:inSeconds"],
        ratio_k=promise["outreach:usefulForEachOffer"],
    )
