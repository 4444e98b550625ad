"""Searches for what a cycle tries: asks the model in batches, and judges every reading for nothing.

The search proposes only. What it finds takes the way of every candidate: fresh measurement, race or
held-out prompts, gates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from selfopt.errors import BudgetError, EndpointError
from selfopt.home import counted
from selfopt.measure.context import Desk
from selfopt.measure.lookup import find, held, unknown_specs
from selfopt.measure.observing import is_observed
from selfopt.measure.progress import SearchNow
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.measure.readings import read_by_each
from selfopt.records import (
    Ask,
    CycleStart,
    Record,
    Run,
    RunEnd,
    SearchBatch,
    SearchEnd,
    SearchStart,
    Spec,
    Suite,
    Trial,
    Verdict,
)
from selfopt.search.archive import reading_text
from selfopt.search.marks import ReplyMark
from selfopt.search.proposers.queued import Queued
from selfopt.search.search import WayBatch
from selfopt.variants.space import Point, composed, point_text, readings_of
from selfopt.variants.written import names_written
from selfopt.words.evidence import on_prompts
from selfopt.words.searches import best_text, search_ended_text

from .candidates import with_change
from .context import LoopContext, LoopEvent
from .reflecting import AskedWay, Reflecting, unkept
from .search_begin import begun, capabilities_of, continued, search_id_of, search_of
from .search_end import ended_search, standing_of
from .store import spec_by_id


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
    search_id = search_id_of(cycle, baseline)
    start, end = find(context.ledger, SearchStart, search_id), find(context.ledger, SearchEnd, search_id)
    if start is None:
        has = await capabilities_of(context, baseline, text_only=text_only)
        start = begun(context, cycle, baseline, most_requests, has)
        await context.ledger.append([start])
        context.on_step("search_begun")
    elif end is None:
        start = await continued(context, start, baseline)
    if end is None:
        end = await _Searching(context, start, baseline).run()
    specs = tuple(spec_by_id(context.ledger, standing.spec_id) for standing in end.ranking)
    return Searched(specs, end)


@dataclass(frozen=True, slots=True)
class _Order:
    """A batch, and what of it is answered already.

    Attributes:
        made: trials of the batch itself, by prompt, from before the search was cut off.
        kept: stored trials of other runs that answer the rest.
        drops: how often the batch was asked before and lost replies to a fault of the server.
    """

    batch_id: str
    number: int
    batch: WayBatch
    spec: Spec
    made: Mapping[str, Trial]
    kept: Mapping[str, Trial]
    drops: int

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
        self._queue = Queued()
        self._search = search_of(context, start, self._suite, self._queue)
        self._ways: dict[str, AskedWay] = {}
        self._reflecting: Reflecting | None = None
        if start.reflection is not None:
            self._reflecting = Reflecting(context, start, self._suite, self._search, self._ways.__getitem__)
        self._batches = self._course = self._faults = 0
        self._begun_at = self._desk.meter.trials
        self.asked = self.reused = 0

    @cached_property
    def _suite(self) -> Suite:
        return self._context.suite_for(self._baseline)

    @property
    def _desk(self) -> Desk:
        return self._context.measure.arena.desk

    @cached_property
    def _later(self) -> int:
        """How many trials the candidates take at most: a pass of each, and the held-out prompts."""
        settings, prompts = self._context.settings.loop, len(self._start.prompt_ids)
        return settings.max_candidates * (prompts + settings.sample_of(prompts)) + 2 * len(self._suite.select("heldout"))

    @property
    def _kept_back(self) -> int:
        """How many trials are kept back for the candidates: at most three quarters of what the caps left to
        this command when it began to search. A search that has no trials of its own finds nothing to keep them for.
        """
        meter = self._desk.meter
        affords = meter.affords()
        return self._later if affords is None else min(self._later, (meter.trials - self._begun_at + affords) * 3 // 4)

    async def run(self) -> SearchEnd:
        """Search to the end, and keep what was found."""
        stopped = None
        while stopped is None:
            if self._reflecting is not None:
                await self._reflecting.turn(self._queue, self._batches)
            batch = self._search.next()
            if batch is None:
                break
            stopped = await self._next(batch)
        if not self._search.ranking():
            raise BudgetError(f"the search stopped before anything was asked to the end: {stopped}; the same command goes on")
        return await self._over(stopped)

    async def _next(self, batch: WayBatch) -> str | None:
        """Tell the search what came of a batch. Returns the cap that ends the search before that."""
        spec = self._spec(batch.asking)
        while self._is_of_another_course(batch, spec):
            self._change_course()
        known = find(self._context.ledger, SearchBatch, self._batch_id)
        if known is not None:
            self._told(batch, spec, self._trials_of(known), known.reused)
            return None
        written = [self._search.written[name] for name in names_written(batch.asking)]
        if new := unkept(self._context, written):
            await self._context.ledger.append(new)
        order = await self._ordered(batch, spec)
        stopped = self._enough(order) or await self._ask(order)
        if stopped is None:
            self._context.on_step("search_batch")
        return stopped

    @property
    def _batch_id(self) -> str:
        """The id of the next batch."""
        course = f"~{self._course}" if self._course else ""
        return f"{self._start.search_id}{course}/{self._batches}"

    def _trials_of(self, known: SearchBatch) -> list[Trial]:
        return [held(self._context.ledger, Trial, trial_id) for trial_id in known.trial_ids]

    def _made(self, spec: Spec, drops: int = 0) -> list[Trial]:
        """The trials that the next batch made before the search was cut off."""
        ledger = self._context.ledger
        runs = ledger.read(Run, {"group_id": self._group(drops), "request_id": spec.request_id})
        return [trial for run in runs for trial in ledger.read(Trial, {"run_id": run.run_id})]

    def _is_of_another_course(self, batch: WayBatch, spec: Spec) -> bool:
        """Whether the ledger holds another batch in the place of this one. The space may have got new
        parts, or a proposer or the embedding model may have changed, since the search began.
        """
        known = find(self._context.ledger, SearchBatch, self._batch_id)
        if known is not None:
            trials = self._trials_of(known)
            runs = {trial.run_id for trial in trials}  # reused trials answer the same requests, too
            alike = all(held(self._context.ledger, Run, run).request_id == spec.request_id for run in runs)
            asked = tuple(trial.prompt_id for trial in trials)
            return not alike or (known.asking, asked) != (dict(batch.asking), batch.prompts)
        return any(batch.prompts[trial.position : trial.position + 1] != (trial.prompt_id,) for trial in self._made(spec))

    def _change_course(self) -> None:
        if not self._course:
            text = "the space, its proposers or the embedding model have changed since this search began; it goes on from what it has asked"
            self._context.say(LoopEvent("note", text))
        self._course += 1

    async def _ordered(self, batch: WayBatch, spec: Spec) -> _Order:
        drops = self._drops(batch, spec)
        made = {trial.prompt_id: trial for trial in self._made(spec, drops)}
        open_prompts = [prompt for prompt in batch.prompts if prompt not in made]
        kept: Mapping[str, Trial] = {}
        if open_prompts and not self._start.fresh:
            # On another course, what the search itself asked on the first one is an old reply, too.
            before = self._context.now() if self._course else self._start.at
            kept = await self._context.measure.arena.earlier(spec, open_prompts, before=before)
            if "logprobs" in self._start.capabilities:  # a reply without would count as unsure
                kept = {prompt: trial for prompt, trial in kept.items() if is_observed(trial)}
        return _Order(self._batch_id, self._batches, batch, spec, made, kept, drops)

    def _enough(self, order: _Order) -> str | None:
        """Why the search ends before this batch; None while it goes on."""
        most = self._start.most_requests
        if self.asked + len(order.own) > most:
            return f"{counted(most, 'trial')} were for the search"
        waiting = len(order.own) - len(order.made)
        return self._desk.meter.shortfall(waiting + self._kept_back)

    async def _ask(self, order: _Order) -> str | None:
        """Ask what the ledger does not hold, and tell the search. Returns the cap that cut it off."""
        found, closing = dict(order.kept), tuple[Record, ...]()
        if order.own:
            result = await self._block(order)
            closing = result.closing
            if result.fault is not None or result.stopped is not None:
                await self._context.ledger.append(closing)
                if result.fault is not None:
                    await self._answering_again(order, result.fault)
                return result.stopped
            found |= {item.trial.prompt_id: item.trial for item in result.trials[order.spec.request_id]}
        self._faults = 0
        trials = [found[prompt] for prompt in order.batch.prompts]
        self._told(order.batch, order.spec, trials, len(order.kept))
        best = self._search.ranking()[0]
        kept = SearchBatch(
            batch_id=order.batch_id,
            search_id=self._start.search_id,
            number=order.number,
            asking=dict(order.batch.asking),
            by=order.batch.by,
            trial_ids=tuple(trial.trial_id for trial in trials),
            reused=len(order.kept),
            best=standing_of(best, self._spec(best.point)),
            at=self._context.now(),
        )
        await self._context.ledger.append([*closing, kept])
        self._tell(order, kept)
        return None

    async def _answering_again(self, order: _Order, fault: str) -> None:
        """Wait until the server answers. The batch is then asked anew: a fault says nothing of it.

        EndpointError: the server does not come back, or the batch was asked in vain too often.
        """
        self._context.say(LoopEvent("note", f"{fault}; the batch is asked again when the server answers"))
        self._faults += 1  # a fault that comes at once drops nothing
        often = max(order.drops, self._faults) > self._context.settings.policy.max_discards
        if often or not await self._context.measure.arena.recover(order.spec):
            raise EndpointError(f"the search waits for {order.spec.endpoint}: {fault}; the same command goes on", kind="connect")

    def _group(self, drops: int) -> str:
        return self._batch_id if drops == 0 else f"{self._batch_id}/{drops}"

    def _drops(self, batch: WayBatch, spec: Spec) -> int:
        """How often the next batch was dropped: asked in part, with replies that a fault has lost."""
        ledger, drops = self._context.ledger, 0
        while True:
            made = self._made(spec, drops)
            lost = any(trial.fault not in (None, "truncated") for trial in made)
            if not lost or len({trial.prompt_id for trial in made}) >= len(batch.prompts):
                return drops
            open_ = {run.run_id for run in ledger.read(Run, {"group_id": self._group(drops)})}
            if not all((end := find(ledger, RunEnd, run)) is not None and end.status == "interrupted" for run in open_):
                return drops
            drops += 1

    async def _block(self, order: _Order) -> BlockResult:
        """Ask what is open of a batch. Whoever shows progress learns what is tried."""
        spec, board = order.spec, self._desk.board
        asks = [
            Ask(spec.request_id, place, prompt) for place, prompt in enumerate(order.batch.prompts) if prompt not in order.kept
        ]
        block = BlockOrder(
            block_id=order.batch_id,
            number=order.number,
            discards=order.drops,
            asks=asks,
            specs={spec.request_id: spec},
            suite=self._suite,
            cycle_id=self._start.cycle_id,
            purpose="search",
        )
        board.search = self._now(order, board.done)
        try:
            return await self._context.measure.arena.block(block)
        finally:
            board.search = None

    def _now(self, order: _Order, done: int) -> Callable[[], SearchNow]:
        """What the search is doing while a batch is asked. done: of the board, when it began."""
        best = next((standing_of(one, None) for one in self._search.ranking()), None)

        def now() -> SearchNow:
            asked = self.asked + self._desk.board.done - done
            return SearchNow(
                asked=asked,
                most=self._start.most_requests,
                reused=self.reused + len(order.kept),
                trying=point_text(order.batch.asking),
                prompts=len(order.batch.prompts),
                by=order.batch.by,
                best=best,
                synthetic=self._start.synthetic,
                ends_s=self._desk.meter.ends_in_s(self._start.most_requests - asked, self._kept_back),
            )

        return now

    def _told(self, batch: WayBatch, spec: Spec, trials: Sequence[Trial], reused: int) -> None:
        self._search.told(batch, self._seen(batch.asking, spec, trials))
        text = point_text(batch.asking)
        earlier = self._ways[text].trials if text in self._ways else {}
        self._ways[text] = AskedWay(spec, {**earlier, **{trial.prompt_id: trial for trial in trials}})
        self._batches += 1
        self.asked += len(trials) - reused
        self.reused += reused

    def _seen(self, asking: Point, spec: Spec, trials: Sequence[Trial]) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of the replies."""
        readings = readings_of(asking, self._start.capabilities, self._start.phase)
        chains = {reading_text(point): composed(point, written=self._search.written).parsers for point in readings}
        verdicts = read_by_each(self._context.ledger, spec, self._suite, trials, chains)
        return {
            reading: {trial.prompt_id: _mark(trial, verdict) for trial, verdict in zip(trials, each, strict=True)}
            for reading, each in verdicts.items()
        }

    def _spec(self, point: Point) -> Spec:
        most = self._baseline.variant.sampling.max_tokens
        variant = composed(point, max_tokens=most, written=self._search.written)
        return self._context.rendered(with_change(self._baseline, variant=variant))

    def _tell(self, order: _Order, known: SearchBatch) -> None:
        asked = f"{self.asked} of at most {counted(self._start.most_requests, 'trial')}"
        asked += f", {self.reused} reused" if self.reused else ""
        tried = f"{point_text(order.batch.asking)} on {counted(len(order.batch.prompts), 'prompt')} ({order.batch.by})"
        best = on_prompts(best_text(known.best), synthetic=self._start.synthetic)
        self._context.say(LoopEvent("search", f"{asked}: {tried}; best so far: {best}", known))

    async def _over(self, stopped: str | None) -> SearchEnd:
        reflections = self._reflecting.reflections if self._reflecting is not None else ()
        end, specs = ended_search(self._start, self._search, self._spec, reflections)
        counts = {"requests": self.asked, "reused": self.reused, "stopped": stopped, "at": self._context.now()}
        end = SearchEnd(**{name: getattr(end, name) for name in SearchEnd.model_fields} | counts)
        await self._context.ledger.append([*unknown_specs(self._context.ledger, specs), end])
        self._context.on_step("searched")
        if stopped is not None:
            self._context.say(LoopEvent("note", search_ended_text(stopped, self._kept_back), end))
        return end


def _mark(trial: Trial, verdict: Verdict) -> ReplyMark:
    """The mark of a trial. A reply that was lost or cut held nothing back, as in the metrics."""
    passed = verdict.outcome == "pass"
    return ReplyMark(
        passed,
        verdict.needs_call,
        bool(verdict.parsed.tool_calls) or not (passed or verdict.needs_call),
        trial.latency_ms / 1000,
        (trial.usage.input_tokens or 0) + (trial.usage.output_tokens or 0),
        len(trial.exchanges),
    )
