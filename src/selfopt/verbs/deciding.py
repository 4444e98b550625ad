"""`decide`: puts measured candidates through the gates, and explains kept decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.feedback import best_known
from selfopt.ledger import resolve
from selfopt.loop import current_baseline, evaluations, newest_evaluation, spec_by_id
from selfopt.loop.candidates import describe_change
from selfopt.policy import best_hold, decide
from selfopt.records import (
    Decision,
    Evaluation,
    Phase,
    utc_now,
    whole_evaluations,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, require_ledger
from selfopt.words.decisions import Account, account, best_hold_text, explain

from .measuring import phase_of

__all__ = ["Account", "Decided", "decide_candidates", "explained_decision"]


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of one model and phase.

    Attributes:
        baseline: what the candidates were compared with; None when there was nothing.
        reasons: in plain words, for each decision.
        changes: what each candidate changes.
        best_held: the best held candidate, in words; None when one is promoted or none was held.
    """

    model: str
    phase: Phase
    baseline: Evaluation | None
    decisions: tuple[Decision, ...]
    reasons: tuple[tuple[str, ...], ...]
    changes: tuple[str, ...]
    best_held: str | None


async def decide_candidates(
    app: App, model: str, phase: str, candidate: str | None = None, baseline: str | None = None
) -> Decided:
    """Put measured candidates through the gates and keep the decisions.

    Args:
        candidate: an evaluation id, spec id (or their beginnings) or variant; None for the newest
            evaluation of every other spec of the model and phase.
        baseline: named likewise; None for the ledger's, else the native_api spec.

    Raises:
        UsageError: nothing fitting was measured.
        CorruptError: the evidence is not as it was committed.
    """
    model, phase = app.resolve_model(model), phase_of(phase)
    require_ledger(app)
    mine = [e for e in evaluations(app.ledger) if (e.model, e.phase) == (model, phase)]
    newest = _to_go_by(whole_evaluations(mine) or mine)
    base = _baseline(app, model, phase, newest, baseline)
    others = [e for e in newest.values() if base is None or (e.spec_id != base.spec_id and e.suite_hash == base.suite_hash)]
    chosen = others if candidate is None else [_named(newest, candidate, "candidate")]
    if not chosen:
        raise UsageError(
            f"no candidate of {model} {phase} was measured besides the baseline; measure one: selfopt supervise {model} {phase} VARIANT"
        )
    check_evidence(app, [*chosen, *([base] if base is not None else [])])
    seen = app.environments().values()
    decisions = tuple(decide(e, base, app.settings.policy, environments=seen, now=utc_now()) for e in chosen)
    await app.ledger.append(decisions)
    held = None if any(d.verdict == "promote" for d in decisions) else best_hold(decisions)
    return Decided(
        model,
        phase,
        base,
        decisions,
        reasons=tuple(tuple(explain(d)) for d in decisions),
        changes=tuple(_change(app, base, e) for e in chosen),
        best_held=best_hold_text(held) if held else None,
    )


def explained_decision(app: App, decision_id: str) -> tuple[Decision, Account, tuple[str, ...]]:
    """Return a kept decision, its account, and what each gate saw, one line each.

    Args:
        decision_id: its first or last characters suffice.
    """
    require_ledger(app)
    decision = resolve(app.ledger, Decision, decision_id)
    lines = explain(decision)
    return decision, account(decision), tuple(line.strip() for line in lines[len(lines) - len(decision.gates) :])


def _to_go_by(evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    """Return the evaluation to use for each spec; the spec measured last comes last."""
    grouped: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        grouped[evaluation.spec_id] = [*grouped.pop(evaluation.spec_id, []), evaluation]
    found = {spec_id: best_known(group) for spec_id, group in grouped.items()}
    return {spec_id: evaluation for spec_id, evaluation in found.items() if evaluation is not None}


def _change(app: App, base: Evaluation | None, candidate: Evaluation) -> str:
    """Say how a candidate differs from the baseline."""
    if base is None:
        return "compared with nothing"
    if base.spec_id == candidate.spec_id:
        return "the same spec as the baseline"
    return describe_change(spec_by_id(app.ledger, base.spec_id), spec_by_id(app.ledger, candidate.spec_id))


def _baseline(app: App, model: str, phase: Phase, newest: dict[str, Evaluation], named: str | None) -> Evaluation | None:
    if named is not None:
        return _named(newest, named, "baseline")
    record = current_baseline(app.ledger, model, phase)
    if record is not None:
        return newest_evaluation(app.ledger, record.spec_id)
    return next((e for e in reversed(list(newest.values())) if e.variant == "native_api"), None)


def _named(newest: dict[str, Evaluation], name: str, role: str) -> Evaluation:
    for evaluation in reversed(list(newest.values())):
        if name == evaluation.variant or evaluation.spec_id.startswith(name) or evaluation.evaluation_id.startswith(name):
            return evaluation
    known = ", ".join(sorted({e.variant for e in newest.values()})) or "none"
    raise UsageError(f"no measured {role} {name!r}; measured variants are: {known}")
