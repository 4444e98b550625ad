"""META_LEARNINGS.md: what was learnt, each with its measured status and the decision in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from selfopt.home import counted
from selfopt.records import CandidateResult, Cycle, CycleTargetResult, Rule
from selfopt.words.evidence import on_prompts
from selfopt.words.findings import HELPED
from selfopt.words.kinds import FINDINGS, VERDICTS
from selfopt.words.rules import when_text
from selfopt.words.thresholds import verdict_text

from .escape import code, safe_markdown
from .figures import arrow, milliseconds, share, signed
from .gather import ReportData, WarmUpPair
from .markdown import Evidence, bullets, measured
from .summary import RUN_ENFORCE, RUN_LOOP, RUN_WARM_UP, confirmation_text

NOT_YET = "Not measured yet"
FASTER = 0.7
"""Warm-up removed a latency if the first call takes at most this share of the cold one."""


def learnings_text(data: ReportData) -> str:
    """The text of META_LEARNINGS.md."""
    evidence = Evidence()
    lines = ["# Meta Learnings", ""]
    lines += _warm_up(data, evidence)
    lines += _extended(data, evidence)
    lines += _enforcement(data)
    for cycle in data.cycles:
        lines += _cycle(data, evidence, cycle)
    lines += _priorities(data)
    return "\n".join([*lines, *evidence.lines()]).rstrip() + "\n"


def _section(title: str, word: str, status: str, decision: str, body: Iterable[str] = ()) -> list[str]:
    """A section. Its heading carries the word that sums it up."""
    head = f"## {title}: {word}" if word else f"## {title}"
    told = list(body)
    return [head, "", f"**Status:** {status}", "", f"**Decision:** {decision}", "", *told, *([""] if told else [])]


# Warm-up


def _warm_up(data: ReportData, evidence: Evidence) -> list[str]:
    title, rules = "Warm-Up Effectiveness", [r for r in (data.config.rules if data.config else ()) if r.warm_up]
    names = ", ".join(f"{code(r.model)} {r.phase}" for r in rules)
    in_force = f"warm-up is in force for {names}" if rules else "warm-up is not in force in any rule"
    if data.warm_up is None:
        return _section(title, NOT_YET, f"{NOT_YET}: {RUN_WARM_UP}.", f"None from a measurement; {in_force}.")
    cold, warm = data.warm_up.cold, data.warm_up.warm
    word, why = _warm_up_word(data.warm_up)
    where = f"{code(warm.model)} {warm.phase}, {code(warm.variant)}, {evidence.ref(cold, warm)}"
    included = any((r.model, r.phase) == (warm.model, warm.phase) for r in rules)
    decision = "Include warm-up in the baseline" if included else "Warm-up is not part of the baseline of this model and phase"
    rows = [(a.letters, b.letters) for a in cold.rows for b in warm.rows if a.prompt_id == b.prompt_id and a.letters != b.letters]
    body = [
        f"- Accuracy {arrow(share(cold.metrics.accuracy), share(warm.metrics.accuracy))} "
        f"({signed(warm.metrics.accuracy - cold.metrics.accuracy)}), variance "
        f"{arrow(f'{cold.metrics.variance:.4f}', f'{warm.metrics.variance:.4f}')}",
        f"- First call {arrow(milliseconds(cold.metrics.first_call_ms), milliseconds(warm.metrics.first_call_ms))}",
        *(f"- {count} of {len(cold.rows)} rows: {arrow(code(a), code(b))}" for (a, b), count in sorted(Counter(rows).items())),
        *(_other_pair(pair, evidence) for pair in reversed(data.warm_ups[:-1])),
    ]
    return _section(title, word, f"{word}: {why} ({where}).", f"{decision}; {in_force}.", body)


def _other_pair(pair: WarmUpPair, evidence: Evidence) -> str:
    cold, warm = pair.cold, pair.warm
    word, why = _warm_up_word(pair)
    calls = arrow(milliseconds(cold.metrics.first_call_ms), milliseconds(warm.metrics.first_call_ms))
    return (
        f"- {code(warm.model)} {warm.phase}, {code(warm.variant)}: {word}: {why}; first call {calls} ({evidence.ref(cold, warm)})"
    )


def _warm_up_word(pair: WarmUpPair) -> tuple[str, str]:
    """The word that the experiment decides, and the reason, with what the two measurements showed."""
    word = "Not confirmed yet"
    if pair.experiment is not None and pair.experiment.conclusive:
        word = "Confirmed" if pair.experiment.confirmed else "Not confirmed"
    return word, f"{_measured_change(pair)}; {confirmation_text(pair)}"


def _measured_change(pair: WarmUpPair) -> str:
    cold, warm = pair.cold.metrics, pair.warm.metrics
    if warm.accuracy > cold.accuracy:
        return f"accuracy improved by {signed(warm.accuracy - cold.accuracy)}"
    if warm.accuracy < cold.accuracy:
        return f"accuracy fell by {signed(warm.accuracy - cold.accuracy)}"
    if cold.first_call_ms and warm.first_call_ms is not None and warm.first_call_ms <= FASTER * cold.first_call_ms:
        return "the first call is faster, the accuracy is the same either way"
    return "neither accuracy nor the latency of the first call changed noticeably"


# Extended suite


def _extended(data: ReportData, evidence: Evidence) -> list[str]:
    title = "Extended Suite Routing"
    measured_models = sorted({e.model for e in data.evaluations.values() if e.phase == "extended"})
    rules = [r for r in (data.config.rules if data.config else ()) if r.phase == "extended"]
    if not measured_models and not rules:
        fix = "run `selfopt supervise MODEL extended`"
        return _section(title, NOT_YET, f"{NOT_YET}: {fix}.", "None: no rule for the extended phase.")
    closed = [r for r in rules if not r.allow]
    word = "Enforced" if closed else "Open"
    status = "models that may not serve the extended phase are diverted or refused" if closed else "no model is disallowed"
    decision = "; ".join(_routed(data, r) for r in rules) or "none yet"
    body = [f"- {code(m)}: {measured(e)} ({evidence.ref(e)})" for m in measured_models if (e := data.standing(m, "extended"))]
    return _section(title, word, f"{word}: {status}.", f"{decision}.", body)


def _routed(data: ReportData, rule: Rule) -> str:
    about = code(rule.model) + (f", {safe_markdown(when_text(rule.when, data.set_names))}," if rule.when is not None else "")
    if rule.allow and rule.serve_when is not None:
        return f"{about}: {safe_markdown(verdict_text(rule))}"
    if rule.allow:
        return f"{about} is allowed"
    return f"{about} is " + (f"served by {code(rule.fallback)}" if rule.fallback else "refused, no fallback passes")


# Routing enforcement


def _enforcement(data: ReportData) -> list[str]:
    title = "Routing Enforcement"
    if data.config is None or data.config.version == 0:
        return _section(title, "Not in force yet", f"Not in force yet: {RUN_ENFORCE}.", "None.")
    config = data.config
    count = f"{len(config.rules)} rule" + ("" if len(config.rules) == 1 else "s")
    status = f"Operational: version {config.version} with {count}, {counted(len(data.audit), 'record')} in the audit trail."
    untraced = [rule for rule in config.rules if not rule.evidence and rule.source in ("recommendation", "promotion")]
    decision = "Rules are applied from recommendations and promotions"
    decision += "; each names its evidence." if not untraced else f"; {len(untraced)} name no evidence."
    body = [
        f"- {code(rule.rule_id)}: {code(rule.model)} {rule.phase} {_in_force(data, rule)}"
        f"{', warm-up' if rule.warm_up else ''} ({rule.source}, since version {rule.since_version}): "
        f"{safe_markdown(rule.reason) or 'no reason recorded'}"
        for rule in config.rules
    ]
    return _section(title, "Operational", status, decision, body)


def _in_force(data: ReportData, rule: Rule) -> str:
    if rule.when is None and rule.serve_when is None:
        return "allowed" if rule.allow else "disallowed"
    about = "" if rule.when is None else f"({safe_markdown(when_text(rule.when, data.set_names))}) "
    return f"{about}{safe_markdown(verdict_text(rule))}"


# Cycles


def _cycle(data: ReportData, evidence: Evidence, cycle: Cycle) -> list[str]:
    won = [t for t in cycle.targets if t.winner_spec_id is not None]
    tested = sum(len(t.candidates) for t in cycle.targets)
    status = f"Complete: {counted(tested, 'candidate')} tested on {len(cycle.targets)} models and phases, {counted(cycle.trials, 'trial')}."
    decision = "; ".join(f"promote {code(t.winner_variant or '')} for {code(t.model)} {t.phase}" for t in won)
    body = [_target(data, evidence, t) for t in cycle.targets]
    body += [
        f"- Remedy {safe_markdown(check.claim)} for {code(check.model)} {check.phase}: {HELPED[check.helped]}"
        f"{', withdrawn' if check.withdrawn else ''} ({safe_markdown(check.detail) or 'no detail'})"
        for check in cycle.remedies
    ]
    return _section(f"Cycle {cycle.number} Results", "", status, (decision or "hold: every baseline stays") + ".", body)


def _target(data: ReportData, evidence: Evidence, target: CycleTargetResult) -> str:
    baseline = data.evaluations.get(target.baseline_evaluation_id or "")
    winner = next((c for c in target.candidates if c.spec_id == target.winner_spec_id), None)
    tested = ", ".join(f"{_named(c, target)} {share(c.accuracy)} ({VERDICTS[c.verdict]})" for c in target.candidates) or "none"
    after = data.evaluations.get((winner.evaluation_id if winner else None) or "")
    won = f"winner {_named(winner, target)}, improvement {signed(target.improvement)}" if winner else "no winner"
    won = on_prompts(won, synthetic=any(candidate.synthetic for candidate in target.candidates))
    return (
        f"- {code(target.model)} {target.phase}: baseline {code(target.baseline_variant)} {share(target.baseline_accuracy)}; "
        f"candidates: {tested}; {won} ({evidence.ref(baseline, after)})"
    )


def _named(candidate: CandidateResult, target: CycleTargetResult) -> str:
    """The variant of a candidate or, if it is the baseline's, what was changed, such as a timeout."""
    return code(candidate.variant) if candidate.variant != target.baseline_variant else safe_markdown(candidate.changed)


def _priorities(data: ReportData) -> list[str]:
    title = "Next iteration priorities"
    if not data.cycles:
        return _section(title, "", f"{NOT_YET}: {RUN_LOOP}.", "Close the first cycle.")
    last = data.cycles[-1]
    open_targets = [t for t in last.targets if t.winner_spec_id is None]
    items = [f"{code(t.model)} {t.phase}: find a candidate that beats {share(t.baseline_accuracy)}" for t in open_targets]
    items += [
        f"{code(f.model)} {f.phase}: {FINDINGS[f.type]}: {safe_markdown(f.summary)}"
        for f in data.findings
        if f.finding_id in last.findings
    ]
    items += [
        f"replace the withdrawn {safe_markdown(r.claim)} for {code(r.model)} {r.phase}" for r in last.remedies if r.withdrawn
    ]
    status = f"{len(items)} open after cycle {last.number}."
    decision = (
        "Measure the promoted baselines again in the next cycle."
        if len(open_targets) < len(last.targets)
        else "Try other candidates."
    )
    return _section(title, "", status, decision, bullets(list(dict.fromkeys(items)), "- nothing open"))
