"""The passes of one request_id: which one is next, and what their evaluation is.

Supervision and comparison use it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from selfopt.errors import SuiteError
from selfopt.home import counted
from selfopt.records import (
    Ask,
    Environment,
    Evaluation,
    Prompt,
    Purpose,
    Record,
    Run,
    Spec,
    Suite,
    Trial,
    Verdict,
    WarmUpResult,
)

from .arms import Readiness, model_status, open_arm, warm_up
from .asks import Asking
from .attempt import State
from .context import Desk
from .determinism import agree, earlier_sample, infrastructure, sample_prompts
from .evaluate import EvaluationRequest, evaluate
from .lookup import held, unknown_specs
from .options import MeasureOptions
from .refusals import Refusals, all_refused
from .rescore import check_suite, ensure_verdicts
from .resume import PassKey, PassState, close_open_runs, passes_of
from .trial import JudgedTrial

BeforePass = Callable[[Spec, int], Awaitable[None]]
"""Called with spec and pass number before a pass, such as to unload the model."""


def prompts_of(spec: Spec, suite: Suite, limit: int | None) -> tuple[Prompt, ...]:
    """The prompts that a spec measures.

    SuiteError when the suite is not the spec's or has no prompt in the split.
    """
    check_suite(spec, suite)
    prompts = suite.select(spec.split)[:limit]
    if not prompts:
        raise SuiteError(f"suite {suite.name} has no prompt in split {spec.split!r} (limit {limit}); choose another split")
    return prompts


@dataclass(slots=True)
class Unit:
    """Specs that share their trials (equal request_id), and the group of runs that measures them.

    Attributes:
        passes: the state of each pass, by purpose and number.
        abandoned: how many trials earlier processes started and never committed.
        before_pass: called before each pass.
        warm_up_each: warm up before each pass, not only before the first.
        residency: by id of a run of this process, the model's state before the run and its warm-up.
        resumed: how many trials are taken over from earlier processes.
        fresh: by id of a run of this process, its trials.
    """

    specs: tuple[Spec, ...]
    suite: Suite
    prompts: tuple[Prompt, ...]
    group_id: str
    options: MeasureOptions
    desk: Desk
    passes: dict[PassKey, PassState[Trial]]
    abandoned: int
    before_pass: BeforePass | None = None
    warm_up_each: bool = False
    residency: dict[str, State] = field(default_factory=dict)
    resumed: int = 0
    fresh: dict[str, tuple[JudgedTrial, ...]] = field(default_factory=dict)
    _on_board: int = 0
    _sampled_earlier: bool = False
    _verdicts: dict[tuple[str, Purpose], dict[str, Verdict]] = field(default_factory=dict)

    @classmethod
    async def open(
        cls,
        desk: Desk,
        specs: Sequence[Spec],
        group_id: str,
        options: MeasureOptions,
        *,
        before_pass: BeforePass | None = None,
        warm_up_each: bool = False,
    ) -> Unit:
        """Read what the ledger has of the group. Closes the runs that a dead process left open."""
        lead, context = specs[0], desk.context
        suite = context.suite_for(lead)
        runs = list(context.ledger.read(Run, {"group_id": group_id, "request_id": lead.request_id}))
        passes = passes_of(context.ledger, runs)
        abandoned = await close_open_runs(context.ledger, runs, context.now)
        prompts = prompts_of(lead, suite, options.limit)
        unit = cls(tuple(specs), suite, prompts, group_id, options.of(lead), desk, passes, abandoned, before_pass, warm_up_each)
        unit.resumed = sum(len(one.trials) for one in passes.values())
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
        """The purpose of the scored passes."""
        return self.options.labels.purpose

    def at(self, purpose: Purpose, run_index: int) -> PassState[Trial]:
        """The state of one pass; empty when it has not begun."""
        return self.passes.setdefault((purpose, run_index), PassState())

    @property
    def first(self) -> PassState[Trial]:
        """The first scored pass."""
        return self.at(self.purpose, 0)

    @property
    def sample(self) -> PassState[Trial]:
        """The isolated sample."""
        return self.at("determinism", 0)

    @property
    def planned(self) -> int:
        """How many trials this unit is expected to take.

        For sampling that draws nothing at random, repeats count only once they are known to be
        needed.
        """
        sampled = bool(self.sample.runs)
        maybe = self._sampling and not self.first.complete
        asked = not self._sampled_earlier and (sampled or maybe or self._wants_sample())
        sample = min(self.options.sample_size, len(self.prompts)) if asked else 0
        return (1 if self._expected_once else self.target) * len(self.prompts) + sample

    @property
    def _expected_once(self) -> bool:
        """Whether one pass will probably do: nothing is random, and no sample disagreed so far."""
        if not self._sampling or self.lead.variant.sampling.temperature > 0:
            return False
        return not self.first.complete or self._wants_sample() or self.deterministic

    @property
    def _sampling(self) -> bool:
        """Whether an isolated sample can tell anything. Where every reply is drawn anew, equal ones are luck."""
        return self.options.sampling and self.options.n_runs > 1 and not self.lead.variant.sampling.draws_anew

    @property
    def deterministic(self) -> bool:
        """Whether the isolated sample agrees with the first pass, for each of the specs."""
        first, sample = self.first, self.sample
        if not (self._sampling and first.complete and sample.complete):
            return False
        for spec in self.specs:
            one, other = self._verdicts[spec.spec_id, self.purpose], self._verdicts[spec.spec_id, "determinism"]
            agreed = all(prompt_id in one and agree(verdict, one[prompt_id]) for prompt_id, verdict in other.items())
            if not agreed or infrastructure(one) or infrastructure(other):
                return False
        return True

    async def _look(self) -> None:
        """Judge the first pass and the isolated sample as each of the specs does.

        They tell whether the specs are deterministic.
        """
        await self._judge(self.purpose)
        self._take_earlier_sample()
        await self._judge("determinism")

    async def _judge(self, purpose: Purpose) -> None:
        one = self.at(purpose, 0)
        if not self._sampling or not one.complete or (self.lead.spec_id, purpose) in self._verdicts:
            return
        for spec in self.specs:
            judged = await ensure_verdicts(self.desk.context.ledger, spec, self.suite, one.trials.values())
            self._verdicts[spec.spec_id, purpose] = {item.trial.prompt_id: item.verdict for item in judged.trials}

    @property
    def refused(self) -> bool:
        """Whether the server refused the whole first pass for causes that repeats can't change."""
        return self.first.complete and all_refused(self.first.trials.values())

    @property
    def target(self) -> int:
        """How many scored passes are wanted, as far as is known."""
        return 1 if self.deterministic or self.refused or not self.options.repeat else self.options.n_runs

    def following(self) -> PassKey | None:
        """The pass to do next; None when all are done."""
        if not self.first.complete:
            return self.purpose, 0
        if self._wants_sample():
            return "determinism", 0
        for run_index in range(1, self.target):
            if not self.at(self.purpose, run_index).complete:
                return self.purpose, run_index
        return None

    def _wants_sample(self) -> bool:
        """Whether to take a sample.

        It is useful only after exactly one pass without a fault of the server or the network.
        """
        first, sample = self.first, self.sample
        if not self._sampling or not first.complete or sample.complete or self.at(self.purpose, 1).runs:
            return False
        return not infrastructure(self._verdicts[self.lead.spec_id, self.purpose])

    def _take_earlier_sample(self) -> None:
        """Use an earlier sample of the same requests if one is wanted and none has begun."""
        if not self._wants_sample() or self.sample.runs:
            return
        ledger, last = self.desk.context.ledger, self.first.runs[-1]
        environment = held(ledger, Environment, last.environment_id)
        found = earlier_sample(ledger, self.lead, {prompt.id for prompt in self.prompts}, environment)
        if found is not None and len(found.trials) >= min(self.options.sample_size, len(self.prompts)):
            self.passes["determinism", 0] = found
            self._sampled_earlier = True

    async def advance(self) -> bool:
        """Begin or continue the next pass.

        Returns False when there is none or the budget ended it.
        """
        key = self.following()
        if key is None or self.desk.meter.stop_reason is not None:
            return False
        if self.before_pass is not None:
            await self.before_pass(self.lead, key[1])
        before, readiness = await self._made_ready(key)
        board, state = self.desk.board, self.at(*key)
        places = self._remaining(*key)
        labels = replace(self.options.labels, group_id=self.group_id, purpose=key[0])
        prompt_ids = [prompt.id for _, prompt in places]
        isolate = key[0] == "determinism"
        arm = open_arm(self.desk, self.lead, self.suite, prompt_ids, key[1], labels, readiness, isolate=isolate)
        request_id = self.lead.request_id
        asks = [(index, Ask(request_id, place, prompt.id)) for index, (place, prompt) in enumerate(places)]
        refusals = Refusals.after(state.trials.values(), without_tools=readiness.status.tools is False)
        refused = {request_id: refusals}
        carries_on = self.options.carries_on
        asking = Asking(self.desk, {request_id: arm}, asks, self.suite, "run", refusals=refused, carries_on=carries_on)
        board.tell("run_started", f"residency {before}, warm-up {readiness.warm_up.status}")
        await asking.make()
        await self.desk.context.ledger.append(asking.closing("interrupted"))
        board.tell("run_ended" if asking.stopped is None else "stopped", asking.stopped or "")
        state.runs.append(arm.run)
        self.fresh[arm.run.run_id] = tuple(asking.done.values())
        state.trials.update((item.trial.prompt_id, item.trial) for item in asking.done.values())
        self.residency[arm.run.run_id] = before
        if state.complete and (isolate or (state is self.first and (self._sampling or self.refused))):
            await self._look()
            self._replan()
        return asking.stopped is None

    async def _made_ready(self, key: PassKey) -> tuple[State, Readiness]:
        """Warm the model up for a pass as the spec wants.

        Returns its state before, and its readiness after.
        """
        desk, spec = self.desk, self.lead
        desk.board.at(spec.label, key[1])
        status = await model_status(desk, spec)
        before: State = status.state
        again = not self.warm_up_each and key != (self.purpose, 0)
        if not spec.warm_up.enabled:
            return before, Readiness(status, WarmUpResult(status="off"))
        if again and before not in ("unloaded", "sleeping"):
            skipped = WarmUpResult(status="skipped", reason=f"not the first run; the model is {before}")
            return before, Readiness(status, skipped)
        desk.board.tell("warm_up", "warming up")
        result, blobs = await warm_up(desk, spec, self.suite, spec.warm_up)
        if again:
            result = result.model_copy(update={"reason": f"warmed up again: the model was {before}. {result.reason}".strip()})
        desk.board.tell("warm_up", f"Warm-up {result.status}")
        if result.status in ("complete", "failed"):
            status = await model_status(desk, spec)
        return before, Readiness(status, result, blobs)

    def _replan(self) -> None:
        """Tell the board what is left to do, now that determinism is known."""
        sample = len(self.sample.trials)
        board = self.desk.board
        board.total += self.planned - self._on_board
        self._on_board = self.planned
        if self.deterministic:
            earlier = " (by an isolated sample from before this warm-up)" if self._sampled_earlier else ""
            board.tell("note", f"determinism sampled{earlier}: the spec is not repeated")
        elif self.refused:
            board.tell("note", "the server refuses every request of this form: the spec is not repeated")
        elif not self.options.repeat:
            board.tell("note", "not known to be deterministic: a race asks for what it needs")
        elif sample == 0 and not self._wants_sample():
            board.tell("note", f"a fault of the server or the network: {counted(self.options.n_runs, 'run')}")
        elif sample:
            board.tell("note", f"not deterministic: {counted(self.options.n_runs, 'run')}")

    def _remaining(self, purpose: Purpose, run_index: int) -> tuple[tuple[int, Prompt], ...]:
        """The prompts of a pass without a trial, with their positions, in the order of the pass."""
        if purpose == "determinism":
            whole = sample_prompts(self.prompts, self.lead.request_id, self.options.sample_size)
        else:
            order = list(self.prompts)
            slots = self.desk.context.slots_for(self.lead)
            if self.options.order == "shuffled" or (self.options.order == "auto" and slots > 1):
                random.Random(f"order {self.group_id} {run_index}").shuffle(order)
            whole = tuple(enumerate(order))
        done = self.at(purpose, run_index).trials
        return tuple((position, prompt) for position, prompt in whole if prompt.id not in done)

    def complete_passes(self) -> list[PassState[Trial]]:
        """The complete scored passes, ordered by number."""
        return [one for key, one in sorted(self.passes.items(), key=itemgetter(0)) if key[0] == self.purpose and one.complete]

    def run_ids(self, purpose: Purpose) -> tuple[str, ...]:
        """The ids of all runs of one purpose, oldest first."""
        return tuple(run.run_id for key, one in self.passes.items() if key[0] == purpose for run in one.runs)

    async def conclude(self, *, keep: bool = True, beside: Sequence[Record] = ()) -> dict[str, Evaluation]:
        """Evaluate every spec of the unit from the complete passes.

        Args:
            keep: append the evaluations, and `beside` with each.

        Returns:
            The evaluations by spec id; empty without a complete pass.
        """
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
                    # One that shares another's requests has no run of its own, and its spec came with none.
                    await context.ledger.append([*unknown_specs(context.ledger, [spec]), evaluation, *beside])
                found[spec.spec_id] = evaluation
        return found
