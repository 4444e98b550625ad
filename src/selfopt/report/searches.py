"""What the reports tell of searches: what nothing beats, what each part brings, what was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selfopt.home import counted
from selfopt.records import CandidateResult, Cycle, Ledger, SearchBatch, SearchEnd, SearchStanding, SearchStart, TriedWay
from selfopt.words.decisions import REASONS
from selfopt.words.evidence import on_prompts
from selfopt.words.searches import ended_text, objective_text, part_text, point_words, rating_text

from .escape import code, safe_markdown
from .figures import share
from .markdown import bullets, table

_NEWEST = 3
_TRIED = 20


@dataclass(frozen=True, slots=True)
class ToldSearch:
    """A finished search.

    Attributes:
        batches: in their order. Empty for searches of before.
        cycle: the number of its cycle; None if that was not finished.
        fates: what became of those that were tried against the baseline, by spec id.
        winner: the spec that was promoted; None if none was.
    """

    start: SearchStart
    end: SearchEnd
    batches: tuple[SearchBatch, ...] = ()
    cycle: int | None = None
    fates: Mapping[str, CandidateResult] = field(default_factory=dict)
    winner: str | None = None

    @property
    def name(self) -> str:
        """Its model and phase, and its cycle. The model's name is not escaped."""
        where = f"cycle {self.cycle}, " if self.cycle is not None else ""
        return f"{where}{self.start.model} {self.start.phase}"


def newest_searches(ledger: Ledger, cycles: Sequence[Cycle]) -> tuple[ToldSearch, ...]:
    """The newest finished searches, the newest first."""
    ends = {end.search_id: end for end in ledger.read(SearchEnd)}
    found: list[ToldSearch] = []
    for start in ledger.read(SearchStart, newest_first=True):
        if start.search_id not in ends or len(found) == _NEWEST:
            continue
        cycle = next((one for one in cycles if one.cycle_id == start.cycle_id), None)
        mine = [target for target in cycle.targets if (target.model, target.phase) == (start.model, start.phase)] if cycle else []
        fates = {candidate.spec_id: candidate for target in mine for candidate in target.candidates}
        batches = sorted(ledger.read(SearchBatch, {"search_id": start.search_id}), key=lambda batch: batch.number)
        number = cycle.number if cycle is not None else None
        winner = next((target.winner_spec_id for target in mine), None)
        found.append(ToldSearch(start, ends[start.search_id], tuple(batches), number, fates, winner))
    return tuple(found)


def searches_text(searches: Sequence[ToldSearch]) -> list[str]:
    """The lines of the section on searches."""
    lines: list[str] = []
    for one in searches:
        lines += [
            f"### {safe_markdown(one.name)}",
            "",
            safe_markdown(_summary(one)),
            "",
            *_frontier(one),
            *_parts(one),
            *_tried(one),
        ]
        if one.end.proposers:
            rated = [f"{safe_markdown(rating.by)}: {safe_markdown(rating_text(rating))}" for rating in one.end.proposers]
            lines += ["What came of the proposers:", "", *bullets(rated, ""), ""]
    return lines[:-1] if lines else []


def _summary(one: ToldSearch) -> str:
    end = one.end
    reused = f", {counted(end.reused, 'reply')} taken from the ledger" if end.reused else ""
    over = f"it ended at a limit: {end.stopped}" if end.stopped else "it asked every way on every prompt"
    over = on_prompts(over, synthetic=one.start.synthetic)
    wanted = f" It looked for {objective_text(one.start.objective)}." if one.start.objective is not None else ""
    return (
        f"{counted(end.requests, 'trial')} of at most {one.start.most_requests}{reused}; {counted(end.compared, 'point')} compared; "
        f"{over}.{wanted}"
    )


def _frontier(one: ToldSearch) -> list[str]:
    if not one.end.frontier:
        return []
    rows = [
        [
            _point(point),
            share(point.accuracy),
            share(point.call_accuracy),
            share(point.restraint),
            *cost_cells(point),
        ]
        for point in one.end.frontier
    ]
    told = on_prompts(
        f"Figures are estimates from {counted(len(one.start.prompt_ids), 'search prompt')}", synthetic=one.start.synthetic
    )
    intro = f"No point beats these in both call accuracy and restraint. {told}, and those of the best are likely too good:"
    heads = ["point", "accuracy", "call accuracy", "restraint", "p50", "tokens", "requests"]
    return [intro, "", *table(heads, rows), ""]


def cost_cells(point: SearchStanding) -> list[str]:
    """Median latency, median tokens and mean requests of a prompt."""
    return [
        f"{point.latency_s:.2f} s" if point.latency_s is not None else "-",
        f"{point.tokens:.0f}" if point.tokens is not None else "-",
        f"{point.requests:.2g}" if point.requests is not None else "-",
    ]


def _point(point: SearchStanding) -> str:
    return code(words) if " " not in (words := point_words(point.point)) else safe_markdown(words)


def _parts(one: ToldSearch) -> list[str]:
    if not one.end.parts:
        return []
    rows = [[code(part.part), code(part.choice), code(part.default), safe_markdown(part_text(part))] for part in one.end.parts]
    best = safe_markdown(point_words(one.end.ranking[0].point)) if one.end.ranking else ""
    return [
        f"{on_prompts(f'What each part of the best point brings, on the same search prompts ({best})', synthetic=one.start.synthetic)}:",
        "",
        *table(["part", "choice", "instead of", "brings"], rows),
        "",
    ]


def _tried(one: ToldSearch) -> list[str]:
    if not one.end.tried:
        return []
    made = {point_words(standing.point): standing.spec_id for standing in one.end.ranking}
    rows = [
        [
            _point(way.best),
            f"{way.best.value:.2f}",
            safe_markdown(_fate(one, way, made.get(point_words(way.best.point)))),
            str(way.best.n),
            safe_markdown(way.best.by),
        ]
        for way in one.end.tried[:_TRIED]
    ]
    more = len(one.end.tried) - len(rows)
    rest = [f"And {counted(more, 'more way')} to ask, none of which came further.", ""] if more > 0 else []
    heads = ["way to ask, read best", "value", "what came of it", "prompts", "proposer"]
    return [f"{on_prompts('What was tried', synthetic=one.start.synthetic)}:", "", *table(heads, rows), "", *rest]


def _fate(one: ToldSearch, way: TriedWay, spec_id: str | None) -> str:
    known = one.fates.get(spec_id or "")
    if known is None:
        return ended_text(way, len(one.start.prompt_ids))
    if known.verdict == "promote" and spec_id != one.winner:
        return "passed every gate; another candidate was better"
    why = "; ".join(REASONS.get(reason, reason) for reason in known.reason_codes)
    return f"{_VERDICTS[known.verdict]}: {why}"


_VERDICTS = {
    "promote": "promoted",
    "hold": "tried against the baseline and held",
    "reject": "tried against the baseline and rejected",
}
