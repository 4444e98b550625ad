"""`compare`: measures several models and variants on the same prompts, for one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from statistics import median

from selfopt.errors import UsageError
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import (
    ComparedRow,
    Comparison,
    Evaluation,
    Fault,
    Figure,
    Outcome,
    ParsedReply,
    Phase,
    PolicyRow,
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
from selfopt.wiring.evidence import only_reads
from selfopt.wiring.holding import measuring

from .costing import request_cost

SIGNIFICANCE = 0.05
_FAULTS = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})
_NO_REPLY: frozenset[Fault | None] = frozenset({"timeout", "loading", "error"})
Counts = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What is compared.

    Attributes:
        models: names or aliases.
        suites: names or files, all of one phase; empty for the atomic reference suite.
        variants: names; empty for the variant of the rule in force, else native_api.
        split: None for each suite's default.
        limit: measure only the first so many prompts.
        timeout_s: in seconds; None for the settings'.
        fresh: measure again instead of continuing or showing the same earlier comparison.
        ollama: add every model that the settings' Ollama servers have installed.
    """

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
    """What becomes one row: a model with a variant, and a spec for each suite."""

    model: str
    variant: Variant
    specs: tuple[Spec, ...]


async def installed_ollama_models(app: App) -> tuple[str, ...]:
    """List the full names of all models installed at the settings' Ollama servers.

    Raises:
        UsageError: there is none.
    """
    asked = [name for name, entry in app.settings.endpoints.items() if entry.traits.lists_models]
    found = tuple([f"{name}/{model}" for name in asked for model in await app.sender.installed(name) or ()])
    if not found:
        where = ", ".join(asked) or "no endpoint of kind ollama is set"
        raise UsageError(f"--ollama found no installed model ({where}); start Ollama and pull one: ollama pull qwen2.5:3b")
    return found


async def compare_models(app: App, request: CompareRequest, progress: Callable[[Progress], None] = ignore_progress) -> Comparison:
    """Measure every model with every variant, one pass each, and compare them.

    The same request continues an interrupted comparison and shows a finished one, also in a home
    that cannot be written. Rules do not apply: exactly what is named is measured. Variants that
    differ only in the parser share replies.

    Raises:
        UsageError: a value that was typed is wrong.
        EndpointError: a server cannot be used.
        LockedError: another measurement works in this home.
    """
    if request.ollama:
        request = replace(request, models=(*request.models, *await installed_ollama_models(app)))
    suites = _suites(app, request)
    arms = _arms(app, request, suites)
    app.require_ready(dict.fromkeys(arm.model for arm in arms))
    specs = [spec for arm in arms for spec in arm.specs]
    what = [[s.spec_id for s in specs], request.limit]
    group = new_id("compare") if request.fresh else content_hash("compare", what)
    if not only_reads(app):
        app.home.ensure()
    with nullcontext() if only_reads(app) else measuring(app, "compare", [spec.model for spec in specs]):
        context = app.measure_context(progress)
        meter = BudgetMeter(app.budget, context.clock)
        # Not interleaved: servers cache the model and prompt prefix that neighbouring trials share.
        options = MeasureOptions(
            n_runs=1,
            sampling=False,
            limit=request.limit,
            shuffle_specs=False,
            labels=Labels(group_id=group),
            meter=meter,
            carries_on=True,
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
    """Return the suites as typed: names or paths."""
    return list(dict.fromkeys(request.suites or (app.settings.suite_of("atomic"),)))


def _arms(app: App, request: CompareRequest, suites: Sequence[Suite]) -> list[_Arm]:
    phase = suites[0].phase
    options = {"split": request.split, "timeout_s": request.timeout_s, "warm_up": request.warm_up}
    names = _suite_names(app, request)
    arms = [
        _Arm(model, variant, tuple(app.spec(model, phase, variant, {**options, "suite": name}) for name in names))
        for model in dict.fromkeys(app.resolve_model(name) for name in request.models)
        for variant in _variants(app, request, model, phase)
    ]
    if not arms:
        raise UsageError("nothing to compare: name at least one model")
    return arms


def _variants(app: App, request: CompareRequest, model: str, phase: Phase) -> list[Variant]:
    if request.variants:
        return [app.variant(name) for name in dict.fromkeys(request.variants)]
    rule = app.enforcer.load(repair_pending=False).rule_for(model, phase, app.settings.one_name)
    return [rule.variant if rule is not None and rule.variant is not None else app.variant("native_api")]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a row is made from. counts: by (suite, prompt id)."""

    arm: _Arm
    counts: Mapping[tuple[str, str], Counts]
    faults: int
    unread: int
    trials: Sequence[Trial]
    evaluations: Sequence[Evaluation]
    cost: float | None


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
    rows = sorted((_row(m, clusters) for m in measured), key=lambda pair: -_score(pair[1]))
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
        currency=app.settings.currency,
        synthetic=tuple(suite.name for suite in suites if suite.synthetic is not None),
    )


def _policies(suites: Sequence[Suite], keys: set[tuple[str, str]]) -> tuple[PolicyRow, ...]:
    """Judge the silent and the always-calling policy like any reply."""
    sums: dict[str, list[Counts]] = {"never calls": [], "always calls the first tool": []}
    for suite in suites:
        judge = scorer_of(suite.judging).judge
        for prompt in suite.prompts:
            if (suite.name, prompt.id) in keys:
                tools = suite.tools_of(prompt)
                first = ParsedReply(tool_calls=tuple(ToolCall(name=tool.name) for tool in tools[:1]))
                for name, parsed in zip(sums, (ParsedReply(), first), strict=True):
                    sums[name].append(agent_counts(prompt, judge(prompt, tools, parsed, None).outcome, parsed))
    totals = {name: [sum(column) for column in zip(*counts, strict=True)] for name, counts in sums.items()}
    return tuple(
        PolicyRow(name=name, agent_score=agent_score(t) or 0.0, call_accuracy=call_accuracy(t), restraint=restraint(t))
        for name, t in totals.items()
        if t
    )


def _measured(app: App, arm: _Arm, suites: Sequence[Suite], evaluations: Sequence[Evaluation]) -> _Measured:
    counts: dict[tuple[str, str], Counts] = {}
    trials: list[Trial] = []
    faults = unread = 0
    for suite, evaluation in zip(suites, evaluations, strict=True):
        prompts = {prompt.id: prompt for prompt in suite.prompts}
        for run_id in evaluation.run_ids:
            trials += app.ledger.read(Trial, {"run_id": run_id})
            for verdict in app.ledger.read(Verdict, {"run_id": run_id}):
                if (verdict.parser_hash, verdict.scorer_hash) == (evaluation.parser_hash, evaluation.scorer_hash):
                    counts[suite.name, verdict.prompt_id] = agent_counts(
                        prompts[verdict.prompt_id], verdict.outcome, verdict.parsed
                    )
                    faults += verdict.outcome in _FAULTS
                    unread += verdict.outcome is Outcome.UNPARSED
    cost = request_cost(app.settings, arm.model, trials).mean
    return _Measured(arm, counts, faults, unread, trials, evaluations, cost)


def _clusters(suites: Sequence[Suite], keys: Sequence[tuple[str, str]]) -> tuple[dict[tuple[str, str], str], str]:
    """Cluster the prompts by tool set, or each by itself when there is only one tool set.

    Returns the cluster of each prompt and the name of the unit. One cluster would give no interval.
    """
    sets = {(suite.name, prompt.id): f"{suite.name} {prompt.tool_set}" for suite in suites for prompt in suite.prompts}
    found = {key: sets[key] for key in keys}
    if len(set(found.values())) > 1:
        return found, "tool set"
    return {key: " ".join(key) for key in keys}, "prompt"


def _summed(
    m: _Measured, clusters: Mapping[tuple[str, str], str], carries: Callable[[Counts], bool] = lambda _: True
) -> list[Counts]:
    """Sum the counts of each cluster that carries a figure, in the same order for every row."""
    sums: dict[str, Counts] = {}
    for key, cluster in clusters.items():
        if (counted := m.counts.get(key)) is not None:
            known = sums.get(cluster, (0.0,) * len(counted))
            sums[cluster] = tuple(a + b for a, b in zip(known, counted, strict=True))
    return list(filter(carries, sums.values()))


def _figure(m: _Measured, clusters: Mapping[tuple[str, str], str], statistic: Statistic) -> Figure | None:
    # A cluster without such a prompt says nothing about the figure but would narrow the interval.
    estimate = jackknife(_summed(m, clusters, lambda sums: statistic(sums) is not None), statistic)
    return None if estimate is None else Figure(value=estimate.value, low=estimate.low, high=estimate.high)


def _accuracy(sums: Sequence[float]) -> float | None:
    return (sums[1] + sums[3]) / sums[4] if sums[4] else None


def _row(m: _Measured, clusters: Mapping[tuple[str, str], str]) -> tuple[_Measured, ComparedRow]:
    accuracy = _figure(m, clusters, _accuracy)
    assert accuracy is not None
    answered = m.faults < len(m.counts)
    asked = [trial for trial in m.trials if trial.asked]
    silent = [trial for trial in m.trials if trial.fault in _NO_REPLY]
    total = [sum(column) for column in zip(*m.counts.values(), strict=True)]
    return m, ComparedRow(
        model=m.arm.model,
        variant=m.arm.variant.name,
        replies=len(m.counts),
        faults=m.faults,
        unread=m.unread,
        call_accuracy=_figure(m, clusters, call_accuracy) if answered else None,
        restraint=_figure(m, clusters, restraint) if answered else None,
        accuracy=accuracy,
        agent_score=_figure(m, clusters, agent_score) if answered else None,
        argument_accuracy=_figure(m, clusters, argument_accuracy) if answered else None,
        foreign_share=foreign_share(total) or 0.0,
        p50_ms=median(t.latency_ms for t in asked) if asked else None,
        input_tokens=median(t.usage.input_tokens or 0 for t in asked) if asked else 0.0,
        output_tokens=median(t.usage.output_tokens or 0 for t in asked) if asked else 0.0,
        evaluation_ids=tuple(e.evaluation_id for e in m.evaluations),
        run_ids=tuple(run_id for e in m.evaluations for run_id in e.run_ids),
        cause=next((trial.cause for trial in silent if trial.cause is not None), None),
        said=next((text for trial in silent if (text := trial.said or _error_of(trial))), ""),
        cost=m.cost,
    )


def _score(row: ComparedRow) -> float:
    return -1.0 if row.agent_score is None else row.agent_score.value


def _error_of(trial: Trial) -> str:
    """What went wrong in the last attempt of a trial."""
    return next((a.error for e in reversed(trial.exchanges) for a in reversed(e.attempts) if a.error), "")


def _marked(rows: Sequence[tuple[_Measured, ComparedRow]], clusters: Mapping[tuple[str, str], str]) -> tuple[ComparedRow, ...]:
    """Add to each row with a score how far it is behind the best and whether chance can explain that."""
    scored = [(m, row) for m, row in rows if row.agent_score is not None]
    return (*_behind(scored, clusters), *(row for _, row in rows if row.agent_score is None))


def _behind(rows: Sequence[tuple[_Measured, ComparedRow]], clusters: Mapping[tuple[str, str], str]) -> tuple[ComparedRow, ...]:
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
