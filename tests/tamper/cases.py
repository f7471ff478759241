"""What somebody does who has the whole database and the server's signing key, and what finds each deed.

`offline`: kinds of findings of which the offline verifier, given an export made afterwards and the witnessed
checkpoint, must report one; `tables`: whether `audit verify`, given that checkpoint, must object. A deed that leaves
everything as it was has nothing to be found: then both must say that nothing was changed, and the root is what it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from outreach.services.context import Context
from outreach.services.seal import checkpoint_file, seal
from outreach.store.append_only import protect
from outreach.store.audit import Entry, record
from outreach.store.schema import APPEND_ONLY
from tests.tamper.life import House, place_of
from tests.tamper.spoil import drop_file, flip_in_file, put_file
from tests.tampering import loosen

COLUMNS = "nonce, at, kind, actor, contact, topic, campaign, message, body"
_MONTHS = 90 * 86_400_000_000
_NEXT_ID = "SELECT setval(pg_get_serial_sequence('audit_entry', 'id'), (SELECT MAX(id) FROM audit_entry))"
Tampering = Callable[[Context, House], int | None]
"""Does it; returns the place of the first entry that is concerned, if one is."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """`at_backup`: the thief starts from the backup; `part`: the export is of one person; `spoil`: its fate."""

    name: str
    do: Tampering
    offline: frozenset[str] = frozenset()
    tables: bool = True
    at_backup: bool = False
    part: bool = False
    spoil: Callable[[Path], None] | None = None

    @property
    def is_nothing(self) -> bool:
        """Nothing was changed in the end."""
        return not self.offline and not self.tables


def case(name: str, do: Tampering, *offline: str, **more: object) -> Case:
    return Case(name=name, do=do, offline=frozenset(offline), **more)  # type: ignore[arg-type]  # as Case says


def id_at(place: int) -> str:
    return f"(SELECT entry FROM audit_leaf WHERE position = {place})"


def resign(ctx: Context) -> None:
    """Build the tree anew from the entries in the order of their ids, and sign it with the server's key."""
    emptied = ("publication", "witnessed", "checkpoint_note", "checkpoint", "audit_leaf", "audit_tile", "audit_node")
    gone = (f"DELETE FROM {table}" for table in (*emptied, "audit_pending"))
    loosen(ctx, *gone, "INSERT INTO audit_pending SELECT id FROM audit_entry")
    checkpoint_file(ctx).unlink(missing_ok=True)
    while seal(ctx, 1) is not None:
        pass


def write(ctx: Context, ago: int = 0, **entry: object) -> None:
    """Add an entry that the product would not write."""
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn) - ago, Entry(**{"kind": "staff.signed-in", "actor": "staff:x", **entry}))  # type: ignore[arg-type]


def _flip(ctx: Context, house: House) -> int:
    place = place_of(ctx, "consent.confirmed", 5)
    loosen(ctx, f"UPDATE audit_entry SET at = at + 1 WHERE id = {id_at(place)}")
    return place


def _flip_words(ctx: Context, house: House) -> int:
    place = place_of(ctx, "consent.confirmed", 7)
    loosen(ctx, f"UPDATE audit_entry SET body = replace(body, 'granted', 'grantee') WHERE id = {id_at(place)}")
    return place


def _delete(ctx: Context, house: House) -> int:
    place = place_of(ctx, "message.sent", 3)
    loosen(ctx, f"DELETE FROM audit_entry WHERE id = {id_at(place)}")
    return place


def _delete_place(ctx: Context, house: House) -> int:
    place = place_of(ctx, "message.sent", 3)
    gone = f"DELETE FROM audit_entry WHERE id = {id_at(place)}"
    loosen(ctx, gone, f"DELETE FROM audit_leaf WHERE position = {place}")
    return place


def _insert(ctx: Context, house: House) -> int:
    """Somebody's consent, in the middle, where there was none."""
    place = place_of(ctx, "consent.confirmed", 9)
    nonce = "X'00112233445566778899aabbccddeeff'" if ctx.db.is_sqlite else "'\\x00112233445566778899aabbccddeeff'"
    with ctx.db.reading() as conn:
        after = int(conn.exec_driver_sql(f"SELECT {id_at(place)}").scalar_one())
    copied = COLUMNS.replace("nonce", nonce, 1)
    loosen(
        ctx,
        f"UPDATE audit_entry SET id = -id WHERE id > {after}",
        "UPDATE audit_entry SET id = 1 - id WHERE id < 0",
        f"INSERT INTO audit_entry (id, {COLUMNS}) SELECT {after + 1}, {copied} FROM audit_entry WHERE id = {after}",
        *([] if ctx.db.is_sqlite else [_NEXT_ID]),
    )
    return place + 1


def _swap(ctx: Context, house: House) -> int:
    one, other = (place_of(ctx, "consent.confirmed", number) for number in (2, 30))
    with ctx.db.reading() as conn:
        first, second = (int(conn.exec_driver_sql(f"SELECT {id_at(at)}").scalar_one()) for at in (one, other))
    loosen(
        ctx,
        f"UPDATE audit_entry SET id = -1 WHERE id = {first}",
        f"UPDATE audit_entry SET id = {first} WHERE id = {second}",
        f"UPDATE audit_entry SET id = {second} WHERE id = -1",
    )
    return one


def _cut(ctx: Context, house: House) -> int:
    """Everything after the first checkpoint, the checkpoints too."""
    size = house.first_size
    loosen(
        ctx,
        f"DELETE FROM audit_entry WHERE id IN (SELECT entry FROM audit_leaf WHERE position >= {size})",
        f"DELETE FROM audit_leaf WHERE position >= {size}",
        f"DELETE FROM audit_tile WHERE level > 0 OR (number + 1) * 256 > {size}",
        f"DELETE FROM audit_node WHERE level > 1 OR (number + 1) * 256 > {size}",
        f"DELETE FROM publication WHERE size > {size}",
        f"DELETE FROM witnessed WHERE size > {size}",
        f"DELETE FROM checkpoint_note WHERE size > {size}",
        f"DELETE FROM checkpoint WHERE size > {size}",
    )
    return size


def _fork(ctx: Context, house: House) -> int:
    """Another history from somewhere below the witnessed checkpoint, as long as the first."""
    place = house.first_size - 20
    with ctx.db.reading() as conn:
        size = int(conn.exec_driver_sql("SELECT COUNT(*) FROM audit_leaf").scalar_one())
    loosen(ctx, f"DELETE FROM audit_entry WHERE id IN (SELECT entry FROM audit_leaf WHERE position >= {place})")
    for _ in range(size - place):
        write(ctx)
    return place


def _live_on(ctx: Context, house: House) -> int:
    for _ in range(house.witnessed_size):
        write(ctx)
    while seal(ctx, 1) is not None:
        pass
    return house.first_size


def _out_and_back(ctx: Context, house: House) -> None:
    chosen = id_at(place_of(ctx, "consent.confirmed", 5))
    loosen(
        ctx,
        f"CREATE TABLE held AS SELECT * FROM audit_entry WHERE id = {chosen}",
        f"DELETE FROM audit_entry WHERE id = {chosen}",
        f"INSERT INTO audit_entry (id, {COLUMNS}) SELECT id, {COLUMNS} FROM held",
        "DROP TABLE held",
    )


def _triggers(ctx: Context, house: House) -> None:
    loosen(ctx)
    with ctx.db.transaction() as conn:
        protect(conn, APPEND_ONLY)


def _flip_between_triggers(ctx: Context, house: House) -> int:
    place = _flip(ctx, house)
    _triggers(ctx, house)
    return place


def _backdate(ctx: Context, house: House) -> int:
    """A consent of long ago, written today and sealed in its place at the end."""
    with ctx.db.reading() as conn:
        size = int(conn.exec_driver_sql("SELECT COUNT(*) FROM audit_leaf").scalar_one())
    body = {"from": "none", "to": "granted", "event": "0" * 32, "text": None}
    write(ctx, _MONTHS, kind="consent.imported", contact=b"c" * 16, topic=b"t" * 16, body=body)
    while seal(ctx, 1) is not None:
        pass
    return size


def _backdate_sealed(ctx: Context, house: House) -> int:
    place = place_of(ctx, "consent.confirmed", 5)
    loosen(ctx, f"UPDATE audit_entry SET at = at - {_MONTHS} WHERE id = {id_at(place)}")
    return place


def _lie(ctx: Context, house: House) -> int:
    """A mail sent once more than it was, told by the log itself."""
    place = place_of(ctx, "message.sent", 3)
    with ctx.db.reading() as conn:
        size = int(conn.exec_driver_sql("SELECT COUNT(*) FROM audit_leaf").scalar_one())
        row = conn.exec_driver_sql(f"SELECT contact, message FROM audit_entry WHERE id = {id_at(place)}").one()
    write(ctx, kind="message.sent", actor="engine", contact=bytes(row.contact), message=bytes(row.message))
    while seal(ctx, 1) is not None:
        pass
    return size


def _other_key(ctx: Context, house: House) -> None:
    """Everything signed by a key of the thief's own, put where the server's was."""
    object.__setattr__(ctx.keyring, "audit_seed", Ed25519PrivateKey.generate().private_bytes_raw())
    resign(ctx)


def _sql(*statements: str) -> Tampering:
    def do(ctx: Context, house: House) -> None:
        loosen(ctx, *(statement.format(size=house.witnessed_size) for statement in statements))

    return do


def _signed_anew(do: Tampering) -> Tampering:
    def both(ctx: Context, house: House) -> int | None:
        place = do(ctx, house)
        resign(ctx)
        return place

    return both


def _nothing(ctx: Context, house: House) -> None:
    """The store is left alone."""


REWRITTEN = ("altered", "removed", "inserted", "reordered", "forked")


def cases() -> Iterator[Case]:
    """Every case. Of each deed there is one that leaves the signatures alone and one that signs everything anew."""
    deeds: dict[str, Tampering] = {
        "flip one letter of an entry": _flip,
        "flip what an entry says": _flip_words,
        "delete an entry": _delete,
        "delete an entry and its place": _delete_place,
        "swap two entries": _swap,
        "date a sealed entry back": _backdate_sealed,
    }
    for name, do in deeds.items():
        yield case(name, do, *REWRITTEN)
        yield case(f"{name}, sign everything anew", _signed_anew(do), *REWRITTEN)
    yield case("insert an entry, sign everything anew", _signed_anew(_insert), *REWRITTEN)
    yield case("fork below the witnessed checkpoint, sign everything anew", _signed_anew(_fork), *REWRITTEN)
    yield case("cut the log off with its checkpoints", _cut, "truncated")
    yield case("cut the log off, sign everything anew", _signed_anew(_cut), "truncated")
    yield case("roll back to a backup", _nothing, "truncated", at_backup=True)
    yield case("roll back to a backup and live on", _live_on, *REWRITTEN, at_backup=True)
    yield case("drop a trigger, flip, restore the trigger", _flip_between_triggers, *REWRITTEN)
    yield case("write a consent of long ago at the end", _backdate, "back-dated")
    yield case("tell of a mail twice", _lie, "story")
    yield case("sign with another key", _other_key, "signature")
    other = "(SELECT hash FROM audit_leaf WHERE position = 0)"
    yield case("flip the root of a checkpoint", _sql(f"UPDATE checkpoint SET root = {other} WHERE size = {{size}}"))
    yield case("flip a signed checkpoint",
               _sql("UPDATE checkpoint_note SET note = replace(note, '{size}', '{size}1') WHERE size = {size}"),
               "signature")  # fmt: skip
    yield case("flip a tile", _sql("UPDATE audit_tile SET hashes = substr(hashes, 33)"),
               "altered", part=True)  # fmt: skip
    yield case("change a consent in its table", _sql("UPDATE consent SET state = 'granted' WHERE state = 'withdrawn'"))
    yield case("change a message in its table", _sql("UPDATE message SET state = 'sent', reason = NULL "
                                                     "WHERE state = 'failed'"))  # fmt: skip
    yield case("change the counts of campaigns", _sql("UPDATE tally SET n = n + 1 WHERE state = 'sent'"))
    yield case("flip a letter in the export", _nothing, "export", tables=False, spoil=flip_in_file)
    yield case("take a file out of the export", _nothing, "export", tables=False, spoil=drop_file)
    yield case("put a file into the export", _nothing, "export", tables=False, spoil=put_file)
    yield case("move a row out and back", _out_and_back, tables=False)
    yield case("drop every trigger and restore it", _triggers, tables=False)
    yield case("sign everything anew, nothing changed", _signed_anew(_nothing), tables=False)
