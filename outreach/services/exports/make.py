"""Makes an export of the log: a signed ZIP that anybody can check offline, streamed, for an officer with a reason.

It holds entries as they were sealed, proofs, checkpoints, consent texts as shown, the verifier and a summary. People
stand in it by their refs, as in the log: no address, no name.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import bundle, bundle_path, consistency_proof, inclusion_proof, key_id, tile_path
from outreach.domain.errors import AuditError, ConflictError, InvalidInputError, NotFoundError
from outreach.domain.keys import Keyring
from outreach.services.context import Context
from outreach.services.exports import summary
from outreach.services.exports.archive import Archive
from outreach.services.exports.wanted import Wanted, What
from outreach.services.reasons import check_reason
from outreach.services.seal import LogKey
from outreach.store import audit_export, audit_replay
from outreach.store.audit import Entry, record
from outreach.store.audit_tiles import Hashes
from outreach.store.schema.organisation import controller

VERIFIER = Path(__file__).parents[2] / "verifier" / "outreach_verify.py"
_AGAIN = 500
"""Entries proved from one reading of the tiles above them."""
_NEWEST, _SHOWN = 1000, 200


@dataclass(frozen=True)
class Export:
    """A ZIP on its way: what to call it, how many entries it will hold, and its octets as they come."""

    name: str
    entries: int
    octets: Iterator[bytes]


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The checkpoint everything is proved under."""

    size: int
    root: bytes
    note: str


def make_export(ctx: Context, actor: Actor, wanted: Wanted, reason: str, *, most: int | None = None) -> Export:
    """Write into the log that the export is made, and why; then give it out. `most`: entries, where there is a limit.

    Raises InvalidInputError, NotFoundError where the log has nothing about it, ConflictError while nothing is sealed.
    """
    actor.must_be(Role.OFFICER)
    wanted.check()
    said = check_reason(reason, "why you need the export", "Nothing was exported.")
    key = LogKey(ctx.keyring)
    held = _held(key, wanted.held)
    with ctx.db.transaction() as conn:
        head = _head(conn, key)
        chosen = wanted.condition
        count = head.size if chosen is None else audit_export.count(conn, chosen, head.size)
        if not count:
            raise NotFoundError("The sealed log holds nothing of this. Nothing was exported.")
        if most is not None and count > most:
            raise InvalidInputError(
                f"This is {count:,} entries, more than a browser should wait for. On the server, "
                "“outreach audit export” takes the time it needs. Nothing was exported."
            )
        now = ctx.db.now(conn)
        record(conn, now, _entry(actor, wanted, {"what": wanted.what, "reason": said, "size": head.size}))
    name = f"outreach-log-{wanted.what}-{head.size}.zip"
    return Export(name, count, _octets(ctx, wanted, head, held, now, said))


def _entry(actor: Actor, wanted: Wanted, body: dict[str, Any]) -> Entry:
    about = {} if wanted.ref is None else {str(wanted.what): wanted.ref}
    if wanted.what is What.PERIOD:
        body |= {"since": wanted.since, "until": wanted.until}
    return Entry(kind="export.made", actor=actor.name, body=body, **about)


def _head(conn: Connection, key: LogKey) -> _Head:
    """The newest checkpoint with a signature that holds; a spoilt one must not keep anybody from looking further."""
    for _, note in audit_export.signed_notes(conn, None, _NEWEST):
        try:
            found = key.open(note)
        except (AuditError, AttributeError, TypeError):
            continue
        if found.size:
            return _Head(size=found.size, root=found.root, note=note)
    raise ConflictError("Nothing is sealed in the log yet, so nothing can be proved. Try again in a minute.")


def _held(key: LogKey, note: str) -> int | None:
    if not note.strip():
        return None
    try:
        return key.open("\n".join(note.strip().splitlines()) + "\n").size or None
    except AuditError:
        raise InvalidInputError("This is no checkpoint that our log signed. Paste it whole, or none.", "held") from None


def _octets(ctx: Context, wanted: Wanted, head: _Head, held: int | None, made: int, reason: str) -> Iterator[bytes]:
    """The ZIP. Reads one instant of the database, however long it takes."""
    archive, seen, key = Archive(made), summary.Summary(), LogKey(ctx.keyring)
    with audit_replay.frozen(ctx.db) as conn:
        chosen = wanted.condition
        notes = _notes(conn, head, is_whole=chosen is None)
        if chosen is None:
            yield from _whole(conn, head, archive, seen)
            topics = None
        else:
            lines = _part(conn, audit_export.entries(conn, chosen, head.size), head, seen)
            yield from archive.file("entries.jsonl", lines)
            sizes = {*notes, *([held] if held else [])}
            yield from archive.file("consistency.json", [_consistency(conn, sizes, head.size)])
            topics = sorted(seen.topics)
        texts = []
        for ref, text in audit_export.texts(conn, topics):
            texts.append(text)
            yield from archive.file(f"texts/{ref.hex()}.json", [_json(text)])
        name = conn.execute(select(controller.c.name)).scalar_one_or_none() or ""
    facts = {
        "title": wanted.what if wanted.ref is None else f"{wanted.what} {wanted.ref.hex()}",
        "made": summary.utc(made),
        "controller": name,
        "whole": chosen is None,
    }
    page = seen.page(**facts, reason=reason, size=head.size, note=head.note, texts=texts)
    own = {
        "checkpoint": head.note.encode(),
        "checkpoints.txt": "".join(notes[size] for size in sorted(notes)).encode(),
        "key.txt": f"{key.verifiers[0]}\n".encode(),
        "rotations.json": _json([one.body() for one in key.former]),
        "outreach_verify.py": VERIFIER.read_bytes(),
        "README.txt": summary.read_me(**facts, key=str(key.verifiers[0])),
        "summary.html": page,
    }
    for path, octets in own.items():
        yield from archive.file(path, [octets])
    yield from archive.close(_facts(wanted, head, made), lambda text: signed(ctx.keyring, text))


def _facts(wanted: Wanted, head: _Head, made: int) -> dict[str, str]:
    """What the manifest says of the whole."""
    about = {"about": wanted.ref.hex()} if wanted.ref else {}
    period = {"since": str(wanted.since), "until": str(wanted.until)} if wanted.what is What.PERIOD else {}
    return {"what": str(wanted.what), **about, **period, "made": str(made), "size": str(head.size)}


def signed(keyring: Keyring, text: str) -> str:
    """A text as a note under the log's name and newest key (C2SP signed-note). `text` ends its last line."""
    key = Ed25519PrivateKey.from_private_bytes(keyring.audit_seed)
    number = key_id(keyring.audit_name, key.public_key().public_bytes_raw())
    return f"{text}\n— {keyring.audit_name} {base64.b64encode(number + key.sign(text.encode())).decode()}\n"


def _whole(conn: Connection, head: _Head, archive: Archive, seen: summary.Summary) -> Iterator[bytes]:
    for number, (hashes, entries, rows) in enumerate(audit_export.tiles(conn, head.size)):
        for row in rows:
            seen.add(row.position, row)
        yield from archive.file(tile_path(0, number, len(hashes)), [b"".join(hashes)], packed=False)
        yield from archive.file(bundle_path(number, len(entries)), [bundle(entries)])


def _part(conn: Connection, rows: Iterable[Any], head: _Head, seen: summary.Summary) -> Iterator[bytes]:
    """A line an entry. The tiles are read anew now and then, so that memory does not grow with the log."""
    for count, row in enumerate(rows):
        if count % _AGAIN == 0:
            hashes = Hashes(conn, head.size)
        seen.add(row.position, row)
        try:
            path = inclusion_proof(hashes.subtree, row.position, head.size)
        except AuditError:  # a hash was lost: the verifier will say that this entry is not proved
            path = []
        said = audit_export.readable(row).decode()
        yield _json({"position": row.position, "entry": said, "proof": base64.b64encode(b"".join(path)).decode()})


def _consistency(conn: Connection, sizes: Iterable[int], size: int) -> bytes:
    """size → the steps that prove the log of so many entries to be the beginning of this one."""
    found, hashes = {}, Hashes(conn, size)
    for old in sorted(sizes):
        if 0 < old <= size:
            try:
                path = consistency_proof(hashes.subtree, old, size)
            except AuditError:  # as above
                path = []
            found[str(old)] = [base64.b64encode(step).decode() for step in path]
    return _json(found)


def _notes(conn: Connection, head: _Head, *, is_whole: bool) -> dict[int, str]:
    """Signed checkpoints up to this one: those shown to the world, and of a whole log the newest beside them."""
    found = dict(audit_export.shown_notes(conn, head.size, _SHOWN))
    if is_whole:
        found |= dict(audit_export.signed_notes(conn, head.size, _NEWEST))
    return {size: note for size, note in found.items() if isinstance(note, str)}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode() + b"\n"
