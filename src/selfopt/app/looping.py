"""`loop`: what a cycle is handed, put together from settings and parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import UsageError
from selfopt.feedback import FeedbackOptions, ReferenceSuite, analyze
from selfopt.home import ProcessLock
from selfopt.loop import (
    LoopContext,
    LoopEvent,
    Target,
    baselines,
    current_baseline,
    effective_baseline,
    evaluations,
    run_cycle,
    spec_by_id,
    withdrawn_types,
)
from selfopt.loop.proposer import CatalogueProposer, describe_change, load_candidates
from selfopt.measure import Budget, BudgetMeter, Labels, MeasureOptions, Progress, measure_specs
from selfopt.measure.progress import ignore_progress
from selfopt.policy import decide
from selfopt.records import Cycle, Decision, Evaluation, Feedback, Finding, Phase, Rule, Spec, Split, utc_now
from selfopt.routing import RuleOptions, diff, generate_routing_rules

from .app import App
from .measuring import phase_of
from .reporting import write_artefacts

__all__ = [
    "CyclePreview",
    "current_feedback",
    "default_targets",
    "feedback_options",
    "loop_context",
    "parse_target",
    "preview",
    "promoted_specs",
    "rules_from",
    "run_loop",
]

Say = Callable[[LoopEvent], None]


def ignore_event(event: LoopEvent) -> None:
    """The listener of those who do not want to know."""


def parse_target(app: App, text: str) -> Target:
    """A `--baseline "MODEL PHASE VARIANT"` as typed; the variant may be left out (native_api)."""
    words = text.split()
    if len(words) not in (2, 3):
        raise UsageError(
            f'--baseline got {text!r}: write "MODEL PHASE VARIANT", for example "local/smollm2-135m atomic native_api"'
        )
    model, phase = app.resolve_model(words[0]), phase_of(words[1])
    return Target(model, phase, app.spec(model, phase, words[2] if len(words) == 3 else "native_api"))


def default_targets(app: App) -> list[Target]:
    """Every model and phase that the ledger has a baseline for; without one, the settings' default."""
    known = baselines(app.ledger) if app.has_ledger else {}
    if known:
        return [Target(model, phase) for model, phase in sorted(known)]
    return [parse_target(app, app.settings.loop.baseline)]


def feedback_options(
    app: App, known: Mapping[tuple[str, Phase], str], withdrawn: frozenset[tuple[str, str, str]] = frozenset()
) -> FeedbackOptions:
    """How evaluations are judged, from the settings."""
    references: dict[Phase, ReferenceSuite] = {}
    phases: tuple[Phase, ...] = ("atomic", "extended")
    for phase in phases:
        suite = app.suite(app.settings.suite_of(phase))
        split: Split = "all" if suite.scope == "whole" else "search"
        references[phase] = ReferenceSuite(suite.name, suite.content_id(), len(suite.select(split)))
    fallbacks: dict[Phase, Sequence[str]] = {phase: _fallbacks(app, phase, known) for phase in phases}
    return FeedbackOptions(
        now=utc_now(),
        is_local=app.settings.is_local,
        references=references,
        thresholds=app.settings.policy,
        fallbacks=fallbacks,
        baselines=known,
        allow_remote=app.settings.allow_remote,
        withdrawn=withdrawn,
        environments=app.environments(),
    )


def _fallbacks(app: App, phase: Phase, known: Mapping[tuple[str, Phase], str]) -> tuple[str, ...]:
    """The settings' candidates in their order; none named: every measured model, which the recommender then judges."""
    named = app.settings.fallbacks.atomic if phase == "atomic" else app.settings.fallbacks.extended
    if named:
        return tuple(app.resolve_model(name) for name in named)
    return tuple(sorted({model for model, p in known if p == phase}))


def loop_context(
    app: App,
    say: Say = ignore_event,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
    meter: BudgetMeter | None = None,
) -> LoopContext:
    """Everything one cycle needs."""
    settings = app.settings
    proposer = CatalogueProposer(app.variants, warm_up=settings.warm_up.enabled)
    measure_context = app.measure_context(progress)
    meter = meter or BudgetMeter(_budget(app), measure_context.clock)

    async def measure(specs: Sequence[Spec], cycle_id: str, label: str) -> Mapping[str, Evaluation]:
        options = MeasureOptions(
            n_runs=settings.loop.n_runs,
            sampling=True,
            sample_size=settings.loop.determinism_sample,
            labels=Labels(cycle_id=cycle_id),
            meter=meter,
        )
        return await measure_specs(specs, context=measure_context, options=options)

    def propose(baseline: Spec, findings: Sequence[Finding], tried: set[str], limit: int) -> Sequence[tuple[Spec, str]]:
        chosen = proposer.propose(baseline, findings, limit, exclude=frozenset(tried))
        return [(spec, describe_change(baseline, spec)) for spec in chosen]

    def diagnose(
        found: Sequence[Evaluation], known: Mapping[tuple[str, Phase], str], withdrawn: frozenset[tuple[str, str, str]]
    ) -> Feedback:
        return analyze(found, feedback_options(app, known, withdrawn))

    def judge(candidate: Evaluation, baseline: Evaluation | None, cycle_id: str) -> Decision:
        seen = app.environments().values()
        return decide(candidate, baseline, settings.policy, environments=seen, cycle_id=cycle_id, now=utc_now())

    return LoopContext(
        ledger=app.ledger,
        home=app.home,
        enforcer=app.enforcer,
        measure=measure,
        default_baseline=lambda model, phase: app.spec(model, phase, "native_api"),
        propose=propose,
        diagnose=diagnose,
        decide=judge,
        rule_options=RuleOptions(warm_up=settings.warm_up.enabled),
        with_warm_up=lambda spec: spec.model_copy(update={"warm_up": settings.warm_up_policy(True)}),
        unload=lambda spec: app.residency(spec.endpoint).unload(app.server_model(spec.model)),
        now=utc_now,
        say=say,
        write_artefacts=lambda: _written(app),
        on_step=app.on_step,
        enforce=settings.enforcement.enabled,
        max_candidates=settings.loop.max_candidates if max_candidates is None else max_candidates,
    )


def _written(app: App) -> None:
    write_artefacts(app)


def rules_from(app: App, feedback: Feedback, promoted: Mapping[tuple[str, Phase], Spec]) -> tuple[Rule, ...]:
    """The rules that recommendations and promoted specs ask for, merged into those in force."""
    return generate_routing_rules(
        feedback.recommendations,
        app.enforcer.load(),
        promoted=promoted,
        options=RuleOptions(warm_up=app.settings.warm_up.enabled),
    )


def _budget(app: App) -> Budget:
    limits = app.settings.limits
    return Budget(max_trials=limits.max_trials, max_minutes=limits.max_minutes, max_cost=limits.max_cost)


async def run_loop(
    app: App,
    targets: Sequence[Target],
    cycles: int = 1,
    candidates: Path | None = None,
    say: Say = ignore_event,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
) -> list[Cycle]:
    """Run whole cycles, the first from the targets as given, later ones from the baselines that came of them.

    Continues a cycle that was interrupted when it had the same targets. One at a time per home (LockedError).
    """
    if cycles < 1:
        raise UsageError(f"--cycles got {cycles}: at least 1")
    chosen = list(targets) or default_targets(app)
    app.require_ready({t.model for t in chosen})
    app.home.ensure()
    finished: list[Cycle] = []
    with ProcessLock(app.home.lock)("loop"):
        context = loop_context(app, say, progress, max_candidates)
        for number in range(cycles):
            if number:
                chosen = [Target(t.model, t.phase) for t in chosen]
            if candidates is not None:
                chosen = [_with_candidates(app, context, t, candidates) for t in chosen]
            finished.append(await run_cycle(context, chosen))
    return finished


def _with_candidates(app: App, context: LoopContext, target: Target, path: Path) -> Target:
    baseline = effective_baseline(context, target)
    return Target(target.model, target.phase, target.baseline, tuple(load_candidates(path, baseline, app.variants)))


@dataclass(frozen=True, slots=True)
class CyclePreview:
    """What a cycle would do: per target the baseline, the candidates (spec, what changes), trials when deterministic and
    when not; the change of rules that the present evidence asks for. Nothing is written."""

    targets: tuple[tuple[Target, Spec, tuple[tuple[Spec, str], ...]], ...]
    trials_deterministic: int
    trials_stochastic: int
    rule_changes: tuple[str, ...]


def preview(
    app: App, targets: Sequence[Target], candidates: Path | None = None, max_candidates: int | None = None
) -> CyclePreview:
    """The plan of the next cycle, from what the ledger holds now."""
    limit = app.settings.loop.max_candidates if max_candidates is None else max_candidates
    proposer = CatalogueProposer(app.variants, warm_up=app.settings.warm_up.enabled)
    planned, rules = [], []
    chosen = list(targets) or default_targets(app)
    low = high = 0
    for target in chosen:
        baseline, findings, tried = _preview_baseline(app, target)
        specs = (
            load_candidates(candidates, baseline, app.variants)
            if candidates
            else proposer.propose(baseline, findings, limit, exclude=tried)
        )
        pairs = tuple((s, describe_change(baseline, s)) for s in specs)
        planned.append((target, baseline, pairs))
        prompts = len(app.suite_for(baseline).select(baseline.split))
        requests = len({baseline.request_id, *(s.request_id for s in specs)})
        low += requests * (prompts + min(app.settings.loop.determinism_sample, prompts))
        high += requests * prompts * app.settings.loop.n_runs
    if app.has_ledger:
        known = baselines(app.ledger)
        feedback = analyze(evaluations(app.ledger), feedback_options(app, known))
        current = app.enforcer.load()
        rules = [change.describe() for change in diff(current, rules_from(app, feedback, promoted_specs(app, known)))]
    return CyclePreview(tuple(planned), low, high, tuple(rules))


def _preview_baseline(app: App, target: Target) -> tuple[Spec, Sequence[Finding], frozenset[str]]:
    if target.baseline is not None:
        baseline = target.baseline
    else:
        record = current_baseline(app.ledger, target.model, target.phase) if app.has_ledger else None
        baseline = spec_by_id(app.ledger, record.spec_id) if record else app.spec(target.model, target.phase, "native_api")
    if not app.has_ledger:
        return baseline, (), frozenset()
    findings = [
        f for f in app.ledger.read(Finding, {"model": target.model, "phase": target.phase}) if f.spec_id == baseline.spec_id
    ]
    tried = {
        d.candidate_spec_id for d in app.ledger.read(Decision, {"baseline_spec_id": baseline.spec_id}) if d.verdict != "promote"
    }
    return baseline, findings, frozenset(tried)


def promoted_specs(app: App, known: Mapping[tuple[str, Phase], str]) -> dict[tuple[str, Phase], Spec]:
    """The baseline specs that a decision promoted."""
    found: dict[tuple[str, Phase], Spec] = {}
    for key, spec_id in known.items():
        record = current_baseline(app.ledger, *key)
        if record is not None and record.source == "promotion":
            found[key] = spec_by_id(app.ledger, spec_id)
    return found


def current_feedback(app: App) -> Feedback:
    """Findings and recommendations from everything measured so far; writes nothing."""
    return analyze(evaluations(app.ledger), feedback_options(app, baselines(app.ledger), withdrawn_types(app.ledger)))
