"""Changes to `keys.json` an operator makes: new keys for links and for the log, and one that is trusted no more.

A token key is never removed, because withdrawing never expires. The file is replaced whole or not at all, mode 0600.
"""

import base64
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from outreach.config import Settings, load_keyring, new_secret
from outreach.domain.errors import SettingsError
from outreach.domain.rotation import Signed
from outreach.domain.tokens import Tokens


def rotate_tokens(settings: Settings) -> str:
    """Append a token key, which signs from the next start on. Returns its id. Raises SettingsError."""
    keys = _read(settings)
    added = _add(keys["tokens"])
    _replace(settings.instance / "keys.json", keys)
    return added


def compromise_token(settings: Settings, key_id: str, *, rotate: bool) -> str | None:
    """Mark a token key as known to somebody else; with `rotate`, append a new one in the same step.

    Returns the id of the new key, if one was made. Raises SettingsError for an id that is not there or marked
    already, and, without `rotate`, for the newest key: there must be one to sign fresh links with.
    """
    keys = _read(settings)
    tokens = keys["tokens"]
    found = next((entry for entry in tokens if entry["id"] == key_id), None)
    if found is None:
        known = ", ".join(entry["id"] for entry in tokens)
        raise SettingsError(f"keys.json: no token key “{key_id}”; there are {known}. Nothing was changed.")
    if found.get("compromised", False):
        raise SettingsError(f"keys.json: token key “{key_id}” is marked already. Nothing was changed.")
    if not rotate and found is [entry for entry in tokens if not entry.get("compromised", False)][-1]:
        raise SettingsError(f"keys.json: “{key_id}” is the key that signs; use --rotate to add a new one first.")
    added = _add(tokens) if rotate else None
    found["compromised"] = True
    _replace(settings.instance / "keys.json", keys)
    return added


def replace_log_key(settings: Settings, rotation: Signed, seed: bytes) -> None:
    """Let `seed` (32 bytes, Ed25519) sign the log from now on. Of the key before only its public part stays, in
    `rotation`. Raises SettingsError."""
    keys = _read(settings)
    audit = keys["audit"]
    audit["former"] = [*audit.get("former", []), rotation.body()]
    audit["seed"] = base64.b64encode(seed).decode()
    _replace(settings.instance / "keys.json", keys)


def _read(settings: Settings) -> dict[str, Any]:
    """The file as it is, checked as a start would check it."""
    path = settings.instance / "keys.json"
    if not path.exists():
        raise SettingsError(f"keys.json: there is none in {settings.instance}; it is made at the first start")
    Tokens(load_keyring(settings).tokens)
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def _add(tokens: list[dict[str, Any]]) -> str:
    taken = {entry["id"] for entry in tokens}
    fresh = next(name for number in range(len(tokens) + 1, 2 * len(tokens) + 2) if (name := f"t{number}") not in taken)
    tokens.append({"id": fresh, "key": new_secret()})
    return fresh


def _replace(path: Path, keys: dict[str, Any]) -> None:
    """Write beside the file, then rename over it. The new file's name is also the lock between two operators."""
    beside = path.with_name("keys.json.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(f"keys.json: another change is under way; if none is, remove {beside}") from None
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(keys, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        owner = path.stat()
        with suppress(PermissionError):  # root acts for the account that runs us, which must still be able to read it
            os.chown(beside, owner.st_uid, owner.st_gid)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
