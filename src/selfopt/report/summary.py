"""SELF_OPTIMIZING_REPORT.md: improvements, the effect of warm-up and fallbacks, baselines, next
steps.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from selfopt.home import counted
from selfopt.records import (
    Cycle,
    CycleTargetResult,
    Decision,
    Evaluation,
    Finding,
    LookCost,
    Recommendation,
    Rule,
)
from selfopt.words.decisions import REASONS
from selfopt.words.evidence import METRICS, on_prompts
from selfopt.words.findings import HELPED, experiment_text, not_confirmed_yet
from selfopt.words.kinds import ACTIONS, BASELINE_SOURCES, EVENTS, FINDINGS, VERDICTS, plain
from selfopt.words.rules import ban_text, when_text
from selfopt.words.spending import spent_text

from .calibrations import calibrations_text
from .costs import calibration_pays, costs_text
from .escape import code, safe_markdown
from .figures import NOT_MEASURED, arrow, milliseconds, prompts, share, signed
from .gather import ReportData, WarmUpPair
from .markdown import Evidence, bullets, measured, table
from .searches import searches_text
from .standings import standings

_FAULTS = 10
RUN_LOOP = "run `selfopt loop --cycles 1`"
RUN_WARM_UP = "run `selfopt supervise MODEL PHASE --validate-warm-up`"
RUN_ENFORCE = "run `selfopt feedback`, then `selfopt enforce`"


def report_text(data: ReportData) -> str:
    """The text of SELF_OPTIMIZING_REPORT.md."""
    lines = ["# Self-Optimizing Report", "", *damage(data), as_of(data), "", *serving_lines(data)]
    for title, body in sections(data):
        lines += [f"## {title}", "", *body, ""]
    return "\n".join(lines).rstrip() + "\n"


def serving_lines(data: ReportData) -> list[str]:
    """Whether each model may serve, and how well it does."""
    told = [safe_markdown(" ".join([f"{one.sentence}.", *one.details]), limit=1000) for one in standings(data)]
    return ["## What may serve", "", *bullets(told, ""), ""] if told else []


def sections(data: ReportData) -> list[tuple[str, list[str]]]:
    """The title and the lines of each section, the evaluations behind the figures last."""
    evidence = Evidence()
    made = [
        ("Improvements made", _improvements(data, evidence)),
        *((("Searches", searches_text(data.searches)),) if data.searches else ()),
        *(
            (("Serving when sure", calibrations_text(data.calibrations, partial(calibration_pays, data))),)
            if data.calibrations
            else ()
        ),
        ("Warm-up impact", _warm_up(data, evidence)),
        ("Fallback impact", _fallbacks(data, evidence)),
        ("New baseline", _baselines(data, evidence)),
        *((("Costs", costs),) if (costs := costs_text(data)) else ()),
        ("Next steps", _next_steps(data)),
    ]
    return [*made, *((("Evidence", listed),) if (listed := evidence.table()) else ())]


def damage(data: ReportData) -> list[str]:
    """The warning about a changed ledger, which readers need first."""
    if not data.faults:
        return []
    told = [safe_markdown(fault.sentence()) for fault in data.faults[:_FAULTS]]
    if len(data.faults) > _FAULTS:
        told.append(f"and {len(data.faults) - _FAULTS} more")
    intro = (
        "The ledger is not what was committed to it. What follows may be wrong. `selfopt audit verify` lists every record that is not "
        "as it was committed. It can't list a record that others name and that was never committed."
    )
    return ["## Changed evidence", "", intro, "", *bullets(told, ""), ""]


def as_of(data: ReportData) -> str:
    if not data.cycles:
        return f"No cycle has been finished yet: {RUN_LOOP}."
    last = data.cycles[-1]
    count = f"{len(data.cycles)} cycle" + ("" if len(data.cycles) == 1 else "s")
    version = "no rules in force" if data.config is None else f"rules version {data.config.version}"
    at = safe_markdown(last.ended_at[:16].replace("T", " "))
    return f"As of {at} UTC: {count}, {counted(sum(c.trials for c in data.cycles), 'trial')}, {version}."


# Improvements made


def _improvements(data: ReportData, evidence: Evidence) -> list[str]:
    if not data.cycles:
        return [f"Not measured yet: {RUN_LOOP}."]
    rows = [_promoted(data, evidence, c, t) for c in data.cycles for t in c.targets if t.winner_spec_id is not None]
    lines = ["No candidate has been promoted yet."]
    if rows:
        heads = ["cycle", "model and phase", "change", "accuracy", "gain", "call accuracy", "restraint", "p50", "evidence"]
        lines = table(heads, rows)
        if any(_on_heldout(data, t) for c in data.cycles for t in c.targets):
            lines += [
                "",
                "A gain on held-out prompts can differ from the accuracies beside it, which are those of the search prompts.",
            ]
    lines += _spent(data)
    lines += _taken_back(data)
    held = [_held(data, evidence, c, t) for c in data.cycles for t in c.targets if t.winner_spec_id is None and t.candidates]
    return lines + (["", "Not promoted:", "", *bullets(held, "")] if held else [])


def _spent(data: ReportData) -> list[str]:
    """How much of the chance of error each model and phase has spent, as its newest looks tell."""
    newest: dict[tuple[str, str, str], LookCost] = {}
    for cycle in data.cycles:
        for row in (row for target in cycle.targets for row in target.candidates):
            decision = data.decisions.get(row.decision_id)
            if decision is None:
                continue
            for cost in decision.evidence.costs:
                newest[decision.model, decision.phase, cost.purpose] = cost
    if not newest:
        return []
    told = [f"{code(model)} {phase}: {spent_text(cost)}" for (model, phase, _), cost in newest.items()]
    return ["", "Chance of error, of a model and phase on the suite of its newest look:", "", *bullets(told, "")]


def _taken_back(data: ReportData) -> list[str]:
    if not data.bans:
        return []
    lift = "`selfopt routes unban MODEL PHASE` lets it be tried again."
    return ["", f"Taken back. {lift}", "", *bullets([safe_markdown(ban_text(ban)) for ban in data.bans], "")]


def _promoted(data: ReportData, evidence: Evidence, cycle: Cycle, target: CycleTargetResult) -> list[str]:
    candidate = next((c for c in target.candidates if c.spec_id == target.winner_spec_id), None)
    before = data.evaluations.get(target.baseline_evaluation_id or "")
    after = data.evaluations.get((candidate.evaluation_id if candidate else None) or "")
    pairs = [
        arrow(share(b), share(a))
        for b, a in (
            (target.baseline_accuracy, candidate.accuracy if candidate else None),
            (before.metrics.call_accuracy if before else None, candidate.call_accuracy if candidate else None),
            (before.metrics.restraint if before else None, candidate.restraint if candidate else None),
        )
    ]
    p50 = arrow(*(milliseconds(e.metrics.p50_ms if e else None) for e in (before, after)))
    change = arrow(code(target.baseline_variant), code(target.winner_variant or ""))
    if candidate is not None:
        change = on_prompts(safe_markdown(candidate.changed) or change, synthetic=candidate.synthetic)
    name = f"{code(target.model)} {target.phase}"
    return [str(cycle.number), name, change, pairs[0], signed(target.improvement), *pairs[1:], p50, evidence.ref(before, after)]


def _on_heldout(data: ReportData, target: CycleTargetResult) -> bool:
    """Whether the gain of the promoted candidate was measured on held-out prompts."""
    won = next((c for c in target.candidates if c.spec_id == target.winner_spec_id), None)
    decision = data.decisions.get(won.decision_id) if won is not None else None
    heldout = decision.evidence.heldout if decision is not None else None
    return decision is not None and heldout is not None and heldout.estimate is not None and heldout.estimate == decision.estimate


def _held(data: ReportData, evidence: Evidence, cycle: Cycle, target: CycleTargetResult) -> str:
    best = max(target.candidates, key=lambda c: -1.0 if c.accuracy is None else c.accuracy)
    decision = data.decisions.get(best.decision_id)
    why = _failed_gates(decision) if decision else "; ".join(safe_markdown(REASONS.get(r, plain(r))) for r in best.reason_codes)
    shares = f"accuracy {share(best.accuracy)}, baseline {share(target.baseline_accuracy)}"
    return (
        f"cycle {cycle.number}, {code(target.model)} {target.phase}: best candidate {code(best.variant)} "
        f"({on_prompts(shares, synthetic=best.synthetic)}): {VERDICTS[best.verdict]}, {why or 'no reason recorded'} "
        f"({evidence.ref(data.evaluations.get(best.evaluation_id or ''))})"
    )


def _failed_gates(decision: Decision) -> str:
    return "; ".join(
        f"the gate {safe_markdown(plain(g.name))} saw {_value(g.observed)} and needs {_value(g.threshold)} "
        f"({safe_markdown(REASONS.get(g.reason_code, plain(g.reason_code)))})"
        for g in decision.gates
        if g.binding and g.passed is not True
    )


def _value(value: float | str | None) -> str:
    if value is None:
        return "no data"
    return safe_markdown(value) if isinstance(value, str) else f"{value:.4g}"


# Warm-up impact


def _warm_up(data: ReportData, evidence: Evidence) -> list[str]:
    lines = [] if data.warm_ups else [f"Not measured yet: {RUN_WARM_UP}."]
    for pair in reversed(data.warm_ups):
        lines += ["", *_pair(pair, evidence)] if lines else _pair(pair, evidence)
    checks = [
        f"Cycle {cycle.number}, {code(check.model)} {check.phase}: the enforced warm-up {HELPED[check.helped]}"
        f"{', withdrawn' if check.withdrawn else ''}{f' ({safe_markdown(check.detail)})' if check.detail else ''}."
        for cycle in data.cycles
        for check in cycle.remedies
        if check.claim == "warm_up"
    ]
    return lines + [line for check in checks for line in ("", check)]


def _pair(pair: WarmUpPair, evidence: Evidence) -> list[str]:
    cold, warm = pair.cold, pair.warm
    how = "one validation, the cold arm after a forced unload" if pair.validation else "two separate measurements"
    rows = [
        [METRICS["accuracy"], share(cold.metrics.accuracy), share(warm.metrics.accuracy)],
        [METRICS["variance"], f"{cold.metrics.variance:.4f}", f"{warm.metrics.variance:.4f}"],
        [METRICS["first_call_ms"], milliseconds(cold.metrics.first_call_ms), milliseconds(warm.metrics.first_call_ms)],
        [METRICS["p50_ms"], milliseconds(cold.metrics.p50_ms), milliseconds(warm.metrics.p50_ms)],
    ]
    intro = f"{code(warm.model)} {warm.phase}, variant {code(warm.variant)} ({how}, {prompts(warm)}; {evidence.ref(cold)} and {evidence.ref(warm)}):"
    lines = [intro, "", *table(["", "without warm-up", "with warm-up"], rows)]
    after = {row.prompt_id: row.letters for row in warm.rows}
    changed = [row for row in cold.rows if row.prompt_id in after and after[row.prompt_id] != row.letters]
    if changed:
        pairs = [[safe_markdown(r.prompt_id), code(r.letters), code(after[r.prompt_id])] for r in changed]
        lines += ["", "Rows that changed, run by run (P: right, F: not right):", "", *table(["prompt", "without", "with"], pairs)]
    return [*lines, "", f"That warm-up helps is {confirmation_text(pair)}."]


def confirmation_text(pair: WarmUpPair) -> str:
    """What the experiment says about the warm-up of a pair, or how to make an experiment."""
    if pair.experiment is None:
        return safe_markdown(not_confirmed_yet(pair.warm.model, pair.warm.phase))
    return safe_markdown(experiment_text(pair.experiment))


# Fallback impact


def _fallbacks(data: ReportData, evidence: Evidence) -> list[str]:
    rules = [rule for rule in (data.config.rules if data.config else ()) if not rule.allow]
    if not rules:
        started = (
            f"No rules are in force: {RUN_ENFORCE}." if data.config is None else "No model is disallowed by the rules in force."
        )
        return [started, *_diverted(data)]
    rows = [_fallback_row(data, evidence, rule) for rule in rules]
    return [*table(["model and phase", "served by", "alone", "fallback", "why", "evidence"], rows), *_diverted(data)]


def _fallback_row(data: ReportData, evidence: Evidence, rule: Rule) -> list[str]:
    named = (data.evaluations.get(item) for item in rule.evidence)
    own = next((e for e in named if e and e.model == rule.model), None) or data.standing(rule.model, rule.phase)
    other = _serving(data, rule)
    return [
        f"{code(rule.model)} {rule.phase}"
        + (f", {safe_markdown(when_text(rule.when, data.set_names))}" if rule.when is not None else ""),
        code(rule.fallback) if rule.fallback else "nobody: refused",
        measured(own),
        measured(other) if rule.fallback else "-",
        safe_markdown(rule.reason) or "no reason recorded",
        evidence.ref(own, other),
    ]


def _serving(data: ReportData, rule: Rule) -> Evaluation | None:
    if rule.fallback is None or data.config is None:
        return None
    serving = data.config.rule_for(rule.fallback, rule.phase)
    spec_id = serving.spec_id if serving else None
    return (data.newest(rule.fallback, rule.phase, spec_id) if spec_id else None) or data.standing(rule.fallback, rule.phase)


def _diverted(data: ReportData) -> list[str]:
    counts = Counter(record.event for record in data.audit)
    if not counts:
        return []
    listed = ", ".join(f"{safe_markdown(EVENTS.get(event, plain(event)))}: {count}" for event, count in sorted(counts.items()))
    return ["", f"The audit trail holds {listed}."]


# New baseline


def _baselines(data: ReportData, evidence: Evidence) -> list[str]:
    if not data.baselines:
        return [f"None yet: {RUN_LOOP}."]
    rows = []
    for baseline in data.baselines:
        evaluation = data.newest(baseline.model, baseline.phase, baseline.spec_id)
        name = f"{code(baseline.model)} {baseline.phase}"
        variant = code(evaluation.variant) if evaluation else NOT_MEASURED
        warm_up = NOT_MEASURED if evaluation is None else "yes" if evaluation.warm_up else "no"
        rows.append(
            [
                name,
                variant,
                warm_up,
                measured(evaluation),
                BASELINE_SOURCES[baseline.source],
                code(baseline.spec_id),
                evidence.ref(evaluation),
            ]
        )
    return table(["model and phase", "variant", "warm-up", "accuracy", "by", "spec", "evidence"], rows)


# Next steps


def _next_steps(data: ReportData) -> list[str]:
    if not data.cycles:
        return [f"- {RUN_LOOP}"]
    last = data.cycles[-1]
    # That a model may keep serving is not a step.
    advice = [r for r in data.recommendations if r.id in last.recommendations and r.action != "allow" and not _in_force(data, r)]
    steps = [_recommended(r) for r in advice]
    told = {item for r in advice for item in r.evidence}
    steps += [_found(f) for f in data.findings if f.finding_id in last.findings and f.finding_id not in told]
    steps += [
        f"{code(t.model)} {t.phase}: nothing beat {code(t.baseline_variant)}; try other candidates (`selfopt loop --candidates FILE`)"
        for t in last.targets
        if t.winner_spec_id is None and t.candidates
    ]
    steps += [
        f"verify what was promoted last, {code(t.winner_variant or '')} for {code(t.model)} {t.phase}: {RUN_LOOP}"
        for t in last.targets
        if t.winner_spec_id is not None
    ]
    return bullets(
        list(dict.fromkeys(steps)), "Nothing was found that needs attention; measure again when models or suites change."
    )


def _in_force(data: ReportData, item: Recommendation) -> bool:
    """Whether a recommended warm-up is already on and needs no experiment."""
    rule = data.config.rule_for(item.model, item.phase) if data.config is not None else None
    asks = item.confirmation is not None and item.confirmation.status == "not_confirmed_yet"
    return item.action == "enable_warm_up" and rule is not None and rule.warm_up and not asks


def _recommended(item: Recommendation) -> str:
    fallback = f", with {code(item.fallback)} in its place" if item.fallback else ""
    action = ACTIONS[item.action]
    # The reason names the model and the phase.
    return f"{action[0].upper()}{action[1:]}{fallback}: {safe_markdown(item.reason)} ({code(item.id)})"


def _found(item: Finding) -> str:
    return f"{code(item.model)} {item.phase}: {FINDINGS[item.type]}: {safe_markdown(item.summary)} ({code(item.finding_id)})"
