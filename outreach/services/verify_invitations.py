"""Replays the log for invitations: how each ended, what it was reported for, and who is suspended from inviting."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from outreach.domain.invitation import REFUSALS, Answer, Way, replaces
from outreach.services.findings import Findings
from outreach.services.verify_replay import read_body
from outreach.store import audit_replay

_ENDINGS = ("invitation.answered", "invitation.cancelled", "invitation.expired")
_SUSPENSIONS = ("member.suspended", "member.restored")
Told = tuple[Any, dict[str, Any]]
"""An entry and what its body says."""


def check_invitations(conn: Connection, findings: Findings) -> int:
    """Compare every invitation and every member with the log. Returns how many invitations there are."""
    done = 0
    for after, upto, rows in audit_replay.invitations(conn):
        known = _gather(conn, _ENDINGS, "invitation", after, upto, findings)
        for row in rows:
            _check_invitation(row, known.pop(row.ref, []), findings)
        for ref, told in known.items():
            findings.add(f"invitation {ref.hex()} is missing from the table", told[-1][0].position)
        done += len(rows)
    for after, upto, rows in audit_replay.members(conn):
        known = _gather(conn, _SUSPENSIONS, "member", after, upto, findings)
        for row in rows:
            _check_member(row, known.pop(row.ref, []), findings)
        for ref, told in known.items():
            findings.add(f"member {ref.hex()} is missing from the table", told[-1][0].position)
    return done


def _gather(
    conn: Connection, kinds: Sequence[str], about: str, after: bytes | None, upto: bytes | None, findings: Findings
) -> dict[bytes, list[Told]]:
    """The entries about refs in (after, upto], in the order they were written."""
    findings.must_hurry()
    known: dict[bytes, list[Told]] = {}
    for row in audit_replay.entries_of(conn, kinds):
        body = read_body(row, findings) if after is None else read_body(row, Findings())  # said once is enough
        try:
            ref = bytes.fromhex(str(body.get(about)))
        except ValueError:
            if after is None:
                findings.add(f"{row.kind} names no {about}", row.position)
            continue
        if (after is None or ref > after) and (upto is None or ref <= upto):
            known.setdefault(ref, []).append((row, body))
    return known


def _check_invitation(row: Any, told: Sequence[Told], findings: Findings) -> None:
    name = f"invitation {row.ref.hex()}"
    last = told[-1][0].position if told else None
    answer, settlement = _ended(row.way, told)
    if row.answer != answer:
        findings.add(f"the log says {name} {_so(answer)}, the table says {_so(row.answer)}", last)
    if row.settlement != settlement:
        findings.add(f"the log says the request by {name} {_so(settlement)}, the table {_so(row.settlement)}", last)
    reported = next((body["why"] for _, body in told if body.get("why")), None)
    if row.report != reported:
        findings.add(f"the log and the table do not agree what {name} was reported for", last)


def _ended(way: str, told: Iterable[Told]) -> tuple[str | None, str | None]:
    """The answer that stands after all of them, and what the owner of a connect link said to the request."""
    answer: str | None = None
    settlement: str | None = None
    for entry, body in told:
        said = body.get("answer")
        is_waiting = way == Way.LINK and settlement is None
        if entry.kind == "invitation.cancelled":
            settlement = "refused" if is_waiting and answer == Answer.ACCEPTED else settlement
            answer = answer or Answer.CANCELLED
        elif entry.kind == "invitation.expired":
            answer = Answer.EXPIRED
        elif body.get("settlement"):
            settlement = body["settlement"]
        elif said == Answer.ACCEPTED:
            answer = Answer.ACCEPTED
        elif said in REFUSALS and replaces(Answer(said), answer, is_waiting=is_waiting):
            answer = said
    return answer, settlement


def _check_member(row: Any, told: Sequence[Told], findings: Findings) -> None:
    name, why, judged_from = f"member {row.ref.hex()}", None, None
    for entry, body in told:
        is_suspended = entry.kind == "member.suspended"
        why = body.get("why") if is_suspended else None
        judged_from = judged_from if is_suspended else entry.at
    last = told[-1][0].position if told else None
    held = row.suspended_for if row.suspended is not None else None
    if held != why:
        findings.add(f"the log says {name} is {_stopped(why)}, the table says {_stopped(held)}", last)
    if row.judged_from != judged_from:
        findings.add(f"{name} is judged from another time than they were last let invite again", last)


def _so(answer: str | None) -> str:
    return f"was {answer}" if answer else "was not answered"


def _stopped(why: str | None) -> str:
    return f"suspended for {why}" if why else "not suspended"
