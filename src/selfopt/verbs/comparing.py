"""`compare`: several models and variants on the same prompts, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from selfopt.errors import UsageError
from selfopt.home import ProcessLock
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import (
    ComparedRow,
    Comparison,
    Evaluation,
    Figure,
    Outcome,
    ParsedReply,
    Phase,
    PolicyRow,
    Prompt,
    Spec,
    Split,
    Suite,
    ToolCall,
    Trial,
    Variant,
    Verdict,
    content_hash,
    new_id,
    utc_now,
)
from selfopt.scoring import agent_counts, agent_score, argument_accuracy, call_accuracy, foreign_share, restraint, scorer_of
from selfopt.stats import Statistic, holm, jackknife, paired_jackknife
from selfopt.wiring.app import App

SIGNIFICANCE = 0.05
_FAULTS = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})
Counts = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What is compared. ollama: also every model that the settings' Ollama servers have installed. suites: names or files, all of one phase; none: the atomic reference suite. variants: none: what the
    rule in force serves a model with, else native_api. fresh: measure anew instead of going on with, or showing, what the
    same comparison measured before."""

    models: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    split: Split | None = None
    limit: int | None = None
    timeout_s: float | None = None
    warm_up: bool | None = None
    fresh: bool = False
    ollama: bool = False


@dataclass(frozen=True, slots=True)
class _Arm:
    """One row to be: a model with a variant, a spec for each suite."""

    model: str
    variant: Variant
    specs: tuple[Spec, ...]


async def installed_ollama_models(app: App) -> tuple[str, ...]:
    """`provider/name` of every model that the settings' Ollama servers have installed. UsageError when there is none."""
    found: list[str] = []
    asked: list[str] = []
    for name, entry in app.settings.endpoints.items():
        if not entry.traits.lists_models:
            continue
        asked.append(name)
        found += [f"{name}/{model}" for model in await app.sender.installed(name)]
    if not found:
        where = ", ".join(asked) or "no endpoint of kind ollama is set"
        raise UsageError(f"--ollama found no installed model ({where}); start Ollama and pull one: ollama pull qwen2.5:3b")
    return tuple(found)


async def compare_models(app: App, request: CompareRequest, progress: Callable[[Progress], None] = ignore_progress) -> Comparison:
    """Measure every model with every variant, one pass each, and compare them. Asked for the same again, it goes on where it
    was stopped, and shows what it has when it is through.

    Rules are not applied: exactly what is named is measured. Variants that differ in the parser only share their replies.
    Raises UsageError and its kin for what was typed, EndpointError for a server that cannot be used, LockedError.
    """
    if request.ollama:
        request = replace(request, models=(*request.models, *await installed_ollama_models(app)))
    suites = _suites(app, request)
    arms = _arms(app, request, suites)
    app.require_ready(dict.fromkeys(arm.model for arm in arms))
    specs = [spec for arm in arms for spec in arm.specs]
    limits = app.settings.limits
    what = [[s.spec_id for s in specs], request.limit]
    group = new_id("compare") if request.fresh else content_hash("compare", what)
    app.home.ensure()
    with ProcessLock(app.home.lock)("compare"):
        context = app.measure_context(progress)
        meter = BudgetMeter(Budget(limits.max_trials, limits.max_minutes, limits.max_tokens, limits.max_cost), context.clock)
        # In order, not interleaved: neighbours share the model and the beginning of the prompt, which servers keep.
        options = MeasureOptions(
            n_runs=1, sampling=False, limit=request.limit, shuffle_specs=False, labels=Labels(group_id=group), meter=meter
        )
        found = await measure_specs(specs, context=context, options=options)
    return _comparison(app, request, suites, arms, found, meter.stop_reason)


def _suites(app: App, request: CompareRequest) -> list[Suite]:
    suites = [app.suite(name) for name in _suite_names(app, request)]
    if len({suite.phase for suite in suites}) > 1:
        listed = ", ".join(f"{suite.name} ({suite.phase})" for suite in suites)
        raise UsageError(f"--suite names suites of two phases: {listed}; compare one phase at a time")
    return suites


def _suite_names(app: App, request: CompareRequest) -> list[str]:
    """As they were typed: a name, or the path of a file."""
    return list(dict.fromkeys(request.suites or (app.settings.suite_of("atomic"),)))


def _arms(app: App, request: CompareRequest, suites: Sequence[Suite]) -> list[_Arm]:
    phase = suites[0].phase
    options = {"split": request.split, "timeout_s": request.timeout_s, "warm_up": request.warm_up}
    arms = []
    for model in dict.fromkeys(app.resolve_model(name) for name in request.models):
        for variant in _variants(app, request, model, phase):
            specs = tuple(app.spec(model, phase, variant, {**options, "suite": name}) for name in _suite_names(app, request))
            arms.append(_Arm(model, variant, specs))
    if len(arms) < 1:
        raise UsageError("nothing to compare: name at least one model")
    return arms


def _variants(app: App, request: CompareRequest, model: str, phase: Phase) -> list[Variant]:
    if request.variants:
        return [app.variant(name) for name in dict.fromkeys(request.variants)]
    rule = app.enforcer.load(repair_pending=False).rule_for(model, phase)
    return [rule.variant if rule is not None and rule.variant is not None else app.variant("native_api")]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A row's material. counts: by (suite, prompt id)."""

    arm: _Arm
    counts: Mapping[tuple[str, str], Counts]
    passed: int
    faults: int
    latencies: list[float]
    tokens: list[tuple[int, int]]
    evaluations: tuple[Evaluation, ...]


def _comparison(
    app: App,
    request: CompareRequest,
    suites: Sequence[Suite],
    arms: Sequence[_Arm],
    found: Mapping[str, Evaluation],
    stopped: str | None,
) -> Comparison:
    whole = [arm for arm in arms if all(spec.spec_id in found for spec in arm.specs)]
    measured = [_measured(app, arm, suites, [found[s.spec_id] for s in arm.specs]) for arm in whole]
    keys = [key for m in measured[:1] for key in m.counts]
    clusters, unit = _clusters(suites, keys)
    rows = sorted((_row(m, clusters) for m in measured), key=lambda pair: -pair[1].agent_score.value)
    split = {spec.suite: spec.split for arm in arms for spec in arm.specs}
    return Comparison(
        suites=tuple(suite.name for suite in suites),
        phase=suites[0].phase,
        splits=tuple(split[suite.name] for suite in suites),
        prompts=len(keys),
        tool_sets=len(set(clusters.values())),
        unit=unit,
        rows=_marked(rows, clusters),
        policies=_policies(suites, set(keys)),
        unmeasured=tuple(f"{arm.model} {arm.variant.name}" for arm in arms if arm not in whole),
        stopped=stopped,
        at=utc_now(),
    )


def _policies(suites: Sequence[Suite], keys: set[tuple[str, str]]) -> tuple[PolicyRow, ...]:
    """The silent and the always-calling policy, judged like any reply."""
    sums: dict[str, list[Counts]] = {"never calls": [], "always calls the first tool": []}
    for suite in suites:
        judge = scorer_of(suite.judging).judge
        for prompt in suite.prompts:
            if (suite.name, prompt.id) in keys:
                tools = suite.tools_of(prompt)
                first = ParsedReply(tool_calls=tuple(ToolCall(name=tool.name) for tool in tools[:1]))
                for name, parsed in zip(sums, (ParsedReply(), first), strict=True):
                    sums[name].append(agent_counts(prompt, judge(prompt, tools, parsed, None).outcome, parsed))
    rows = []
    for name, counts in sums.items():
        total = [sum(column) for column in zip(*counts, strict=True)]
        if total:
            score = agent_score(total) or 0.0
            rows.append(PolicyRow(name=name, agent_score=score, call_accuracy=call_accuracy(total), restraint=restraint(total)))
    return tuple(rows)


def _measured(app: App, arm: _Arm, suites: Sequence[Suite], evaluations: Sequence[Evaluation]) -> _Measured:
    counts: dict[tuple[str, str], Counts] = {}
    latencies: list[float] = []
    tokens: list[tuple[int, int]] = []
    faults = passed = 0
    for suite, evaluation in zip(suites, evaluations, strict=True):
        prompts: dict[str, Prompt] = {prompt.id: prompt for prompt in suite.prompts}
        for run_id in evaluation.run_ids:
            for trial in app.ledger.read(Trial, {"run_id": run_id}):
                latencies.append(trial.latency_ms)
                tokens.append((trial.usage.input_tokens or 0, trial.usage.output_tokens or 0))
            for verdict in app.ledger.read(Verdict, {"run_id": run_id}):
                if (verdict.parser_hash, verdict.scorer_hash) == (evaluation.parser_hash, evaluation.scorer_hash):
                    counts[suite.name, verdict.prompt_id] = agent_counts(
                        prompts[verdict.prompt_id], verdict.outcome, verdict.parsed
                    )
                    faults += verdict.outcome in _FAULTS
                    passed += verdict.outcome is Outcome.PASS
    return _Measured(arm, counts, passed, faults, latencies, tokens, tuple(evaluations))


def _clusters(suites: Sequence[Suite], keys: Sequence[tuple[str, str]]) -> tuple[dict[tuple[str, str], str], str]:
    """The tool set of every prompt; each prompt by itself where there is one tool set only, which bounds nothing."""
    sets = {(suite.name, prompt.id): f"{suite.name} {prompt.tool_set}" for suite in suites for prompt in suite.prompts}
    found = {key: sets[key] for key in keys}
    if len(set(found.values())) > 1:
        return found, "tool set"
    return {key: " ".join(key) for key in keys}, "prompt"


def _summed(
    m: _Measured, clusters: Mapping[tuple[str, str], str], carries: Callable[[Counts], bool] = lambda _: True
) -> list[Counts]:
    """The sums of each cluster that carries a figure, in one order for every row."""
    sums: dict[str, list[float]] = {}
    for key, cluster in clusters.items():
        counted = m.counts.get(key)
        if counted is None:
            continue
        known = sums.setdefault(cluster, [0.0] * len(counted))
        for i, value in enumerate(counted):
            known[i] += value
    return [tuple(s) for s in sums.values() if carries(tuple(s))]


def _figure(m: _Measured, clusters: Mapping[tuple[str, str], str], statistic: Statistic) -> Figure | None:
    # A cluster without a prompt of that sort says nothing about the figure and would only seem to add certainty.
    estimate = jackknife(_summed(m, clusters, lambda sums: statistic(sums) is not None), statistic)
    return None if estimate is None else Figure(value=estimate.value, low=estimate.low, high=estimate.high)


def _accuracy(sums: Sequence[float]) -> float | None:
    return (sums[1] + sums[3]) / sums[4] if sums[4] else None


def _row(m: _Measured, clusters: Mapping[tuple[str, str], str]) -> tuple[_Measured, ComparedRow]:
    accuracy, score = _figure(m, clusters, _accuracy), _figure(m, clusters, agent_score)
    assert accuracy is not None
    assert score is not None
    total = [sum(column) for column in zip(*m.counts.values(), strict=True)]
    return m, ComparedRow(
        model=m.arm.model,
        variant=m.arm.variant.name,
        replies=len(m.counts),
        faults=m.faults,
        call_accuracy=_figure(m, clusters, call_accuracy),
        restraint=_figure(m, clusters, restraint),
        accuracy=accuracy,
        agent_score=score,
        argument_accuracy=_figure(m, clusters, argument_accuracy),
        foreign_share=foreign_share(total) or 0.0,
        p50_ms=median(m.latencies) if m.latencies else None,
        input_tokens=median(t[0] for t in m.tokens) if m.tokens else 0.0,
        output_tokens=median(t[1] for t in m.tokens) if m.tokens else 0.0,
        evaluation_ids=tuple(e.evaluation_id for e in m.evaluations),
        run_ids=tuple(run_id for e in m.evaluations for run_id in e.run_ids),
    )


def _marked(rows: Sequence[tuple[_Measured, ComparedRow]], clusters: Mapping[tuple[str, str], str]) -> tuple[ComparedRow, ...]:
    """The rows with how far each is behind the best, and whether that can be told from chance."""
    if not rows:
        return ()
    best = _summed(rows[0][0], clusters)
    differences = [paired_jackknife(_summed(m, clusters), best, agent_score) for m, _ in rows[1:]]
    adjusted = holm([1.0 if d is None or d.p_value is None else d.p_value for d in differences])
    marked = [rows[0][1]]
    for (_, row), difference, p_value in zip(rows[1:], differences, adjusted, strict=True):
        update: dict[str, object] = {"p_value": p_value, "distinguishable": p_value <= SIGNIFICANCE}
        if difference is not None:
            update["behind"] = Figure(value=difference.value, low=difference.low, high=difference.high)
        marked.append(row.model_copy(update=update))
    return tuple(marked)
