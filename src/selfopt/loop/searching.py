"""Searches for what a cycle tries: asks the model in batches, and judges every reading for nothing.

The search proposes only. What it finds takes the way of every candidate: fresh measurement, race or
held-out prompts, gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from selfopt.errors import BudgetError
from selfopt.home import counted
from selfopt.measure.lookup import find
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.measure.readings import read_by_each
from selfopt.records import (
    Ask,
    Capability,
    CycleStart,
    SearchEnd,
    SearchStanding,
    SearchStart,
    Spec,
    Suite,
    content_hash,
)
from selfopt.search.archive import RankedPoint, reading_text
from selfopt.search.marks import Objective, ReplyMark
from selfopt.search.proposers.queued import Queued
from selfopt.search.search import Search, SearchPlan, WayBatch, spread
from selfopt.variants.space import Point, composed, point_text, readings_of
from selfopt.variants.written import names_written

from .candidates import with_change
from .context import LoopContext, LoopEvent
from .rating import beside_of, proposers_of, ratings_of
from .reflecting import AskedWay, Reflecting, unkept
from .store import spec_by_id, unknown_specs


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found, the best first."""

    specs: tuple[Spec, ...]
    end: SearchEnd


async def search(
    context: LoopContext, cycle: CycleStart, baseline: Spec, *, most_requests: int, text_only: bool = False
) -> Searched:
    """Search for candidates against a baseline, or read what the search found.

    Args:
        context: the loop.
        cycle: the cycle that the search is for.
        baseline: what the candidates are to beat.
        most_requests: how many trials it may make.
        text_only: the model has no tools on its server.

    Raises:
        EndpointError: the server cannot be asked. The same call goes on.
        BudgetError: a cap ended it before anything was asked to the end.
    """
    start = find(context.ledger, SearchStart, _search_id(cycle, baseline))
    if start is None:
        start = _begun(context, cycle, baseline, most_requests, text_only=text_only)
        await context.ledger.append([start])
        context.on_step("search_begun")
    end = find(context.ledger, SearchEnd, start.search_id)
    searching = _Searching(context, start, baseline)
    if end is None:
        end = await searching.run()
    specs = tuple(spec_by_id(context.ledger, standing.spec_id) for standing in end.ranking)
    return Searched(specs, end)


def _search_id(cycle: CycleStart, baseline: Spec) -> str:
    return content_hash("search", [cycle.cycle_id, baseline.spec_id])


def _begun(context: LoopContext, cycle: CycleStart, baseline: Spec, most_requests: int, *, text_only: bool) -> SearchStart:
    suite = context.suite_for(baseline)
    # One order for a suite and its split, so that every search of it compares the same prompts first.
    prompt_ids = spread({prompt.id: (prompt.kind, prompt.tool_set) for prompt in suite.select(baseline.split)})
    entry, reflection = context.settings.endpoints[baseline.endpoint], context.settings.loop.reflection
    has: dict[Capability, bool] = {
        "tools": not text_only,
        "grammar": entry.takes_grammars,
        "json_schema": entry.takes_any_schema,
    }
    capabilities = tuple(name for name, there in has.items() if there)
    first: tuple[dict[str, str], ...] = ({"tools": "signatures"},) if text_only else ({}, {"tools": "signatures"})
    return SearchStart(
        search_id=_search_id(cycle, baseline),
        cycle_id=cycle.cycle_id,
        model=baseline.model,
        phase=baseline.phase,
        baseline_spec_id=baseline.spec_id,
        suite_hash=baseline.suite_hash,
        split=baseline.split,
        prompt_ids=prompt_ids,
        capabilities=capabilities,
        start=first,
        seed=0,
        most_requests=most_requests,
        beside=beside_of(suite, reflection.model),
        reflection=None if reflection.model is None else context.stages.resolve(reflection.model),
        reflection_backend=reflection.backend if reflection.model is not None else "own",
        questions=reflection.questions if reflection.model is not None else 0,
        at=context.now(),
    )


class _Searching:
    """One search under way."""

    def __init__(self, context: LoopContext, start: SearchStart, baseline: Spec) -> None:
        self._context = context
        self._start = start
        self._baseline = baseline
        plan = SearchPlan(start.prompt_ids, frozenset(start.capabilities), start.start, start.seed)
        self._queue = Queued()
        objective = Objective(restraint=context.settings.policy.restraint_min)
        self._search = Search(plan, objective, proposers_of(start, self._suite, self._queue))
        self._asked: dict[str, AskedWay] = {}
        self._reflecting = None
        if start.reflection is not None:
            self._reflecting = Reflecting(context, start, self._suite, self._search, self._asked.__getitem__)
        self._batches = 0

    @cached_property
    def _suite(self) -> Suite:
        return self._context.suite_for(self._baseline)

    async def run(self) -> SearchEnd:
        """Search to the end, and keep what was found."""
        stopped = None
        while stopped is None:
            if self._reflecting is not None:
                await self._reflecting.turn(self._queue, self._batches)
            batch = self._search.next()
            if batch is None:
                break
            stopped = self._enough(batch) or await self._ask(batch)
        ranking = self._search.ranking()
        if not ranking:
            raise BudgetError(f"the search stopped before anything was asked to the end: {stopped}; the same command goes on")
        return await self._over(ranking, stopped)

    def _enough(self, batch: WayBatch) -> str | None:
        """Why the search ends before this batch; None while it goes on.

        What its candidates take afterwards is kept back: a pass of each, and the held-out prompts.
        """
        asked, most = self._search.requests + len(batch.prompts), self._start.most_requests
        if asked > most:
            return f"{counted(most, 'trial')} were for the search"
        each = len(self._start.prompt_ids) + self._context.settings.loop.sample_of(len(self._start.prompt_ids))
        later = self._context.settings.loop.max_candidates * each + 2 * len(self._suite.select("heldout"))
        return self._context.measure.arena.desk.meter.shortfall(len(batch.prompts) + later)

    async def _ask(self, batch: WayBatch) -> str | None:
        """Ask a batch, and tell the search what came of it. Returns the cap that cut it off."""
        spec = self._spec(batch.asking)
        places = [Ask(spec.request_id, place, prompt_id) for place, prompt_id in enumerate(batch.prompts)]
        order = BlockOrder(
            block_id=f"{self._start.search_id}/{self._batches}",
            number=self._batches,
            discards=0,
            asks=places,
            specs={spec.request_id: spec},
            suite=self._suite,
            cycle_id=self._start.cycle_id,
            purpose="search",
        )
        self._batches += 1
        written = [self._search.written[name] for name in names_written(batch.asking)]
        if new := unkept(self._context, written):
            await self._context.ledger.append(new)
        result = await self._context.measure.arena.block(order)
        if result.closing:
            await self._context.ledger.append(result.closing)
        if result.fault is not None or result.stopped is not None:
            return result.fault or result.stopped
        self._search.told(batch, self._seen(batch.asking, spec, result))
        earlier = self._asked.get(point_text(batch.asking))
        trials = {item.trial.prompt_id: item.trial for item in result.trials[spec.request_id]}
        self._asked[point_text(batch.asking)] = AskedWay(spec, {**(earlier.trials if earlier else {}), **trials})
        self._tell(batch)
        self._context.on_step("search_batch")
        return None

    def _seen(self, asking: Point, spec: Spec, result: BlockResult) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of the replies."""
        chains = {reading_text(point): composed(point, written=self._search.written).parsers for point in readings_of(asking)}
        trials = [item.trial for item in result.trials[spec.request_id]]
        verdicts = read_by_each(self._context.ledger, spec, self._suite, trials, chains)
        return {
            reading: {
                verdict.prompt_id: ReplyMark(verdict.outcome == "pass", verdict.needs_call, bool(verdict.parsed.tool_calls))
                for verdict in each
            }
            for reading, each in verdicts.items()
        }

    def _spec(self, point: Point) -> Spec:
        most = self._baseline.variant.sampling.max_tokens
        variant = composed(point, max_tokens=most, written=self._search.written)
        return self._context.rendered(with_change(self._baseline, variant=variant))

    def _tell(self, batch: WayBatch) -> None:
        best = self._search.ranking()[0]
        asked = f"{self._search.requests} of at most {counted(self._start.most_requests, 'trial')}"
        self._context.say(
            LoopEvent(
                "search",
                f"{asked}: {point_text(batch.asking)} on {counted(len(batch.prompts), 'prompt')} ({batch.by}); "
                f"best so far: {point_text(best.point)}, {best.value:.2f} on {best.n}",
            )
        )

    async def _over(self, ranking: Sequence[RankedPoint], stopped: str | None) -> SearchEnd:
        specs = [self._spec(standing.point) for standing in ranking]
        end = SearchEnd(
            search_id=self._start.search_id,
            ranking=tuple(
                SearchStanding(
                    point=dict(standing.point), spec_id=spec.spec_id, value=standing.value, n=standing.n, by=standing.by
                )
                for standing, spec in zip(ranking, specs, strict=True)
            ),
            requests=self._search.requests,
            compared=sum(len(look.marks) for look in self._search.archive.looks.values()),
            stopped=stopped,
            ratings=ratings_of(
                self._search.archive, self._reflecting.reflections if self._reflecting else (), self._start.reflection
            ),
            at=self._context.now(),
        )
        await self._context.ledger.append([*unknown_specs(self._context.ledger, specs), end])
        self._context.on_step("searched")
        return end
