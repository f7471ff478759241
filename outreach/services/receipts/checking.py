"""Checks a receipt that anybody brings: is it ours and unaltered, and does the log hold what it says?

Nothing is looked up before the signature holds, so that asking tells nobody anything about a person they have no
receipt of; and nothing is told but what the receipt itself says, and where the log holds its entry. That the person
was erased meanwhile does not show: the log's entries stay.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from outreach.domain.audit import leaf_hash, verify_consistency
from outreach.domain.receipt_document import inclusion_as_json, proofs_of, read_document
from outreach.domain.receipts import Inclusion, Receipt
from outreach.domain.signed_json import read
from outreach.services.context import Context
from outreach.services.receipts.keys import PublicKey, ReceiptKeys
from outreach.services.receipts.making import inclusion_of
from outreach.services.receipts.showing import as_text
from outreach.services.transparency import proofs, publish
from outreach.store import audit_log
from outreach.store import receipts as store


class Verdict(StrEnum):
    """What a check found."""

    GENUINE = "genuine"
    LEAKED = "leaked"  # signed by a key of ours that somebody else may have
    ALTERED = "altered"  # names a key of ours, which never signed this
    UNKNOWN_KEY = "unknown-key"  # signed by nobody we know, such as another installation
    UNREADABLE = "unreadable"


class InLog(StrEnum):
    """What the log says of a receipt that is genuine."""

    HELD = "held"  # proved under the newest published checkpoint
    WAITS = "waits"  # not in a published checkpoint yet
    NOT_HELD = "not-held"
    FALSE_PROOF = "false-proof"  # the proof brought along does not show it


@dataclass(frozen=True)
class Checked:
    """The outcome. `receipt` and all that follows only for one that is genuine. `text`: the receipt with the newest
    proof, where it now has one; `index`: of its entry, from 0; `size`, `root` (hexadecimal): of the newest checkpoint.
    """

    verdict: Verdict
    in_log: InLog | None = None
    receipt: Receipt | None = None
    index: int | None = None
    size: int | None = None
    root: str = ""
    text: str = ""


def check_receipt(ctx: Context, brought: str) -> Checked:
    """What is to be said of `brought`: a receipt as JSON, or the code from a mail. Changes nothing, raises nothing."""
    try:
        document = read(_plain(brought))
        signature, inclusion = proofs_of(document)
    except ValueError:
        return Checked(Verdict.UNREADABLE)
    key = ReceiptKeys(ctx.keyring).find(signature.get("verificationMethod"))
    if key is None:
        return Checked(Verdict.UNKNOWN_KEY)
    receipt = _genuine(document, signature, key)
    if receipt is None:
        return Checked(Verdict.ALTERED)
    if key.is_leaked:
        return Checked(Verdict.LEAKED)
    with ctx.db.reading() as conn:
        return _in_log(conn, receipt, document, inclusion)


def _plain(brought: str) -> str:
    """The JSON in what was brought. Raises ValueError for a code that is none."""
    text = brought.strip().removeprefix("\ufeff")
    if text.startswith("{"):
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except binascii.Error:
        raise ValueError("no code") from None


def _genuine(document: dict[str, Any], signature: dict[str, Any], key: PublicKey) -> Receipt | None:
    if not key.verifies(document, signature):
        return None
    try:
        return read_document(document)
    except ValueError:
        return None


def _in_log(conn: Connection, receipt: Receipt, document: dict[str, Any], brought: Inclusion | None) -> Checked:
    if brought is not None and not _holds(conn, receipt, brought):
        return Checked(Verdict.GENUINE, InLog.FALSE_PROOF, receipt)
    entry_id = store.entry_like(conn, bytes.fromhex(receipt.subject), receipt.at, leaf_hash(receipt.entry.encode()))
    if entry_id is None:
        return Checked(Verdict.GENUINE, InLog.NOT_HELD, receipt)
    inclusion, size = inclusion_of(conn, entry_id)
    if inclusion is None or size is None:
        return Checked(Verdict.GENUINE, InLog.WAITS, receipt)
    root = proofs.root(conn, size)
    if not inclusion.shows(receipt.entry, size, root):
        return Checked(Verdict.GENUINE, InLog.NOT_HELD, receipt)
    whole = {**document, "proof": [document["proof"][0], inclusion_as_json(inclusion)]}
    return Checked(Verdict.GENUINE, InLog.HELD, receipt, inclusion.index, size, root.hex(), as_text(whole))


def _holds(conn: Connection, receipt: Receipt, brought: Inclusion) -> bool:
    """Whether the proof brought along is one this log gave, and the log of today continues the one it is about."""
    size = _size_of(brought.checkpoint)
    point = audit_log.point_at(conn, size) if size else None
    newest = publish.newest(conn)
    if point is None or newest is None or point.size > newest.size or point.note != brought.checkpoint:
        return False
    steps = proofs.consistency(conn, point.size, newest.size)
    continues = verify_consistency(point.size, newest.size, point.root, newest.root, steps)
    return continues and brought.shows(receipt.entry, point.size, point.root)


def _size_of(note: str) -> int | None:
    size = note.split("\n", 2)[1] if "\n" in note else ""
    return int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None
