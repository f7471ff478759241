"""A worker's processor time by stage: one worker runs its rounds in this process, each stage's functions under a clock.

Microseconds of this process's own processor time a mail; what PostgreSQL spends meanwhile is not in it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.installation import Installation
from outreach.mail import dkim
from outreach.mail.relays import Router
from outreach.pipeline import claim, send
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.plan import begin_due, plan_next
from outreach.pipeline.send import Worker
from outreach.store import messages

_STAGES = ("claim", "decide", "compose", "sign", "hand_off", "record", "audit")


def stages(here: Installation) -> dict[str, float]:
    """Microseconds a mail by stage, over one campaign to everybody, its audience planned beforehand."""
    worker = Worker(here.ctx, Router(here.ctx.settings, here.ctx.settings.public_host), "bulk")
    journal = WorkerJournal(worker.journals, worker.name)
    here.begin(here.campaign())
    begin_due(here.ctx)
    while plan_next(here.ctx):
        pass
    spent: Counter[str] = Counter()
    mails = 0
    with ExitStack() as clocks:
        for owner, name, stage in (
            (send, "claim", "claim"),
            (claim, "_judge", "decide"),
            (send, "write_letters", "compose"),
            (dkim.Signing, "sign", "sign"),
            (worker.carrier, "hand_off", "hand_off"),
            (send, "record_outcomes", "record"),
            (messages, "record", "audit"),
        ):
            clocks.enter_context(_clocked(owner, name, stage, spent))
        while worker.round(journal):
            pass
    worker.carrier.close()
    journal.close()
    mails = here.readers_made
    for inner, outer in (("decide", "claim"), ("sign", "compose"), ("audit", "record")):
        spent[outer] -= spent[inner]
    return {stage: spent[stage] / mails * 1e6 for stage in _STAGES}


@contextmanager
def _clocked(owner: Any, name: str, stage: str, spent: "Counter[str]") -> Iterator[None]:
    """While the block runs, calls of `owner.name` are timed."""
    own: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return own(*args, **more)
        finally:
            spent[stage] += time.process_time() - began  # type: ignore[assignment]  # seconds

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, own)
