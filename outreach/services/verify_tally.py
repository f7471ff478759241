"""Compares the counts of each campaign that pages show, with its messages and with what the log adds up to."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection

from outreach.services.findings import Findings
from outreach.store import tally_replay
from outreach.store.tally import Count


def check_tally(conn: Connection, findings: Findings) -> None:
    """Say of each campaign where tally, messages and log do not agree."""
    rows, tally = tally_replay.of_rows(conn), tally_replay.of_tally(conn)
    planned, ended = tally_replay.of_log(conn)
    known = tally_replay.campaigns(conn)
    for owner in sorted({*known, *rows, *tally}):
        findings.must_hurry()
        ref = known.get(owner)
        name = f"campaign {ref.hex()}" if isinstance(ref, bytes) else f"a campaign that is not there (id {owner})"
        held = rows.get(owner, Counter())
        _compare_tally(name, held, tally.get(owner, Counter()), findings)
        if isinstance(ref, bytes):
            _compare_log(name, held, planned.get(ref, 0), ended.get(ref, {}), findings)


def _compare_tally(name: str, held: Counter[Count], tallied: Counter[Count], findings: Findings) -> None:
    for state, reason in sorted({*held, *tallied}, key=repr):
        there, said = held[state, reason], tallied[state, reason]
        if there != said:
            how = f"{state} ({reason})" if reason else state
            findings.add(f"{name}: the tally says {said} messages are {how}, the table has {there}")


def _compare_log(name: str, held: Counter[Count], planned: int, ended: Mapping[str, int], findings: Findings) -> None:
    if held.total() != planned:
        findings.add(f"{name}: the log planned {planned} messages, the table has {held.total()}")
    for state in ("sent", "withheld", "failed"):
        there = sum(n for (stands, _), n in held.items() if stands == state)
        if there != ended.get(state, 0):
            findings.add(f"{name}: the log says {ended.get(state, 0)} messages were {state}, the table has {there}")
