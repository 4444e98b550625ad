"""What a cycle is handed, put together from settings and parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from selfopt.feedback import FeedbackOptions, ReferenceSuite, analyze
from selfopt.loop import Depth, LoopContext, LoopEvent, Measurement, baselines, evaluations, withdrawn_remedies
from selfopt.loop.proposer import CatalogueProposer, describe_change
from selfopt.measure import Arena, Budget, BudgetMeter, Labels, MeasureContext, MeasureOptions, Progress, measure_specs
from selfopt.measure.progress import ignore_progress
from selfopt.policy import PLAIN_POLICY, AlphaPlan, EvidenceOptions, decide, evidence_policy
from selfopt.records import (
    Decision,
    Evaluation,
    EvidenceState,
    Feedback,
    Finding,
    Phase,
    RaceSettings,
    Remedy,
    Spec,
    Split,
    Suite,
    WarmUpExperiment,
    utc_now,
)
from selfopt.routing import RuleOptions

from .app import App
from .evidence import check_evidence, ledger_or_none
from .reporting import write_artefacts

__all__ = [
    "Say",
    "current_feedback",
    "evidence_options",
    "feedback_options",
    "ignore_event",
    "ledger_or_none",
    "loop_context",
    "present_spec",
]

Say = Callable[[LoopEvent], None]
_PHASES: tuple[Phase, Phase] = ("atomic", "extended")


def ignore_event(event: LoopEvent) -> None:
    """The listener of those who do not want to know."""


def _split(suite: Suite) -> Split:
    return "all" if suite.scope == "whole" else "search"


def feedback_options(
    app: App, known: Mapping[tuple[str, Phase], str], withdrawn: frozenset[Remedy] = frozenset()
) -> FeedbackOptions:
    """How evaluations are judged, from the settings."""
    references: dict[Phase, ReferenceSuite] = {}
    for phase in _PHASES:
        suite = app.suite(app.settings.suite_of(phase))
        references[phase] = ReferenceSuite(suite.name, suite.content_id(), len(suite.select(_split(suite))))
    fallbacks: dict[Phase, Sequence[str]] = {phase: _fallbacks(app, phase, known) for phase in _PHASES}
    return FeedbackOptions(
        now=utc_now(),
        is_local=app.settings.is_local,
        references=references,
        thresholds=app.settings.policy,
        fallbacks=fallbacks,
        baselines=known,
        served=_served(app, known),
        allow_remote=app.settings.allow_remote,
        withdrawn=withdrawn,
        environments=app.environments(),
        experiments=tuple(ledger_or_none(app).read(WarmUpExperiment)),
    )


def _fallbacks(app: App, phase: Phase, known: Mapping[tuple[str, Phase], str]) -> tuple[str, ...]:
    """The settings' candidates in their order; none named: every measured model, which the recommender then judges."""
    named = app.settings.fallbacks.atomic if phase == "atomic" else app.settings.fallbacks.extended
    if named:
        return tuple(app.resolve_model(name) for name in named)
    return tuple(sorted({model for model, p in known if p == phase}))


def _served(app: App, known: Mapping[tuple[str, Phase], str]) -> dict[tuple[str, Phase], tuple[str, ...]]:
    """Ids of the specs that the rules in force serve with, for models without a baseline; the one with warm-up first, where the
    rule asks for warm-up."""
    found: dict[tuple[str, Phase], tuple[str, ...]] = {}
    rules = app.enforcer.load(repair_pending=False).rules if app.settings.enforcement.enabled else ()
    for rule in rules:
        specs = ledger_or_none(app).read(Spec, {"id": rule.spec_id}, limit=1) if rule.spec_id is not None else ()
        for spec in specs:
            warm = spec.model_copy(update={"warm_up": app.settings.warm_up_policy(True)})
            if (rule.model, rule.phase) not in known:
                found[rule.model, rule.phase] = (warm.spec_id, spec.spec_id) if rule.warm_up else (spec.spec_id,)
    return found


def current_feedback(app: App) -> Feedback:
    """Findings and recommendations from everything measured so far; writes nothing."""
    ledger = ledger_or_none(app)
    return analyze(evaluations(ledger), feedback_options(app, baselines(ledger), withdrawn_remedies(ledger)))


def present_spec(app: App, spec: Spec) -> Spec:
    """A spec on the phase's reference suite as it is now, and without a warm-up that the settings switch off."""
    suite = app.suite(app.settings.suite_of(spec.phase))
    update: dict[str, object] = {}
    if (spec.suite, spec.suite_hash) != (suite.name, suite.content_id()):
        update |= {"suite": suite.name, "suite_hash": suite.content_id()}
    if spec.suite != suite.name:
        update["split"] = _split(suite)
    if spec.warm_up.enabled and not app.settings.warm_up.enabled:
        update["warm_up"] = spec.warm_up.model_copy(update={"enabled": False})
    return spec.model_copy(update=update) if update else spec


def budget_of(app: App) -> Budget:
    """The caps of one command."""
    limits = app.settings.limits
    return Budget(limits.max_trials, limits.max_minutes, limits.max_tokens, limits.max_cost)


def loop_context(
    app: App,
    say: Say = ignore_event,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
    *,
    read_only: bool = False,
) -> LoopContext:
    """Everything one cycle needs. read_only: for a look at what it would do; nothing is opened that would be created."""
    settings = app.settings

    def propose(baseline: Spec, findings: Sequence[Finding], tried: set[str], limit: int) -> Sequence[tuple[Spec, str]]:
        proposer = CatalogueProposer(app.variants_for(baseline.endpoint, proposed=True), warm_up=settings.warm_up.enabled)
        chosen = proposer.propose(baseline, findings, limit, exclude=frozenset(tried))
        return [(spec, describe_change(baseline, spec)) for spec in chosen]

    def diagnose(found: Sequence[Evaluation], known: Mapping[tuple[str, Phase], str], withdrawn: frozenset[Remedy]) -> Feedback:
        return analyze(found, feedback_options(app, known, withdrawn))

    def judge(candidate: Evaluation, baseline: Evaluation, cycle_id: str, evidence: EvidenceState | None = None) -> Decision:
        seen = app.environments().values()
        policy = PLAIN_POLICY if evidence is None else evidence_policy(evidence)
        return decide(candidate, baseline, settings.policy, policy=policy, environments=seen, cycle_id=cycle_id, now=utc_now())

    def reports() -> None:
        write_artefacts(app)

    measuring = _Measuring(app, progress)
    return LoopContext(
        ledger=ledger_or_none(app) if read_only else app.ledger,
        home=app.home,
        enforcer=app.enforcer,
        measure=measuring,
        default_baseline=lambda model, phase: app.spec(model, phase, "native_api", app.standing_options()),
        present=lambda spec: present_spec(app, spec),
        with_warm_up=lambda spec: spec.model_copy(update={"warm_up": settings.warm_up_policy(True)}),
        propose=propose,
        diagnose=diagnose,
        decide=judge,
        rule_options=RuleOptions(warm_up=settings.warm_up.enabled),
        unload=lambda spec: app.sender.residency_for_spec(spec, None).unload(app.server_model(spec.model)),
        suite_for=app.suite_for,
        arena=measuring.arena,
        now=utc_now,
        say=say,
        write_artefacts=reports,
        on_step=app.on_step,
        tell=app.tell_cycles,
        check_evidence=lambda found, names: check_evidence(app, found, names),
        evidence=evidence_options(app),
        enforce=settings.enforcement.enabled,
        max_candidates=settings.loop.max_candidates if max_candidates is None else max_candidates,
        read_only=read_only,
    )


def evidence_options(app: App) -> EvidenceOptions | None:
    """What the settings say about evidence; None where the plain gates are to decide alone."""
    policy = app.settings.policy
    if not policy.evidence:
        return None
    return EvidenceOptions(
        alpha=AlphaPlan(policy.alpha, policy.schedule, policy.horizon),
        race=RaceSettings(smallest_gain=policy.smallest_gain, beta=policy.beta, max_discards=policy.max_discards),
        heldout_margin=policy.heldout_margin,
        heldout_better=policy.heldout_better,
        restraint_margin=policy.restraint_margin,
        restraint_floor=policy.restraint_min,
        race_trials=policy.race_trials,
    )


class _Measuring:
    """The measuring stage under one command's caps."""

    def __init__(self, app: App, progress: Callable[[Progress], None]) -> None:
        self._app = app
        self._progress = progress
        self._meter: BudgetMeter | None = None
        self._arena: Arena | None = None

    def _parts(self) -> tuple[MeasureContext, BudgetMeter]:
        """One meter for all calls of a command."""
        context = self._app.measure_context(self._progress)
        self._meter = self._meter or BudgetMeter(budget_of(self._app), context.clock)
        return context, self._meter

    def arena(self) -> Arena:
        """Where the command's races are measured."""
        if self._arena is None:
            self._arena = Arena(*self._parts())
        return self._arena

    async def __call__(self, specs: Sequence[Spec], cycle_id: str, label: str, depth: Depth = "runs") -> Measurement:
        """See `selfopt.loop.Measure`."""
        context, meter = self._parts()
        options = MeasureOptions(
            n_runs=1 if depth == "pass" else self._app.settings.loop.n_runs,
            runs_for=self._runs if depth == "runs" else None,
            sampling=depth != "pass",
            sample_for=self._sample,
            repeat=depth == "runs",
            labels=Labels(cycle_id=cycle_id),
            meter=meter,
        )
        found = await measure_specs(specs, context=context, options=options)
        whole = all(s.spec_id in found and self._is_through(s, found[s.spec_id], depth) for s in specs)
        return Measurement(found, None if whole else meter.stop_reason)

    def _runs(self, spec: Spec) -> int:
        """Of a stochastic spec. Where a race asks for what a decision needs, a large suite is run only as often as rules ask for."""
        settings = self._app.settings
        large = self._prompts(spec) > RaceSettings().small_suite
        return min(settings.loop.n_runs, settings.policy.min_runs) if settings.policy.evidence and large else settings.loop.n_runs

    def _sample(self, spec: Spec) -> int:
        return self._app.settings.loop.sample_of(self._prompts(spec))

    def _prompts(self, spec: Spec) -> int:
        return len(self._app.suite_for(spec).select(spec.split))

    def _is_through(self, spec: Spec, evaluation: Evaluation, depth: Depth) -> bool:
        """Whether more would have been measured, had no cap ended it."""
        if depth == "pass":
            return True
        exact = evaluation.determinism in ("sampled", "complete")
        return exact or (evaluation.determinism != "unknown" if depth == "once" else evaluation.n_runs >= self._runs(spec))
