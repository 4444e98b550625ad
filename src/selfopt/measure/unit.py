"""The passes of one request_id: which is next, and what came of them. What supervision and blocks are made of."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from selfopt.errors import SuiteError
from selfopt.records import Environment, Evaluation, Prompt, Purpose, Record, Run, Spec, Suite, Trial, Verdict, WarmUpResult

from .attempt import State
from .context import Labels
from .determinism import agree, infrastructure, sample_prompts
from .earlier_sample import earlier_sample
from .evaluate import EvaluationRequest, evaluate
from .lookup import find
from .rescore import check_suite, ensure_verdicts
from .resume import GroupState, PassKey, close_open_runs, read_group
from .run import Desk, PassPlan, run_pass
from .trial import JudgedTrial

__all__ = ["PassReport", "Unit", "UnitOptions", "prompts_of"]

Order = Literal["auto", "file", "shuffled"]


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """n_runs: passes when the spec is not found deterministic; sampling: look whether it is, with sample_size prompts.

    repeat: False: one pass and the sample, whatever it says. limit: only the first so many prompts. order: of the prompts in a pass; "auto" keeps the suite's where there is one
    slot (neighbours share prompt prefixes, which the server has cached) and shuffles otherwise, seeded by pass.
    before_pass: called before each pass is begun or continued (a forced unload, say). warm_up_each: warm up before each
    pass, not before the first one alone, where the spec wants warm-up.
    """

    n_runs: int = 7
    sampling: bool = False
    sample_size: int = 4
    repeat: bool = True
    limit: int | None = None
    order: Order = "auto"
    labels: Labels = field(default_factory=Labels)
    before_pass: Callable[[Spec, int], Awaitable[None]] | None = None
    warm_up_each: bool = False


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass of this process did. residency: the model's state before it; rewarmed: warmed up although it was not
    the first run, because the model had been unloaded."""

    run: Run
    residency: State
    warm_up: WarmUpResult
    rewarmed: bool
    trials: int


def prompts_of(spec: Spec, suite: Suite, limit: int | None) -> tuple[Prompt, ...]:
    """The prompts that a spec measures. SuiteError when the suite is not the spec's or nothing is left to ask."""
    check_suite(spec, suite)
    prompts = suite.select(spec.split)[:limit]
    if not prompts:
        raise SuiteError(f"suite {suite.name} has no prompt in split {spec.split!r} (limit {limit}); choose another split")
    return prompts


@dataclass(slots=True)
class Unit:
    """Specs that share their trials (equal request_id), and the group of runs that measures them."""

    specs: tuple[Spec, ...]
    suite: Suite
    prompts: tuple[Prompt, ...]
    group_id: str
    options: UnitOptions
    desk: Desk
    state: GroupState = field(default_factory=GroupState)
    reports: list[PassReport] = field(default_factory=list)
    resumed: int = 0
    fresh: dict[str, tuple[JudgedTrial, ...]] = field(default_factory=dict)
    _on_board: int = 0
    _sampled_earlier: bool = False
    _verdicts: dict[tuple[str, Purpose], dict[str, Verdict]] = field(default_factory=dict)

    @classmethod
    async def open(cls, desk: Desk, specs: Sequence[Spec], group_id: str, options: UnitOptions) -> Unit:
        """Read what the ledger has of the group, and close what a dead process left open."""
        lead = specs[0]
        suite = desk.context.suite_for(lead)
        ledger = desk.context.ledger
        state = read_group(ledger, group_id, lead.request_id)
        await close_open_runs(ledger, state, desk.context.now)
        unit = cls(tuple(specs), suite, prompts_of(lead, suite, options.limit), group_id, options, desk, state)
        unit.resumed = sum(len(one.trials) for one in state.passes.values())
        await unit._look()
        desk.board.done += unit.resumed
        unit._on_board = max(unit.planned, unit.resumed)
        desk.board.total += unit._on_board
        return unit

    @property
    def lead(self) -> Spec:
        """The spec under whose name the trials are made."""
        return self.specs[0]

    @property
    def purpose(self) -> Purpose:
        """Of the scored passes."""
        return self.options.labels.purpose

    @property
    def planned(self) -> int:
        """Trials that this unit is expected to take: repeats are counted only once they are known to be needed, where the
        sampling draws nothing at random."""
        sampled = bool(self.state.at("determinism", 0).runs)
        maybe = self._sampling and not self.state.at(self.purpose, 0).complete
        asked = not self._sampled_earlier and (sampled or maybe or self._wants_sample())
        sample = min(self.options.sample_size, len(self.prompts)) if asked else 0
        return (1 if self._expected_once else self.target) * len(self.prompts) + sample

    @property
    def _expected_once(self) -> bool:
        """Whether one pass will probably do: nothing is drawn at random, and no pass or sample has said otherwise yet."""
        if not self._sampling or self.lead.variant.sampling.temperature > 0:
            return False
        return not self.state.at(self.purpose, 0).complete or self._wants_sample() or self.deterministic

    @property
    def _sampling(self) -> bool:
        return self.options.sampling and self.options.n_runs > 1

    @property
    def deterministic(self) -> bool:
        """Whether the isolated sample agrees with the first pass, for every spec that shares the trials."""
        first, sample = self.state.at(self.purpose, 0), self.state.at("determinism", 0)
        if not (self._sampling and first.complete and sample.complete):
            return False
        for spec in self.specs:
            one, other = self._verdicts[spec.spec_id, self.purpose], self._verdicts[spec.spec_id, "determinism"]
            if infrastructure(one) or infrastructure(other):
                return False
            if not all(prompt_id in one and agree(verdict, one[prompt_id]) for prompt_id, verdict in other.items()):
                return False
        return True

    async def _look(self) -> None:
        """Judge what determinism is told by, as every spec that shares the trials does: the first pass and the isolated sample."""
        await self._judge(self.purpose)
        self._take_earlier_sample()
        await self._judge("determinism")

    async def _judge(self, purpose: Purpose) -> None:
        one = self.state.at(purpose, 0)
        if not self._sampling or not one.complete or (self.lead.spec_id, purpose) in self._verdicts:
            return
        for spec in self.specs:
            judged = await ensure_verdicts(self.desk.context.ledger, spec, self.suite, one.trials.values())
            self._verdicts[spec.spec_id, purpose] = {item.trial.prompt_id: item.verdict for item in judged.trials}

    @property
    def target(self) -> int:
        """How many scored passes are wanted, as far as is known."""
        return 1 if self.deterministic or not self.options.repeat else self.options.n_runs

    def following(self) -> PassKey | None:
        """The pass to do next; None when nothing is left to do."""
        if not self.state.at(self.purpose, 0).complete:
            return self.purpose, 0
        if self._wants_sample():
            return "determinism", 0
        for run_index in range(1, self.target):
            if not self.state.at(self.purpose, run_index).complete:
                return self.purpose, run_index
        return None

    def _wants_sample(self) -> bool:
        """A sample is of use only after one pass, and only where no server or network had a hand in it."""
        first, sample = self.state.at(self.purpose, 0), self.state.at("determinism", 0)
        if not self._sampling or not first.complete or sample.complete or self.state.at(self.purpose, 1).runs:
            return False
        return not infrastructure(self._verdicts[self.lead.spec_id, self.purpose])

    def _take_earlier_sample(self) -> None:
        """Where the first pass is whole and no sample of its own has begun: one that was taken of the same requests before."""
        if not self._wants_sample() or self.state.at("determinism", 0).runs:
            return
        ledger, last = self.desk.context.ledger, self.state.at(self.purpose, 0).runs[-1]
        environment = find(ledger, Environment, last.environment_id)
        if environment is None:
            return
        found = earlier_sample(ledger, self.lead, {prompt.id for prompt in self.prompts}, environment)
        if found is not None and len(found.trials) >= min(self.options.sample_size, len(self.prompts)):
            self.state.passes["determinism", 0] = found
            self._sampled_earlier = True

    async def advance(self) -> bool:
        """Do, or go on with, the next pass; False when there is none, or when the budget has ended it."""
        key = self.following()
        if key is None or self.desk.meter.stop_reason is not None:
            return False
        purpose, run_index = key
        if self.options.before_pass is not None:
            await self.options.before_pass(self.lead, run_index)
        state = self.state.at(purpose, run_index)
        first = purpose == self.purpose and run_index == 0
        plan = PassPlan(
            spec=self.lead,
            suite=self.suite,
            prompts=self._remaining(purpose, run_index),
            run_index=run_index,
            labels=replace(self.options.labels, group_id=self.group_id, purpose=purpose),
            isolate=purpose == "determinism",
            warm_up="first" if first or self.options.warm_up_each else "if_unloaded",
        )
        result = await run_pass(self.desk, plan)
        state.runs.append(result.run)
        self.fresh[result.run.run_id] = result.trials
        state.trials.update((item.trial.prompt_id, item.trial) for item in result.trials)
        warm = result.run.warm_up
        rewarmed = not first and not self.options.warm_up_each and warm.status in ("complete", "failed")
        self.reports.append(PassReport(result.run, result.residency, warm, rewarmed, len(result.trials)))
        if state.complete and (purpose == "determinism" or (self._sampling and first)):
            await self._look()
            self._replan()
        return result.stop_reason is None

    def _replan(self) -> None:
        """Put on the board what determinism, or its absence, makes of the plan."""
        sample = len(self.state.at("determinism", 0).trials)
        board = self.desk.board
        board.total += self.planned - self._on_board
        self._on_board = self.planned
        if self.deterministic:
            earlier = " (by the isolated sample that was taken before this warm-up)" if self._sampled_earlier else ""
            board.tell("note", f"determinism sampled{earlier}: the spec is not repeated")
        elif not self.options.repeat:
            board.tell("note", "not deterministic: a race asks for what it needs")
        elif sample == 0 and not self._wants_sample():
            board.tell("note", f"a server or the network had a hand in it: {self.options.n_runs} runs")
        elif sample:
            board.tell("note", f"not deterministic: {self.options.n_runs} runs")

    def _remaining(self, purpose: Purpose, run_index: int) -> tuple[tuple[int, Prompt], ...]:
        """The prompts of a pass that have no trial yet, in the pass's own order."""
        if purpose == "determinism":
            whole = sample_prompts(self.prompts, self.lead.request_id, self.options.sample_size)
        else:
            order = list(self.prompts)
            slots = self.desk.context.slots_for(self.lead)
            if self.options.order == "shuffled" or (self.options.order == "auto" and slots > 1):
                random.Random(f"order {self.group_id} {run_index}").shuffle(order)
            whole = tuple(enumerate(order))
        done: dict[str, Trial] = self.state.at(purpose, run_index).trials
        return tuple((position, prompt) for position, prompt in whole if prompt.id not in done)

    def run_ids(self, purpose: Purpose) -> tuple[str, ...]:
        """All runs of one purpose, oldest first."""
        return tuple(run.run_id for key, one in self.state.passes.items() if key[0] == purpose for run in one.runs)

    async def conclude(self, *, keep: bool = True, beside: Sequence[Record] = ()) -> dict[str, Evaluation]:
        """Evaluate every spec of the unit from the complete passes; keep: append what is new, and `beside` with it. Specs without a
        complete pass are left out."""
        context = self.desk.context
        found: dict[str, Evaluation] = {}
        for spec in self.specs:
            request = EvaluationRequest(
                spec,
                self.suite,
                self.run_ids(self.purpose),
                self.run_ids("determinism"),
                self.options.labels.cycle_id,
                self.fresh,
            )
            evaluation = await evaluate(context.ledger, request, now=context.now)
            if evaluation is not None:
                if keep:
                    await context.ledger.append([evaluation, *beside])
                found[spec.spec_id] = evaluation
        return found
