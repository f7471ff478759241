"""Plays the cases on one database and says of each what found it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from outreach.services.context import Context
from outreach.services.verify import Verdict, verify
from outreach.store.audit_log import newest_point
from outreach.verifier import outreach_verify as offline
from tests.tamper.cases import Case
from tests.tamper.life import House, export


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`missed`: in words, what should have been found and was not."""

    case: Case
    store: str
    place: int | None
    alone: offline.Report
    compared: offline.Report
    verdict: Verdict
    missed: tuple[str, ...]

    def line(self) -> str:
        """What was done, and what each means said of it."""
        if self.case.is_nothing and not self.missed:
            return f"{self.store}: {self.case.name}: nothing was changed, the root is what it was"
        named = sorted({one.kind for one in self.alone.findings}) or ["nothing"]
        more = "; ".join(str(one) for one in self.compared.findings if _is_about(one, self.place)) or "nothing more"
        objected = f"{len(self.verdict.findings) + self.verdict.more} findings" if self.verdict.findings else "nothing"
        return (
            f"{self.store}: {self.case.name}: export + witness: {', '.join(named)}; with an earlier export: {more}; "
            f"audit verify: {objected}{''.join(f'; MISSED {one}' for one in self.missed)}"
        )


def play(house: House, chosen: Iterable[Case], folder: Path) -> Iterator[Outcome]:
    """Each case on a copy of its own."""
    for number, one in enumerate(chosen):
        with house.stores.open(house.backup if one.at_backup else house.now) as ctx:
            place = one.do(ctx, house)
            path = export(ctx, folder / f"{house.stores.name}-case-{number}.zip", house.contact if one.part else None)
            if one.spoil:
                one.spoil(path)
            alone, compared = (
                offline.verify(str(path), witnessed=[house.witnessed], keys=[house.key], earlier=earlier)
                for earlier in ("", str(house.earlier))
            )
            verdict = verify(ctx, witnessed=[house.witnessed])
            missed = tuple(_missed(one, house, ctx, place, alone, compared, verdict))
        path.unlink()
        yield Outcome(
            case=one,
            store=house.stores.name,
            place=place,
            alone=alone,
            compared=compared,
            verdict=verdict,
            missed=missed,
        )


def _missed(
    one: Case,
    house: House,
    ctx: Context,
    place: int | None,
    alone: offline.Report,
    compared: offline.Report,
    verdict: Verdict,
) -> Iterator[str]:
    if not one.tables and not verdict.is_clean:
        yield f"audit verify objects: {verdict.lines()[1]}"
    if one.tables and verdict.is_clean:
        yield "by audit verify"
    if one.is_nothing:
        yield from (f"it objects: {finding}" for finding in compared.findings)
        with ctx.db.reading() as conn:
            point = newest_point(conn)
        if point is None or point.root.hex() != house.root:
            yield "the root is another"
    elif not one.offline:
        yield from (f"the log was left alone, but: {finding}" for finding in compared.findings)
    else:
        if not one.offline & {finding.kind for finding in alone.findings}:
            yield "by the offline verifier"
        if place is not None and not any(_is_about(finding, place) for finding in compared.findings):
            yield f"the number of entry {place}"


def _is_about(finding: offline.Finding, place: int | None) -> bool:
    """Whether it names just this entry, and not only the stretch between two checkpoints."""
    return place is not None and finding.entry == place and finding.kind != "forked"
