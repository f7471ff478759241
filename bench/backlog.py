"""`python -m bench.backlog`: what a running campaign does to those who do not wait for it, and how fast it obeys.

While the product's own processes send a campaign to 300,000 people from PostgreSQL into smtp-sink, thirty people sign
up one after another; from each form to the relay's answer for its confirmation is measured. Then it is paused:
counted is what still leaves after the pause was answered, in mails and seconds. Prints
`backlog confirmation_s=… worst_s=… after_pause=… pause_s=…`: median and worst of the thirty, and of three pauses the
worst. A batch is at most 500 mails a worker.
"""

import statistics
import time

from sqlalchemy import func, select

from bench.installation import Engines, Installation, engines
from bench.send import installed
from bench.servers import sink
from outreach.domain.actors import CONSOLE
from outreach.services.campaigns import pause_campaign, resume_campaign
from outreach.services.sign_up import SignUp, submit_sign_up
from outreach.store.schema.campaigns import attempt, campaign, message

_PEOPLE = 300_000
_SIGN_UPS = 30
_PAUSES = 3
_WORKERS = 2
_PATIENCE_SECONDS = 60.0


def main() -> None:
    with sink() as into, installed("postgresql", into.port, workers=_WORKERS) as here:
        here.readers(_PEOPLE)
        with engines(here) as running:
            one = here.begin(here.campaign())
            _wait_for_the_first(here, running)
            waits = [_sign_up(here, running, number) for number in range(_SIGN_UPS)]
            pauses = [_pause(here, one) for _ in range(_PAUSES)]
    print(
        f"backlog confirmation_s={statistics.median(waits):.2f} worst_s={max(waits):.2f} "
        f"after_pause={max(mails for mails, _ in pauses)} pause_s={max(seconds for _, seconds in pauses):.2f}"
    )


def _wait_for_the_first(here: Installation, running: Engines) -> None:
    """Until mail of the campaign leaves: starting up is not what is measured."""
    while True:
        running.must_live()
        with here.ctx.db.reading() as conn:
            if conn.execute(select(attempt.c.id).limit(1)).first() is not None:
                return
        time.sleep(0.1)


def _sign_up(here: Installation, running: Engines, number: int) -> float:
    """Seconds from the form to the relay's answer, while mail of the campaign still waits."""
    asked = SignUp(
        address=f"newcomer{number}@example.org",
        topics=["topic-1"],
        locale="en",
        form_url="https://mail.northfield.example/sign-up",
        network=f"198.51.{number}.0/24",
        ip=f"198.51.{number}.7",
        seconds=30.0,
    )
    with here.ctx.db.reading() as conn:
        began = here.ctx.db.now(conn)
        last = conn.execute(select(func.max(message.c.id)).where(message.c.origin == "confirmation")).scalar() or 0
    submit_sign_up(here.ctx, asked)
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        time.sleep(0.02)
        running.must_live()
        with here.ctx.db.reading() as conn:
            query = select(attempt.c.ended).join(message, message.c.id == attempt.c.message)
            ended = conn.execute(query.where(message.c.origin == "confirmation", message.c.id > last)).scalar()
            if ended is not None:
                waiting = select(message.c.id).where(message.c.queue == 1).limit(1)
                assert conn.execute(waiting).first() is not None, "the campaign was over: take more people"
                return float(ended - began) / 1e6
    raise TimeoutError("a confirmation did not leave")


def _pause(here: Installation, campaign_id: int) -> tuple[int, float]:
    """(mails, seconds) that left after the pause was answered; then it goes on for a second."""
    with here.ctx.db.reading() as conn:
        ref = conn.execute(select(campaign.c.ref).where(campaign.c.id == campaign_id)).scalar_one()
    pause_campaign(here.ctx, CONSOLE, ref)
    with here.ctx.db.reading() as conn:
        paused = here.ctx.db.now(conn)
    time.sleep(3)
    with here.ctx.db.reading() as conn:
        query = select(func.count(), func.max(message.c.settled)).where(
            message.c.campaign == campaign_id, message.c.state == "sent", message.c.settled > paused
        )
        mails, last = conn.execute(query).one()
    resume_campaign(here.ctx, CONSOLE, ref)
    time.sleep(1)
    return mails, (last - paused) / 1e6 if mails else 0.0


if __name__ == "__main__":
    main()
