"""The eligibility rule in SQL gives the same reason as `domain.decide`, fact by fact, on both databases."""

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, update

from outreach.domain.eligibility import BARS, Consented, Defer, Facts, Withhold, decide
from outreach.domain.frequency import SECOND, Cap, Past
from outreach.domain.policies import Name, of_caps
from outreach.domain.soft_opt_in import FOR_EVER, too_old
from outreach.services.context import Context
from outreach.store.decide import load_rule
from outreach.store.planning import forecast, judge_messages
from outreach.store.policies import put
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact, contact_key, mailbox, suppression
from tests.factories import World

NOW = 1_800_000_000 * SECOND
DAY = 86_400
OLDEST = too_old({"on": True, "months": 6}, NOW)
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
KINDS = ("promotional", "informational", "service")

caps = st.builds(Cap, st.integers(0, 3), st.integers(1, 6).map(lambda days: days * DAY))
roomy = st.builds(Cap, st.integers(2, 9), st.integers(3, 7).map(lambda days: days * DAY))
few_caps = st.lists(caps, max_size=2).map(tuple)
moments = st.integers(-8 * DAY, 0).map(lambda seconds: NOW + seconds * SECOND)


@dataclass(frozen=True)
class Told:
    """One generated message of the ledger, as a row and as the rule sees it."""

    origin: str
    kind: str
    same_topic: bool
    state: str
    planned: int
    counted: int | None


@st.composite
def told(draw: Any) -> Told:
    state = draw(st.sampled_from(["planned", "attempted", "sent", "unknown", "withheld", "failed", "waiting"]))
    origin = draw(st.sampled_from(["campaign", "campaign", "invitation", "confirmation"]))
    kind = "service" if origin == "confirmation" else draw(st.sampled_from(KINDS))
    planned = draw(moments)
    counted = draw(moments) if state in {"sent", "unknown"} else None
    return Told(origin, kind, draw(st.booleans()), state, planned, counted)


@dataclass(frozen=True)
class Generated:
    """One person with everything the rule looks at."""

    bars: frozenset[str]
    lifted: frozenset[str]
    has_key: bool
    state: str | None
    expires: int | None
    kinds: frozenset[str]
    promise: Cap
    ratio_k: int
    own: Cap | None
    own_total: Cap | None
    ceiling: Cap | None
    zone: str
    quiet: tuple[int, int]
    soft_from: int | None
    rest_until: int | None
    ledger: tuple[Told, ...] = field(default=())


def mostly(usual: Any, otherwise: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rare enough not to hide the reasons that come after it."""
    return st.one_of(*[st.just(usual)] * 7, otherwise)


bars = st.sampled_from([str(bar) for bar in BARS]).map(lambda bar: frozenset({bar}))
people = st.builds(
    Generated,
    bars=mostly(frozenset(), bars),
    lifted=mostly(frozenset(), bars),
    has_key=mostly(True, st.just(False)),
    state=mostly("granted", st.sampled_from(["withdrawn", "expired", "paused"])),
    expires=mostly(None, st.sampled_from([NOW - 1, NOW, NOW + 1])),
    kinds=mostly(frozenset(KINDS), st.frozensets(st.sampled_from(KINDS), min_size=1)),
    promise=mostly(Cap(9, DAY), st.builds(Cap, st.integers(1, 4), st.integers(1, 7).map(lambda days: days * DAY))),
    ratio_k=st.sampled_from([0, 0, 1, 2]),
    own=mostly(None, st.none() | caps),
    own_total=mostly(None, st.none() | caps),
    ceiling=mostly(None, st.none() | caps),
    zone=st.sampled_from(ZONES),
    quiet=mostly((0, 0), st.sampled_from([(1260, 480), (60, 1380)])),
    soft_from=mostly(None, st.sampled_from([OLDEST - 1, OLDEST, OLDEST + 1])),
    rest_until=mostly(None, st.sampled_from([NOW - 1, NOW, NOW + 1])),
    ledger=st.lists(told(), max_size=6).map(tuple),
)


def _cap(name: str, one: Cap | None) -> dict[str, int]:
    return {} if one is None else {f"{name}_n": one.n, f"{name}_window": one.window}


class Bench:
    """Puts generated people into the store and takes them out again."""

    def __init__(self, world: World) -> None:
        self.ctx: Context = world.ctx
        self.topic, self.text = world.topic()
        self.other, _ = world.topic()
        self.numbers = itertools.count(1)

    def clear(self, conn: Connection) -> None:
        for table in (message, consent, contact_key, contact, mailbox, suppression):
            conn.execute(delete(table))

    def put(self, conn: Connection, one: Generated) -> tuple[int, int]:
        """(contact id, mailbox id)."""
        number = next(self.numbers)
        key, box = secrets.token_bytes(32), secrets.token_bytes(32)
        self._row(conn, mailbox, id=number, mailbox_key=box)
        self._row(
            conn, contact, id=number, ref=secrets.token_bytes(16), mailbox=number, code=str(number), address_key=key,
            provider="other", locale="en", timezone=one.zone, quiet_from=one.quiet[0], quiet_to=one.quiet[1], created=0,
            rest_until=one.rest_until,
            **_cap("own_total", one.own_total), **_cap("ceiling", one.ceiling),
        )  # fmt: skip
        if one.has_key:
            self._row(conn, contact_key, contact=number, kek="k", wrapped=b"", salt=b"")
        bar_key = key if number % 2 else box
        for bar in one.bars:
            self._row(conn, suppression, key=bar_key, scope="mailbox", kind=bar, lift="officer", since=0)
        for bar in one.lifted - one.bars:
            self._row(conn, suppression, key=key, scope="address", kind=bar, lift="officer", since=0, lifted=1)
        self._row(
            conn, consent, contact=number, topic=self.topic, state=one.state, since=0, expires=one.expires,
            text=self.text, ratio_k=one.ratio_k, kinds=",".join(sorted(one.kinds)), soft_from=one.soft_from,
            **_cap("cap", one.promise), **_cap("own", one.own),
        )  # fmt: skip
        for past in one.ledger:
            topic = self.topic if past.same_topic else self.other
            self._row(
                conn, message, ref=secrets.token_bytes(16), origin=past.origin, kind=past.kind, lane="x",
                contact=number, mailbox=number, topic=topic, state=past.state, planned=past.planned, due=past.planned,
                counted=past.counted,
            )  # fmt: skip
        return number, number

    @staticmethod
    def _row(conn: Connection, table: Any, **values: Any) -> None:
        conn.execute(insert(table).values(**values))

    def facts(
        self,
        one: Generated,
        kind: str,
        total: tuple[Cap, ...],
        promotional: tuple[Cap, ...],
        least: int,
        is_soft: bool,
    ) -> Facts:
        counted = {"planned", "attempted", "sent", "unknown"}
        ledger = tuple(
            Past(t.origin, t.kind, self.topic if t.same_topic else self.other, t.planned, t.counted, t.state == "sent")
            for t in one.ledger
            if t.state in counted
        )
        return Facts(
            topic=self.topic, kind=kind, has_key=one.has_key, bars=one.bars,
            consent=Consented(
                one.state or "none", one.expires, one.kinds, one.promise, max(one.ratio_k, least), one.own,
                one.soft_from,
            ),
            ledger=ledger, reserved=NOW + 1, total=total, promotional=promotional, ceiling=one.ceiling,
            own_total=one.own_total, zone=one.zone, quiet_from=one.quiet[0], quiet_to=one.quiet[1],
            too_old=OLDEST if is_soft else FOR_EVER,
            rest_until=one.rest_until,
        )  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    crowd=st.lists(people, min_size=1, max_size=8),
    kind=st.sampled_from(("promotional", "promotional", *KINDS)),
    total=st.lists(roomy, min_size=1, max_size=2).map(tuple),
    promotional=few_caps,
    least=st.sampled_from((0, 0, 1, 3)),
    is_soft=st.sampled_from((True, True, False)),
)
def test_sql_and_python_give_the_same_reason(
    world: World,
    crowd: list[Generated],
    kind: str,
    total: tuple[Cap, ...],
    promotional: tuple[Cap, ...],
    least: int,
    is_soft: bool,
) -> None:
    bench = Bench(world)
    with bench.ctx.db.transaction() as conn:
        bench.clear(conn)
        conn.execute(update(controller).values(quiet_from=0, quiet_to=0))
        for name, some in ((Name.CAP_TOTAL, total), (Name.CAP_PROMOTIONAL, promotional)):
            value = of_caps(*((limit.n, limit.window) for limit in some))
            put(conn, 0, name, value, reason="test", author="test", begun=0)
        put(conn, 0, Name.GIVE_RATIO, {"least": least}, reason="test", author="test", begun=0)
        allowed = {"on": is_soft, "months": 6}
        put(conn, 0, Name.SOFT_OPT_IN, allowed, reason="test", author="test", begun=0)
        expected: dict[int, tuple[str, int]] = {}
        selves: dict[int, int] = {}
        for one in crowd:
            person, _ = bench.put(conn, one)
            decision = decide(bench.facts(one, kind, total, promotional, least, is_soft), NOW)
            due = decision.until if isinstance(decision, Defer) else NOW
            expected[person] = (decision.reason, 0) if isinstance(decision, Withhold) else ("", due)
            selves[_candidate(conn, bench, person, kind)] = person
        judged = judge_messages(conn, load_rule(conn, NOW), list(selves), NOW)
        found = {selves[row.id]: (row.reason or "", 0 if row.reason else row.due) for row in judged}
        assert found == expected
        conn.execute(delete(message).where(message.c.id.in_(selves)))
        counts = forecast(conn, load_rule(conn, NOW), _plan(bench, kind), NOW)
        assert sum(people for _state, _why, people, _due in counts) == len(crowd)
        wanted = sorted(reason or ("quiet" if due > NOW else "") for reason, due in expected.values())
        assert sorted(why for _state, why, people, _due in counts for _ in range(people)) == wanted


def _candidate(conn: Connection, bench: Bench, person: int, kind: str) -> int:
    values = {"ref": secrets.token_bytes(16), "origin": "campaign", "kind": kind, "lane": "x", "contact": person,
              "mailbox": person, "topic": bench.topic, "state": "attempted", "planned": NOW + 1,
              "due": NOW}  # fmt: skip
    return int(conn.execute(insert(message).values(values).returning(message.c.id)).scalar_one())


def _plan(bench: Bench, kind: str) -> dict[str, Any]:
    return {"topic": bench.topic, "kind": kind, "segment": "{}", "later_until": None, "cursor": 0}


def test_a_consent_without_a_promise_on_record_is_no_consent(world: World) -> None:
    """A missing fact is a no: checks fail closed."""
    topic, text = world.topic()
    person = world.person()
    world.grant(person, topic, text)
    bench = Bench(world)
    bench.topic = topic
    for column in ("cap_n", "cap_window", "kinds", "ratio_k"):
        with world.ctx.db.transaction() as conn:
            conn.execute(update(consent).values(cap_n=2, cap_window=DAY, kinds="informational", ratio_k=0))
            conn.execute(update(consent).values({column: None}))
            assert forecast(conn, load_rule(conn, NOW), _plan(bench, "informational"), NOW)[0][1] == "no_consent"
