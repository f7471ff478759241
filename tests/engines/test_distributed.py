"""Several machines, for real: whatever is killed, mail is late at worst, never doubled and never lost."""

import os
import signal
from contextlib import closing

import pytest

from outreach.domain.actors import CONSOLE
from outreach.domain.errors import AuditError
from outreach.domain.policies import Name, of_caps
from outreach.engines.broker import Nudger
from outreach.engines.senders import LANES
from outreach.services.policies.changes import change_policy
from outreach.services.seal import seal
from tests.engines.site import Site, ends_by_itself, listening, settings_for
from tests.foundations.installation import wait_for
from tests.rabbitmq import Broker

PEOPLE = 120
CONNECTIONS = 10


def test_workers_on_two_hosts_share_one_campaign(site: Site) -> None:
    site.people(PEOPLE)
    scheduler = site.host("first").begin("scheduler")
    hosts = [site.host("second"), site.host("third")]
    workers = [host.begin("worker") for host in hosts]
    wait_for("both to be ready", lambda: all(len(host.journals()) == 2 for host in hosts))
    site.post.pace(200)
    made = site.campaign()
    site.wait_until_sent(made, PEOPLE)
    assert site.states(made) == {"sent": PEOPLE}
    assert len(site.post.look().letters) == PEOPLE
    assert site.most_for_one() == 1
    assert site.hosts_that_sent() == 2
    assert [ends_by_itself(process) for process in (*workers, scheduler)] == [0, 0, 0]
    assert not any(host.journals() for host in hosts)


def test_a_killed_worker_is_reaped_and_nobody_is_mailed_twice_or_forgotten(site: Site) -> None:
    site.people(PEOPLE)
    site.host("first").begin("scheduler")
    doomed, other = site.host("second"), site.host("third")
    victim = doomed.begin("worker")
    other.begin("worker")
    wait_for("both to be ready", lambda: len(doomed.journals()) == len(other.journals()) == 2)
    site.post.pace(200)
    made = site.campaign()
    site.wait_for_post(PEOPLE // 4)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    doomed.begin("worker")
    site.wait_until_sent(made, PEOPLE)
    assert site.states(made)["unknown"] <= CONNECTIONS
    assert site.most_for_one() == 1
    assert len(site.post.look().letters) >= site.states(made)["sent"]


def test_a_lost_broker_only_delays_and_is_found_again(site: Site, rabbitmq: Broker) -> None:
    site.people(10)
    site.host("first").begin("scheduler")
    far = site.host("second")
    far.begin("worker")
    wait_for("the worker to be ready", lambda: len(far.journals()) == 2)
    settings = settings_for(rabbitmq.url)
    with listening(settings) as nudges, closing(Nudger(settings)) as nudger:
        wait_for("nudges to arrive", lambda: nudger.nudge(LANES) and all(event.is_set() for event in nudges.values()))
        rabbitmq.kill()
        for event in nudges.values():
            event.clear()
        try:
            without = site.campaign()
            site.wait_until_sent(without, 10)
            assert not nudger.nudge(LANES)
        finally:
            rabbitmq.start()
        wait_for("nudges again", lambda: nudger.nudge(LANES) and all(event.is_set() for event in nudges.values()))
    wait_for("the worker to listen again", lambda: "broker.back" in far.log)
    with_it = site.campaign()
    site.wait_until_sent(with_it, 10)
    assert site.states(without) == site.states(with_it) == {"sent": 10}
    assert site.most_for_one() == 2


def test_a_stand_by_takes_over_from_a_killed_scheduler_and_the_old_one_seals_nothing(site: Site) -> None:
    site.people(5)
    leading = site.host("first").begin("scheduler")
    wait_for("the first to lead", lambda: site.epoch() == 1)
    site.host("second").begin("scheduler")
    site.host("third").begin("worker")
    leading.kill()
    leading.wait()
    wait_for("the stand-by to lead", lambda: site.epoch() == 2)
    made = site.campaign()
    site.wait_until_sent(made, 5)
    change_policy(site.ctx, CONSOLE, Name.CAP_TOTAL, of_caps((3, 86400)), "to have an entry")
    with pytest.raises(AuditError, match="Another leader"):
        seal(site.ctx, 1)


def test_a_supervisor_replaces_a_killed_worker_and_ends_all_when_asked(site: Site) -> None:
    host = site.host("first", OUTREACH_WORKERS="2")
    supervisor = host.begin("worker")
    wait_for("two workers", lambda: len(host.journals()) == 4)
    before = host.journals()
    victim = min(before).partition("-bulk")[0].rpartition("-")[2]
    os.kill(int(victim), signal.SIGKILL)
    wait_for("another in its place", lambda: len(host.journals() - before) == 2)
    wait_for("the dead one's journals to be reaped", lambda: len(host.journals() & before) == 2)
    assert ends_by_itself(supervisor) == 0
    assert not host.journals()
