"""Turns a standing and its findings into recommendations, each with its reason in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfopt.errors import Cause
from selfopt.records import (
    Action,
    Finding,
    FindingKind,
    Phase,
    Recommendation,
    RefusedFigures,
    RemedyKind,
    Requirements,
    WarmUpExperiment,
    content_hash,
)
from selfopt.words.findings import Advice, remedy_text
from selfopt.words.standing import disabled_text, escalate_text, stronger_text

from .confirming import confirmation_of, refuted
from .escalation import calibration_of
from .judge import choose_fallback, judge
from .standing import FeedbackOptions, Standing

_REMEDIES: Mapping[Advice, tuple[RemedyKind, Action]] = {
    "warm_up": ("warm_up", "enable_warm_up"),
    "proven_warm_up": ("warm_up", "enable_warm_up"),
    "unread_format": ("variant", "change_variant"),
    "truncation": ("output_budget", "raise_max_tokens"),
}
"""What carries out an advice. Any other advice asks a person to investigate."""
_HELPED_BY_VARIANTS: frozenset[Cause] = frozenset({"no_tools", "tools_off", "not_parsed", "roles"})
_BY_EXPERIMENT: frozenset[Advice] = frozenset({"warm_up", "proven_warm_up", "no_cold_start"})


def recommend(
    standing: Standing,
    findings: Sequence[Finding],
    all_standings: Mapping[tuple[str, Phase], Standing],
    options: FeedbackOptions,
    experiment: WarmUpExperiment | None,
) -> list[Recommendation]:
    """The recommendations for one model and phase: the phase gate, then remedies for the findings.

    Withdrawn remedies are left out. The id is the hash of the content without the confirmation,
    whose text is part of the reason. So the same evidence gives the same id.

    Args:
        experiment: the one about the warm-up of this model and phase. If it confirms the warm-up,
            warm-up is recommended even if the evaluations show no cold start: those of a
            warmed-up baseline never do.
    """
    drafts = [*_gate(standing, all_standings, options), *_remedies(standing, findings, experiment)]
    if experiment is not None and experiment.confirmed and not any(draft.type == "warm_up" for draft in drafts):
        drafts.append(_against((), "proven_warm_up", standing, experiment))
    dated = [d.model_copy(update={"cycle_id": options.cycle_id}) for d in drafts if d.remedy not in options.withdrawn]
    return [d.model_copy(update={"id": content_hash("rec", d.model_copy(update={"confirmation": None}))}) for d in dated]


def _draft(standing: Standing, kind: RemedyKind, action: Action, **fields: Any) -> Recommendation:
    newest = standing.newest
    return Recommendation(
        id="", type=kind, model=newest.model, phase=newest.phase, action=action, synthetic=newest.synthetic, **fields
    )


def _gate(
    standing: Standing, all_standings: Mapping[tuple[str, Phase], Standing], options: FeedbackOptions
) -> Iterator[Recommendation]:
    judgment, newest = judge(standing, options.thresholds), standing.newest
    subject = f"{newest.model} on {newest.phase}: {judgment.why}"
    sure, evidence = judgment.confidence, standing.evidence
    escalation = _escalation(standing, all_standings, options) if judgment.allow is False or judgment.stronger else None
    if escalation is not None:
        yield escalation.model_copy(update={"confidence": sure})
        return
    if judgment.allow is None:
        yield _draft(standing, "investigate", "investigate", reason=subject, evidence=evidence, confidence=sure)
        return
    if judgment.allow:
        # The judged spec earned the permission, so the rule requires that spec.
        needs = Requirements(variant=newest.variant, spec_id=newest.spec_id, warm_up=True if newest.warm_up else None)
        yield _draft(
            standing, "phase_gate", "allow", allow=True, requirements=needs, reason=subject, evidence=evidence, confidence=sure
        )
        if not judgment.stronger:
            return
    fallback = choose_fallback(standing, all_standings, options)
    found: dict[str, Any] = {
        "fallback": fallback.model,
        "evidence": _joined(evidence, fallback.evidence),
        "confidence": sure,
    }
    somebody = fallback.model is not None
    if judgment.allow:
        reason = stronger_text(newest.model, newest.phase, standing.shown, fallback.why, known=somebody)
        yield _draft(standing, "stronger_model", "prefer_stronger", reason=reason, **found)
    else:
        reason = disabled_text(subject, fallback.why, known=somebody)
        yield _draft(standing, "phase_gate", "disable", allow=False, reason=reason, **found)


def _escalation(
    standing: Standing, all_standings: Mapping[tuple[str, Phase], Standing], options: FeedbackOptions
) -> Recommendation | None:
    """To serve what the model is sure of, and to hand the rest to a stronger one."""
    known, fallback = calibration_of(standing, options), choose_fallback(standing, all_standings, options)
    if known is None or fallback.model is None:
        return None
    (calibration, when), newest = known, standing.newest
    needs = Requirements(
        variant=newest.variant,
        spec_id=newest.spec_id,
        warm_up=True if newest.warm_up else None,
        calibration_id=calibration.calibration_id,
    )
    return _draft(
        standing,
        "escalation",
        "escalate",
        allow=True,
        fallback=fallback.model,
        requirements=needs,
        reason=escalate_text(newest.model, newest.phase, when, fallback.model, fallback.why),
        evidence=_joined(standing.evidence, (calibration.calibration_id,), fallback.evidence),
    )


def _remedies(standing: Standing, findings: Sequence[Finding], experiment: WarmUpExperiment | None) -> Iterator[Recommendation]:
    kinds: dict[tuple[FindingKind, Cause | None], list[Finding]] = {}
    for finding in findings:
        cause = finding.figures.cause if isinstance(finding.figures, RefusedFigures) else None
        kinds.setdefault((finding.type, cause), []).append(finding)
    for (kind, _), group in kinds.items():
        if kind == "cold_start":
            warm = standing.newest.warm_up
            advice: Advice = "no_cold_start" if refuted(group, experiment) else "warm_already" if warm else "warm_up"
            yield _against(group, advice, standing, experiment)
        elif kind != "capability_limit" and kind != "mixed_capability" and kind != "ceiling":  # noqa: PLR1714  (narrows the type); the phase gate acts on the first two; the other asks for nothing
            yield _against(group, kind, standing, experiment)


def _against(group: Sequence[Finding], advice: Advice, standing: Standing, experiment: WarmUpExperiment | None) -> Recommendation:
    """The remedy for findings of one kind, or for the experiment if there are none."""
    newest = standing.newest
    evidence = _joined(tuple(f.finding_id for f in group), *(f.evaluation_ids for f in group))
    if not group and experiment is not None:
        evidence = experiment.evaluation_ids
    confirmation = confirmation_of(experiment, newest, evidence) if advice in _BY_EXPERIMENT else None
    kind, action = _REMEDIES.get(advice, ("investigate", "investigate"))
    if any(isinstance(f.figures, RefusedFigures) and f.figures.cause in _HELPED_BY_VARIANTS for f in group):
        kind, action = "variant", "change_variant"
    return _draft(
        standing,
        kind,
        action,
        requirements=Requirements(warm_up=True if kind == "warm_up" else None),
        reason=remedy_text(newest.model, newest.phase, advice, group, confirmation, variant=newest.variant),
        confirmation=confirmation,
        evidence=evidence,
        confidence=group[0].confidence if group else "high",
    )


def _joined(*groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))
