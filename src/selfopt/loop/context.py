"""What the loop works with: the ledger, the stages, the settings, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from selfopt.errors import BudgetError
from selfopt.measure.arena import as_measured
from selfopt.measure.context import MeasureContext
from selfopt.measure.question import Adviser
from selfopt.policy import AlphaPlan, decide, heldout_settings
from selfopt.records import (
    Cycle,
    CycleStart,
    Decision,
    Environment,
    Evaluation,
    EvidenceState,
    Ledger,
    Phase,
    RaceSettings,
    Record,
    RoutingConfig,
    Spec,
    Split,
    Suite,
    Variant,
    utc_now,
)
from selfopt.routing import Enforcer
from selfopt.settings import Settings
from selfopt.variants import options_of
from selfopt.variants.options import embedded_by

from .measuring import Depth, Measuring
from .store import newest_cycles, unfinished_cycles

Key = tuple[str, Phase]


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """Something worth telling the user.

    Attributes:
        kind: the stage that it comes from.
        text: what to say, in plain words.
        record: the fact behind it, if there is one.
    """

    kind: str
    text: str
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One model and phase to work on.

    Attributes:
        baseline: the spec that the user names. None: the ledger's baseline, else the default.
        candidates: what to try with a given baseline. None: the proposers choose.
        screened: how many candidates were ranked on search prompts, to choose these. 0: no
            screening.
    """

    model: str
    phase: Phase
    baseline: Spec | None = None
    candidates: Callable[[Spec], Sequence[Spec]] | None = None
    screened: int = 0

    @property
    def key(self) -> Key:
        """Model and phase."""
        return self.model, self.phase


def search_split(suite: Suite) -> Split:
    """The prompts that baselines and candidates are measured on."""
    return "all" if suite.scope == "whole" else "search"


class Specs(Protocol):
    """Suites, specs and variants as the settings define them."""

    def suite(self, name: str) -> Suite:
        """A suite by its name or path."""
        ...

    def standing_spec(self, model: str, phase: Phase, variant: str = "native_api") -> Spec:
        """The spec whose measurements decide about rules."""
        ...

    def variants_for(self, endpoint: str, *, proposed: bool = False) -> Mapping[str, Variant]:
        """The variants that an endpoint can be asked with, by name.

        proposed: only those that its server surely takes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """What the loop hands its work to.

    Attributes:
        enforcer: applies recommendations as rules.
        measuring: gives the parts that measure; the first call makes them.
        specs: suites, specs and variants as the settings define them.
        feedback: path of harness_feedback.json.
        resolve: gives the full name of a model.
        check_evidence: raises unless evaluations, the records with the given ids and everything
            they rest on are what was committed to the ledger.
        report: writes the reports.
        on_step: is told the name of each step once it is done and durable.
        adviser: gives the model of a name, to be asked about another one, whose full name comes
            second. Raises ConsentError where that may not leave this machine.
        shared: whether other processes work on other models in the same ledger at the same time.
        in_turn: keeps them from beginning a cycle, or storing advice, meanwhile.
    """

    enforcer: Enforcer
    measuring: Callable[[], MeasureContext]
    specs: Specs
    feedback: Path
    resolve: Callable[[str], str]
    check_evidence: Callable[[Sequence[Evaluation], Sequence[str]], None]
    report: Callable[[], object]
    on_step: Callable[[str], None]
    adviser: Callable[[str, str], Adviser]
    shared: bool = False
    in_turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how the loop goes on.

    Attributes:
        say: is told what is worth telling the user.
        tell: is given the finished cycles of a loop.
    """

    say: Callable[[LoopEvent], None] = lambda event: None
    tell: Callable[[Sequence[Cycle]], None] = lambda cycles: None


@dataclass(frozen=True)
class LoopContext:
    """Everything that a cycle needs. read_only: nothing may be written, not even a repair."""

    ledger: Ledger
    stages: Stages
    settings: Settings
    listener: Listener = field(default_factory=Listener)
    read_only: bool = False

    @cached_property
    def measure(self) -> Measuring:
        """Measures specs, under the caps of one command."""
        return Measuring(self.settings, self.stages.measuring)

    @property
    def alpha(self) -> AlphaPlan:
        """How the chance of a false promotion is shared out."""
        policy = self.settings.policy
        return AlphaPlan(policy.alpha, policy.schedule, policy.horizon)

    @property
    def race(self) -> RaceSettings:
        """The settings of a race over the search split."""
        policy = self.settings.policy
        return RaceSettings(smallest_gain=policy.smallest_gain, beta=policy.beta, max_discards=policy.max_discards)

    @property
    def heldout_race(self) -> RaceSettings:
        """The settings of a race over held-out prompts."""
        return heldout_settings(self.race, self.settings.policy.heldout_margin, better=self.settings.policy.heldout_better)

    def say(self, event: LoopEvent) -> None:
        """Tell the user."""
        self.listener.say(event)

    def on_step(self, step: str) -> None:
        """Report that a step is done and durable."""
        self.stages.on_step(step)

    def now(self) -> str:
        """The time, as RFC 3339 in UTC."""
        return utc_now()

    def rules(self) -> RoutingConfig:
        """The rules in force."""
        return self.stages.enforcer.load(repair_pending=not self.read_only)

    def reference(self, phase: Phase) -> Suite:
        """The reference suite of a phase."""
        return self.stages.specs.suite(self.settings.suite_of(phase))

    def present(self, spec: Spec) -> Spec:
        """A spec on the present reference suite, with its endpoint's present fields, as its requests
        are written now.

        Without warm-up if the settings switch it off.
        """
        suite = self.reference(spec.phase)
        update: dict[str, object] = {}
        if (spec.suite, spec.suite_hash) != (suite.name, suite.content_id()):
            update |= {"suite": suite.name, "suite_hash": suite.content_id()}
        if spec.suite != suite.name:
            update["split"] = search_split(suite)
        if spec.warm_up.enabled and not self.settings.warm_up.enabled:
            update["warm_up"] = spec.warm_up.model_copy(update={"enabled": False})
        entry = self.settings.endpoints.get(spec.endpoint)
        if entry is not None and (spec.omit, spec.extra_body) != (entry.omit, entry.extra_body):
            update |= {"omit": entry.omit, "extra_body": entry.extra_body}
        return as_measured(spec.model_copy(update=update) if update else spec, suite)

    def rendered(self, spec: Spec) -> Spec:
        """A spec with the version of its requests that this program makes now, and the embedding model of the settings."""
        if options_of(spec.variant).embeds:
            spec = spec.model_copy(update={"variant": embedded_by(spec.variant, self.settings.embedding)})
        suite = self.reference(spec.phase)
        return as_measured(spec, suite if suite.content_id() == spec.suite_hash else self.suite_for(spec))

    def names_embedding(self, spec: Spec) -> bool:
        """Whether the settings name the embedding model of a spec, where it needs one."""
        options = options_of(spec.variant)
        return not options.embeds or options.embedding == self.settings.embedding

    def newest_cycles(self, targets: Sequence[Target]) -> list[CycleStart]:
        """The newest cycles of the targets' models; the newest of all where nobody else works in the ledger."""
        return newest_cycles(self.ledger, self._models(targets), self.settings.one_name)

    def unfinished_cycles(self, targets: Sequence[Target]) -> list[CycleStart]:
        """Those of the newest cycles that are neither finished nor abandoned."""
        return unfinished_cycles(self.ledger, self._models(targets), self.settings.one_name)

    def _models(self, targets: Sequence[Target]) -> list[str] | None:
        return [target.model for target in targets] if self.stages.shared else None

    def suite_for(self, spec: Spec) -> Suite:
        """The suite of a spec."""
        return self.stages.measuring().suite_for(spec)

    async def unload(self, spec: Spec) -> bool:
        """Unload a spec's model, so that a warm-up has something to do.

        Returns whether it was unloaded.
        """
        world = self.stages.measuring()
        return await world.residency_for(spec).unload(world.model_name_for(spec))

    async def measured(
        self, start: CycleStart, specs: Sequence[Spec], where: str, depth: Depth = "runs"
    ) -> Mapping[str, Evaluation]:
        """Measure specs in a cycle.

        Args:
            start: the cycle.
            specs: what is measured; with none, nothing is.
            where: what the cycle is doing, as an error says it: `while its baselines were
                measured`.
            depth: how often each is measured.

        Returns:
            The evaluation of each, by spec id and in the order of `specs`.

        Raises:
            BudgetError: a cap ended the measurement before all were through.
        """
        if not specs:
            return {}
        measurement = await self.measure(specs, start.cycle_id, depth)
        missing = [spec.label for spec in specs if spec.spec_id not in measurement.evaluations]
        if measurement.stopped is not None or missing:
            why = measurement.stopped or f"{missing[0]} could not be measured"
            raise BudgetError(
                f"cycle {start.number} stopped {where}: {why}; nothing was decided, what was measured is kept, and the same command "
                "continues it"
            )
        return measurement.evaluations

    def decide(
        self, candidate: Evaluation, baseline: Evaluation, cycle_id: str, evidence: EvidenceState | None = None
    ) -> Decision:
        """Put a candidate through the gates.

        evidence: from a race or a held-out test; None: the plain gates alone.
        """
        return decide(
            candidate,
            baseline,
            self.settings.policy,
            evidence=evidence,
            environments=self.ledger.read(Environment),
            cycle_id=cycle_id,
            now=self.now(),
        )
