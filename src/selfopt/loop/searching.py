"""Searches for what a cycle tries: asks the model in batches, and judges every reading for nothing.

The search proposes only. What it finds takes the way of every candidate: fresh measurement, race or
held-out prompts, gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from selfopt.errors import BudgetError
from selfopt.home import counted
from selfopt.measure.lookup import find, held
from selfopt.measure.race_block import BlockOrder
from selfopt.measure.readings import read_by_each
from selfopt.records import (
    Ask,
    Capability,
    CycleStart,
    Record,
    Run,
    SearchBatch,
    SearchEnd,
    SearchStanding,
    SearchStart,
    Spec,
    Suite,
    Trial,
    Verdict,
    content_hash,
)
from selfopt.search.archive import RankedPoint, reading_text
from selfopt.search.marks import Objective, ReplyMark
from selfopt.search.search import Search, SearchPlan, WayBatch, spread
from selfopt.variants.space import Point, composed, point_text, readings_of

from .candidates import with_change
from .context import LoopContext, LoopEvent
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
    entry = context.settings.endpoints[baseline.endpoint]
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
        fresh=context.settings.loop.search_fresh,
        at=context.now(),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """A batch, and what of it is answered already.

    Attributes:
        made: trials of the batch itself, by prompt, from before the search was cut off.
        kept: stored trials of other runs that answer the rest.
    """

    batch_id: str
    number: int
    batch: WayBatch
    spec: Spec
    made: Mapping[str, Trial]
    kept: Mapping[str, Trial]

    @property
    def own(self) -> list[str]:
        """The prompts that the batch asks itself, those that it asked before included."""
        return [prompt for prompt in self.batch.prompts if prompt not in self.kept]


class _Searching:
    """One search under way.

    Attributes:
        asked: how many trials it made.
        reused: how many it took from the ledger beside them.
    """

    def __init__(self, context: LoopContext, start: SearchStart, baseline: Spec) -> None:
        self._context = context
        self._start = start
        self._baseline = baseline
        plan = SearchPlan(start.prompt_ids, frozenset(start.capabilities), start.start, start.seed)
        self._search = Search(plan, Objective(restraint=context.settings.policy.restraint_min))
        self._batches = 0
        self.asked = self.reused = 0

    @cached_property
    def _suite(self) -> Suite:
        return self._context.suite_for(self._baseline)

    async def run(self) -> SearchEnd:
        """Search to the end, and keep what was found."""
        stopped = None
        while stopped is None:
            batch = self._search.next()
            if batch is None:
                break
            stopped = await self._next(batch)
        ranking = self._search.ranking()
        if not ranking:
            raise BudgetError(f"the search stopped before anything was asked to the end: {stopped}; the same command goes on")
        return await self._over(ranking, stopped)

    async def _next(self, batch: WayBatch) -> str | None:
        """Tell the search what came of a batch. Returns the cap that ends the search before that."""
        batch_id = f"{self._start.search_id}/{self._batches}"
        spec = self._spec(batch.asking)
        known = find(self._context.ledger, SearchBatch, batch_id)
        if known is not None:
            trials = [held(self._context.ledger, Trial, trial_id) for trial_id in known.trial_ids]
            self._told(batch, spec, trials, known.reused)
            return None
        order = await self._ordered(batch_id, batch, spec)
        stopped = self._enough(order) or await self._ask(order)
        if stopped is None:
            self._context.on_step("search_batch")
        return stopped

    async def _ordered(self, batch_id: str, batch: WayBatch, spec: Spec) -> _Order:
        ledger = self._context.ledger
        runs = ledger.read(Run, {"group_id": batch_id, "request_id": spec.request_id})
        made = {trial.prompt_id: trial for run in runs for trial in ledger.read(Trial, {"run_id": run.run_id})}
        open_prompts = [prompt for prompt in batch.prompts if prompt not in made]
        kept: Mapping[str, Trial] = {}
        if open_prompts and not self._start.fresh:
            kept = await self._context.measure.arena.earlier(spec, open_prompts, before=self._start.at)
        return _Order(batch_id, self._batches, batch, spec, made, kept)

    def _enough(self, order: _Order) -> str | None:
        """Why the search ends before this batch; None while it goes on.

        What its candidates take afterwards is kept back: a pass of each, and the held-out prompts.
        """
        most = self._start.most_requests
        if self.asked + len(order.own) > most:
            return f"{counted(most, 'trial')} were for the search"
        waiting = len(order.own) - len(order.made)
        each = len(self._start.prompt_ids) + self._context.settings.loop.sample_of(len(self._start.prompt_ids))
        later = self._context.settings.loop.max_candidates * each + 2 * len(self._suite.select("heldout"))
        return self._context.measure.arena.desk.meter.shortfall(waiting + later)

    async def _ask(self, order: _Order) -> str | None:
        """Ask what the ledger does not hold, and tell the search. Returns the cap that cut it off."""
        found, spec = dict(order.kept), order.spec
        closing: tuple[Record, ...] = ()
        if order.own:
            places = enumerate(order.batch.prompts)
            block = BlockOrder(
                block_id=order.batch_id,
                number=order.number,
                discards=0,
                asks=[Ask(spec.request_id, place, prompt) for place, prompt in places if prompt not in order.kept],
                specs={spec.request_id: spec},
                suite=self._suite,
                cycle_id=self._start.cycle_id,
                purpose="search",
            )
            result = await self._context.measure.arena.block(block)
            closing = result.closing
            if result.fault is not None or result.stopped is not None:
                await self._context.ledger.append(closing)
                return result.fault or result.stopped
            found |= {item.trial.prompt_id: item.trial for item in result.trials[spec.request_id]}
        trials = [found[prompt] for prompt in order.batch.prompts]
        self._told(order.batch, spec, trials, len(order.kept))
        best = self._search.ranking()[0]
        kept = SearchBatch(
            batch_id=order.batch_id,
            search_id=self._start.search_id,
            number=order.number,
            asking=dict(order.batch.asking),
            by=order.batch.by,
            trial_ids=tuple(trial.trial_id for trial in trials),
            reused=len(order.kept),
            best=self._standing(best, self._spec(best.point)),
            at=self._context.now(),
        )
        await self._context.ledger.append([*closing, kept])
        self._tell(order)
        return None

    def _told(self, batch: WayBatch, spec: Spec, trials: Sequence[Trial], reused: int) -> None:
        self._search.told(batch, self._seen(batch.asking, spec, trials))
        self._batches += 1
        self.asked += len(trials) - reused
        self.reused += reused

    def _seen(self, asking: Point, spec: Spec, trials: Sequence[Trial]) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of the replies."""
        chains = {reading_text(point): composed(point).parsers for point in readings_of(asking)}
        verdicts = read_by_each(self._context.ledger, spec, self._suite, trials, chains)
        return {reading: {verdict.prompt_id: _mark(verdict) for verdict in each} for reading, each in verdicts.items()}

    def _spec(self, point: Point) -> Spec:
        variant = composed(point, max_tokens=self._baseline.variant.sampling.max_tokens)
        return self._context.rendered(with_change(self._baseline, variant=variant))

    def _tell(self, order: _Order) -> None:
        best, batch = self._search.ranking()[0], order.batch
        asked = f"{self.asked} of at most {counted(self._start.most_requests, 'trial')}"
        asked += f", {self.reused} reused" if self.reused else ""
        self._context.say(
            LoopEvent(
                "search",
                f"{asked}: {point_text(batch.asking)} on {counted(len(batch.prompts), 'prompt')} ({batch.by}); "
                f"best so far: {point_text(best.point)}, {best.value:.2f} on {best.n}",
            )
        )

    def _standing(self, one: RankedPoint, spec: Spec) -> SearchStanding:
        return SearchStanding(point=dict(one.point), spec_id=spec.spec_id, value=one.value, n=one.n, by=one.by)

    async def _over(self, ranking: Sequence[RankedPoint], stopped: str | None) -> SearchEnd:
        specs = [self._spec(standing.point) for standing in ranking]
        end = SearchEnd(
            search_id=self._start.search_id,
            ranking=tuple(self._standing(one, spec) for one, spec in zip(ranking, specs, strict=True)),
            requests=self.asked,
            reused=self.reused,
            compared=sum(len(look.marks) for look in self._search.archive.looks.values()),
            stopped=stopped,
            at=self._context.now(),
        )
        await self._context.ledger.append([*unknown_specs(self._context.ledger, specs), end])
        self._context.on_step("searched")
        return end


def _mark(verdict: Verdict) -> ReplyMark:
    """The mark of a verdict. A reply that was lost or cut held nothing back, as in the metrics."""
    passed = verdict.outcome == "pass"
    return ReplyMark(passed, verdict.needs_call, bool(verdict.parsed.tool_calls) or not (passed or verdict.needs_call))
