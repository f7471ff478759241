"""Verifies the log for whoever does not want to trust it: the tree from its entries, then the tables from the log.

The sealer, the triggers and the application's good will are not relied on; the keys are. A log rewritten by somebody
who holds them differs from checkpoints that were kept elsewhere: from `checkpoints.txt`, or those a witness took.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from outreach.domain.actors import Actor, Role
from outreach.services.context import Context
from outreach.services.findings import Finding, Findings, OutOfTimeError
from outreach.services.seal import LogKey, checkpoint_file, kept_notes
from outreach.services.verify_invitations import check_invitations
from outreach.services.verify_replay import Replayed, check_replay
from outreach.services.verify_tally import check_tally
from outreach.services.verify_tree import TreeChecked, check_tree
from outreach.store import audit_replay
from outreach.store.audit import Entry, record
from outreach.store.audit_log import count_pending


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was looked at and what is wrong. `is_complete` is False when the time given was too short."""

    findings: tuple[Finding, ...]
    more: int
    size: int
    pending: int
    checkpoints: int
    contacts: int
    consents: int
    messages: int
    invitations: int
    is_complete: bool

    @property
    def is_clean(self) -> bool:
        return self.is_complete and not self.findings

    def lines(self) -> list[str]:
        """The verdict for a terminal, a line each; the first says how it ended."""
        seen = (
            f"{self.size:,} entries under {self.checkpoints:,} checkpoints, {self.pending:,} waiting to be sealed; "
            f"{self.consents:,} consents and {self.messages:,} messages of {self.contacts:,} contacts "
            f"and {self.invitations:,} invitations replayed"
        )
        if self.findings:
            count = len(self.findings) + self.more
            head = f"audit verify: {count:,} thing{'s' if count > 1 else ''} wrong"
        else:
            head = (
                "audit verify: all is well" if self.is_complete else "audit verify: not finished, nothing wrong so far"
            )
        listed = [f"  {finding}" for finding in self.findings]
        rest = [f"  and {self.more:,} more"] if self.more else []
        return [head, *listed, *rest, seen]


def verify(ctx: Context, *, seconds: float | None = None, witnessed: Sequence[str] = ()) -> Verdict:
    """Check everything, in bounded memory; stop after `seconds` if given, with what was found until then.

    `witnessed`: signed checkpoints that were kept off the host. Reads one instant of the database, so the engine may
    go on working meanwhile.
    """
    findings = Findings(None if seconds is None else time.monotonic() + seconds)
    tree, replay, pending, invited, complete = TreeChecked(), Replayed(), 0, 0, True
    kept = kept_notes(checkpoint_file(ctx))  # before the database: it may only be behind
    with audit_replay.frozen(ctx.db) as conn:
        try:
            pending = count_pending(conn)
            for entry in audit_replay.unplaced(conn):
                findings.add(f"the entry with id {entry} is neither sealed nor waiting to be")
            for entry in audit_replay.waiting_wrongly(conn):
                findings.add(f"the entry with id {entry} waits to be sealed, but was sealed or deleted")
            tree = check_tree(conn, LogKey(ctx.keyring), kept, findings, witnessed)
            replay = check_replay(conn, findings)
            check_tally(conn, findings)
            invited = check_invitations(conn, findings)
        except OutOfTimeError:
            complete = False
    return Verdict(
        findings=tuple(findings.found),
        more=findings.more,
        size=tree.size,
        pending=pending,
        checkpoints=tree.checkpoints,
        contacts=replay.contacts,
        consents=replay.consents,
        messages=replay.messages,
        invitations=invited,
        is_complete=complete,
    )


def verify_now(ctx: Context, actor: Actor, *, seconds: float) -> Verdict:
    """An officer's verification from the web; that it was done, and its outcome, is itself in the log."""
    actor.must_be(Role.OFFICER)
    verdict = verify(ctx, seconds=seconds)
    body = {
        "size": verdict.size,
        "findings": len(verdict.findings) + verdict.more,
        "complete": verdict.is_complete,
    }
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), Entry(kind="audit.verified", actor=actor.name, body=body))
    return verdict


def notes_in(text: str) -> Iterator[str]:
    """Signed notes that stand one after another, as a file of witnessed checkpoints holds them."""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if lines and lines[-1].startswith("— ") and not line.startswith("— "):
            yield "".join(lines)
            lines = []
        if lines or line.strip():
            lines.append(line)
    if lines:
        yield "".join(lines)
