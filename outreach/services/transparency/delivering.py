"""Hands one checkpoint to one witness: by mail, by HTTP, by the protocol of C2SP tlog-witness, or into a folder."""

import base64
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from outreach.domain.cosignatures import find_cosignature, read_key
from outreach.hosts import Witness
from outreach.mail import dkim
from outreach.mail.compose import Envelope, Sender, compose
from outreach.mail.content import Filled
from outreach.mail.relays import Router
from outreach.mail.transport import Parcel, Result
from outreach.services.context import Context
from outreach.services.seal import is_genuine
from outreach.services.senders import key_files
from outreach.services.transparency.posting import Answer, PostError, post
from outreach.store.schema.organisation import sender

_SIZE_KIND = "text/x.tlog.size"
_MOST_HASHES = 63


class RefusedError(Exception):
    """A witness did not take the checkpoint. Its text can be shown: it holds nothing of settings or answer."""


@dataclass(frozen=True)
class Errand:
    """What is handed over. `note`: the signed checkpoint of `size`; `old`: the size this witness took last, or 0.

    `prove(old)`: the consistency proof from another size to this one (RFC 9162 §2.1.4).
    """

    note: str
    size: int
    old: int
    now: int
    prove: Callable[[int], Sequence[bytes]]


def deliver(ctx: Context, witness: Witness, errand: Errand) -> str:
    """Hand it over. Returns the witness's cosignature line, "" where it gave none. Raises RefusedError."""
    to = witness.to.get_secret_value()
    try:
        if witness.kind == "folder":
            _put(Path(to), errand)
        elif witness.kind == "mail":
            _mail(ctx, to, errand)
        elif witness.kind == "post":
            return _cosignature(witness, errand, _accepted(post(to, errand.note.encode(), ca_file=witness.ca_file)))
        else:
            return _ask(witness, to, errand)
    except PostError as error:
        raise RefusedError(f"It {error}.") from None
    except ValueError:
        raise RefusedError("Its settings, or the sender's signing key, cannot be used.") from None
    except OSError as error:
        raise RefusedError(f"It could not be written ({error.strerror or type(error).__name__}).") from None
    return ""


def _ask(witness: Witness, to: str, errand: Errand) -> str:
    """`add-checkpoint`: a witness that remembers another size than we do says so once, and is asked from there."""
    url = to.rstrip("/") + "/add-checkpoint"
    answer = post(url, _submission(errand, errand.old), ca_file=witness.ca_file)
    if answer.status == 409 and answer.kind == _SIZE_KIND:
        answer = post(url, _submission(errand, _remembered(answer, errand)), ca_file=witness.ca_file)
    line = _cosignature(witness, errand, _accepted(answer))
    if not line:
        raise RefusedError("Its answer holds no cosignature by the key in the settings.")
    return line


def _submission(errand: Errand, old: int) -> bytes:
    proof = errand.prove(old) if old else []
    lines = [f"old {old}", *(base64.b64encode(step).decode() for step in proof[:_MOST_HASHES])]
    return ("\n".join(lines) + f"\n\n{errand.note}").encode()


def _remembered(answer: Answer, errand: Errand) -> int:
    text = answer.body.decode("ascii", errors="replace").strip()
    if not text.isdecimal() or len(text) > 19 or int(text) > errand.size:
        raise RefusedError("It remembers a larger log than the one here. Run audit verify, and ask who runs it.")
    return int(text)


def _accepted(answer: Answer) -> str:
    if not 200 <= answer.status < 300:
        raise RefusedError(f"It answered with status {answer.status}.")
    return answer.body.decode(errors="replace")


def _cosignature(witness: Witness, errand: Errand, answer: str) -> str:
    if not witness.key:
        return ""
    found = find_cosignature(errand.note, answer, read_key(witness.key), is_genuine)
    return found.line if found else ""


def _put(folder: Path, errand: Errand) -> None:
    """A file for each checkpoint, whole or not at all, never written over. The folder is not made: a mount that is
    gone must show."""
    path = folder / f"checkpoint-{errand.size:012}.txt"
    content = errand.note.encode()
    if path.exists():
        if path.read_bytes() != content:
            raise RefusedError("It holds another checkpoint of this size. Keep both, and run audit verify.")
        return
    beside = folder / f".{path.name}.{secrets.token_hex(4)}"
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


class _NoJournal:
    """A mail to a witness may come twice: nobody needs to know how far it came."""

    def begun(self, message_id: int) -> None:
        """Not kept."""

    def dotted(self, message_id: int) -> None:
        """Not kept."""

    def replied(self, message_id: int, code: int, text: str) -> None:
        """Not kept."""

    def flush(self) -> None:
        """Not kept."""


def _mail(ctx: Context, to: str, errand: Errand) -> None:
    """From the oldest open sender, by its relay, signed as its other mail is."""
    with ctx.db.reading() as conn:
        brand = conn.execute(select(sender).where(sender.c.closed.is_(None)).order_by(sender.c.id)).first()
    if brand is None:
        raise RefusedError("There is no sender yet to mail it from.")
    by = Sender(brand.name, f"{brand.from_local}@{brand.from_domain}", _signers(ctx, brand))
    message_id = f"{secrets.token_hex(16)}@{brand.from_domain}"
    data = compose(Envelope(by, to, message_id, errand.now), _words(errand))
    router = Router(ctx.settings, ctx.settings.public_host)
    try:
        parcel = Parcel(0, by.address, to, data, time.monotonic())
        (outcome,) = router.hand_off(brand.relay, [parcel], _NoJournal())
    finally:
        router.close()
    if outcome.result is not Result.SENT:
        raise RefusedError(f"The relay did not take it ({outcome.code or 'no reply'}).")


def _signers(ctx: Context, brand: Row[Any]) -> tuple[dkim.Signer, ...]:
    keys = key_files(ctx.settings.instance / "dkim", brand.ref, brand.dkim_selector)
    return tuple(
        dkim.Signer(domain=brand.from_domain, selector=name, key=dkim.load_key(path.read_bytes()))
        for name, path in keys
    )


def _words(errand: Errand) -> Filled:
    """The mail: the note as it is, between lines that say what to do with it."""
    origin = errand.note.partition("\n")[0]
    say = f"This is the signed checkpoint of the log {origin} at {errand.size} entries. Keep it: nothing else is asked."
    why = "With it anybody can show if an entry up to there is changed, cut off or put in later."
    shown = errand.note.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Filled(
        subject=f"Checkpoint {errand.size} of {origin}",
        preheader="",
        html=f'<!doctype html><html lang="en"><body><p>{say}</p><pre>{shown}</pre><p>{why}</p></body></html>',
        text=f"{say}\n{why}\n\n{errand.note}\n",
    )
