"""From a standing and its findings to recommendations, each with its reason in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfopt.records import Finding, FindingKind, Phase, Recommendation, Requirements, content_hash

from .confirming import Confirmation
from .judge import Fallback, Judgment, choose_fallback, judge
from .options import FeedbackOptions
from .standing import Standing

__all__ = ["recommend"]


def recommend(
    standing: Standing,
    findings: Sequence[Finding],
    all_standings: Mapping[tuple[str, Phase], Standing],
    options: FeedbackOptions,
    confirmation: Confirmation,
) -> list[Recommendation]:
    """The recommendations for one model and phase: the phase gate first, then remedies for the findings.

    confirmation: what the reload experiment says of warm-up; where it confirms one, warm-up is recommended whether or not the
    evaluations show a cold start (those of a warmed-up baseline do not).
    Remedies that were withdrawn are left out. Ids are hashes of the whole content: the same evidence gives the same id.
    """
    drafts = [*_gate(standing, all_standings, options), *_remedies(standing, findings, confirmation)]
    if confirmation.confirmed and not any(draft.type == "warm_up" for draft in drafts):
        drafts.append(_proven_warm_up(standing, confirmation))
    kept = [d for d in drafts if (d.model, d.phase, d.type) not in options.withdrawn]
    dated = [d.model_copy(update={"cycle_id": options.cycle_id}) for d in kept]
    return [d.model_copy(update={"id": content_hash("rec", d.model_copy(update={"confirmation": None}))}) for d in dated]


def _gate(
    standing: Standing, all_standings: Mapping[tuple[str, Phase], Standing], options: FeedbackOptions
) -> Iterator[Recommendation]:
    judgment = judge(standing, options.thresholds)
    model, phase, evidence = standing.newest.model, standing.newest.phase, standing.evidence
    subject = f"{model} on {phase}: {judgment.why}"
    if judgment.allow is None:
        yield Recommendation(
            id="",
            type="investigate",
            model=model,
            phase=phase,
            action="investigate",
            reason=subject,
            evidence=evidence,
            confidence=judgment.confidence,
        )
        return
    if judgment.allow:
        yield _allow(standing, judgment, subject)
        if judgment.stronger:
            yield _stronger(standing, judgment, choose_fallback(standing, all_standings, options))
        return
    fallback = choose_fallback(standing, all_standings, options)
    ending = f"fallback: {fallback.why}" if fallback.model else f"refused, because there is no fallback: {fallback.why}"
    yield Recommendation(
        id="",
        type="phase_gate",
        model=model,
        phase=phase,
        action="disable",
        allow=False,
        fallback=fallback.model,
        reason=f"{subject}; {ending}",
        evidence=_joined(evidence, fallback.evidence),
        confidence=judgment.confidence,
    )


def _allow(standing: Standing, judgment: Judgment, reason: str) -> Recommendation:
    """Allowed on the strength of the spec that was judged, so that spec is what the rule requires."""
    newest = standing.newest
    return Recommendation(
        id="",
        type="phase_gate",
        model=newest.model,
        phase=newest.phase,
        action="allow",
        allow=True,
        requirements=Requirements(variant=newest.variant, spec_id=newest.spec_id, warm_up=True if newest.warm_up else None),
        reason=reason,
        evidence=standing.evidence,
        confidence=judgment.confidence,
    )


def _stronger(standing: Standing, judgment: Judgment, fallback: Fallback) -> Recommendation:
    newest = standing.newest
    ending = f"a stronger one: {fallback.why}" if fallback.model else f"no stronger one is known: {fallback.why}"
    return Recommendation(
        id="",
        type="stronger_model",
        model=newest.model,
        phase=newest.phase,
        action="prefer_stronger",
        fallback=fallback.model,
        reason=f"{newest.model} on {newest.phase} is weak ({standing.shares()}); {ending}",
        evidence=_joined(standing.evidence, fallback.evidence),
        confidence=judgment.confidence,
    )


def _proven_warm_up(standing: Standing, confirmation: Confirmation) -> Recommendation:
    newest, seen = standing.newest, confirmation.experiment
    return Recommendation(
        id="",
        type="warm_up",
        model=newest.model,
        phase=newest.phase,
        action="enable_warm_up",
        requirements=Requirements(warm_up=True),
        reason=f"{newest.model} on {newest.phase}: warm-up was tried, cold and warm runs in turn; warm the model up before the first request; {confirmation.told}",
        evidence=seen.evaluation_ids if seen is not None else (),
        confidence="high",
    )


def _remedies(standing: Standing, findings: Sequence[Finding], confirmation: Confirmation) -> Iterator[Recommendation]:
    kinds: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.type, []).append(finding)
    for kind, group in kinds.items():
        remedy = _remedy(kind, group, standing, confirmation)
        if remedy is not None:
            yield remedy


def _remedy(kind: FindingKind, group: Sequence[Finding], standing: Standing, confirmation: Confirmation) -> Recommendation | None:
    newest = standing.newest
    draft = Recommendation(
        id="",
        type="investigate",
        model=newest.model,
        phase=newest.phase,
        action="investigate",
        reason="",
        evidence=_joined(tuple(f.finding_id for f in group), *(f.evaluation_ids for f in group)),
        confidence=group[0].confidence,
    )
    what = f"{newest.model} on {newest.phase}: " + "; ".join(f.summary for f in group)
    update: dict[str, Any]
    if kind == "cold_start" and confirmation.refutes(group):
        update = {"reason": f"{what}; look for another cause than a cold start; {confirmation.told}"}
    elif kind == "cold_start" and not newest.warm_up:
        update = {
            "type": "warm_up",
            "action": "enable_warm_up",
            "requirements": Requirements(warm_up=True),
            "reason": f"{what}; warm the model up before the first request; {confirmation.told}",
        }
    elif kind == "cold_start":
        update = {"reason": f"{what}; warm-up is on already and does not prevent it"}
    elif kind == "unread_format":
        update = {"type": "variant", "action": "change_variant", "reason": f"{what}; use a variant whose parsers read it"}
    elif kind == "truncation":
        update = {"type": "output_budget", "action": "raise_max_tokens", "reason": f"{what}; raise the token budget"}
    elif kind == "flaky":
        update = {"reason": f"{what}; measure more runs, or isolate requests and lower the temperature"}
    elif kind == "drift":
        update = {"reason": f"{what}; look for what has changed, and measure again"}
    elif kind == "infrastructure":
        update = {"reason": f"{what}; look at the server and the network, or allow retries"}
    else:
        # The phase gate already acts on a capability limit; a ceiling asks for nothing.
        return None
    return draft.model_copy(update=update)


def _joined(*groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))
