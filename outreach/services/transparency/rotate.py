"""Gives the log another signing key: the old one vouches for all so far and for its successor, in the log itself.

For an operator, with nothing else running. The new seed is in the key file before anything is signed with it; should
the machine stop between, the next seal writes the entry (`services/seal.py`).
"""

import secrets
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from outreach.config import load_keyring
from outreach.domain.audit import EMPTY_ROOT
from outreach.domain.rotation import Rotation, Signed
from outreach.keyfile import replace_log_key
from outreach.services.context import Context
from outreach.services.seal import LogKey, seal
from outreach.store import audit_log


def rotate_log_key(ctx: Context, epoch: int) -> Signed:
    """Seal all that waits with the old key, change the key file, seal the rotation's entry with the new key.

    As the leader of `epoch`. Raises AuditError when the log does not continue what was signed: nothing is changed then.
    """
    while seal(ctx, epoch) is not None:
        pass
    with ctx.db.reading() as conn:
        point = audit_log.newest_point(conn, signed=True)
    size, root = (point.size, point.root) if point else (0, EMPTY_ROOT)
    seed = secrets.token_bytes(32)
    old, new = (Ed25519PrivateKey.from_private_bytes(one) for one in (ctx.keyring.audit_seed, seed))
    rotation = Rotation(
        LogKey(ctx.keyring).name, size, root, *(one.public_key().public_bytes_raw() for one in (old, new))
    )
    message = rotation.text.encode()
    signed = Signed(rotation, by_old=old.sign(message), by_new=new.sign(message))
    replace_log_key(ctx.settings, signed, seed)
    seal(replace(ctx, keyring=load_keyring(ctx.settings)), epoch)
    return signed
