"""`feedback`, `decide` and `rescore`: judgments on what the ledger already holds."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast, get_args

from selfopt.errors import SuiteError, UsageError
from selfopt.feedback import best_known, save_feedback
from selfopt.ledger import resolve
from selfopt.loop import baselines, current_baseline, evaluations, newest_evaluation, present_feedback, spec_by_id
from selfopt.loop.candidates import describe_change
from selfopt.measure import EvaluationRequest, Rescored, ShownTrial, evaluate, rescore, show_trial
from selfopt.policy import Account, account, best_hold, decide, explain
from selfopt.records import (
    Blob,
    Decision,
    Evaluation,
    Feedback,
    Finding,
    LedgerFault,
    ParserName,
    Phase,
    Recommendation,
    Run,
    Spec,
    Trial,
    utc_now,
    whole_evaluations,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, faults_of, ids_of

from .loop_parts import loop_context

__all__ = [
    "Decided",
    "Rescoring",
    "decide_candidates",
    "explained_decision",
    "make_feedback",
    "require_ledger",
    "rescore_runs",
    "shown_faults",
    "shown_trial",
    "standing_evaluations",
    "warm_up_texts",
]


def require_ledger(app: App) -> None:
    """Refuse what needs measurements where there are none."""
    if not app.has_ledger:
        raise UsageError(f"nothing was measured yet in {app.home.root}; start with: selfopt run MODEL PHASE")


def make_feedback(app: App, *, write: bool = True) -> Feedback:
    """Findings and recommendations from the newest evaluations; kept in the ledger and in harness_feedback.json."""
    require_ledger(app)
    feedback = present_feedback(loop_context(app, read_only=True))
    if write:
        known_findings = {f.finding_id for f in app.ledger.read(Finding)}
        known = {r.id for r in app.ledger.read(Recommendation)}
        app.ledger.append(
            [f for f in feedback.findings if f.finding_id not in known_findings]
            + [r for r in feedback.recommendations if r.id not in known]
        )
        save_feedback(app.home.feedback, feedback)
    return feedback


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions of one model and phase with their reasons in plain words and what each candidate changes, and the best one
    that was held, if none promotes."""

    model: str
    phase: Phase
    baseline: Evaluation | None
    decisions: tuple[Decision, ...]
    reasons: tuple[tuple[str, ...], ...]
    changes: tuple[str, ...]
    best_held: str | None


def decide_candidates(app: App, model: str, phase: Phase, candidate: str | None = None, baseline: str | None = None) -> Decided:
    """Put candidates through the gates: the newest whole evaluation of every other spec of the model and phase, or one named by
    evaluation id, spec id or variant. The baseline: named likewise, else the ledger's, else the native_api spec."""
    require_ledger(app)
    mine = [e for e in evaluations(app.ledger) if (e.model, e.phase) == (model, phase)]
    newest = _to_go_by(whole_evaluations(mine) or mine)
    base = _baseline(app, model, phase, newest, baseline)
    if candidate is not None:
        chosen = [_named(newest, candidate, "candidate")]
    else:
        chosen = [
            e
            for e in newest.values()
            if (base is None or e.spec_id != base.spec_id) and (base is None or e.suite_hash == base.suite_hash)
        ]
    if not chosen:
        raise UsageError(
            f"no candidate of {model} {phase} was measured besides the baseline; measure one: selfopt supervise {model} {phase} VARIANT"
        )
    check_evidence(app, [*chosen, *([base] if base is not None else [])])
    seen = app.environments().values()
    decisions = tuple(decide(e, base, app.settings.policy, environments=seen, now=utc_now()) for e in chosen)
    app.ledger.append(decisions)
    held = None if any(d.verdict == "promote" for d in decisions) else best_hold(decisions)
    return Decided(
        model,
        phase,
        base,
        decisions,
        reasons=tuple(tuple(explain(d)) for d in decisions),
        changes=tuple(_change(app, base, e) for e in chosen),
        best_held=held.sentence() if held else None,
    )


def explained_decision(app: App, decision_id: str) -> tuple[Decision, Account, tuple[str, ...]]:
    """A kept decision (the first or last characters of its id suffice), what it amounts to, and what each gate saw, a line each."""
    require_ledger(app)
    decision = resolve(app.ledger, Decision, decision_id)
    lines = explain(decision)
    gates = lines[len(lines) - len(decision.gates) :]
    return decision, account(decision), tuple(line.strip() for line in gates)


def _to_go_by(evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    """One for each spec, the spec measured last at the end."""
    grouped: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        grouped[evaluation.spec_id] = [*grouped.pop(evaluation.spec_id, []), evaluation]
    found = {spec_id: best_known(group) for spec_id, group in grouped.items()}
    return {spec_id: evaluation for spec_id, evaluation in found.items() if evaluation is not None}


def _change(app: App, base: Evaluation | None, candidate: Evaluation) -> str:
    """In what a candidate differs from the baseline, in words."""
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


@dataclass(frozen=True, slots=True)
class Rescoring:
    """What judging stored replies again gave: counts, by which parsers, and the new evaluation (None: not the trials of a
    whole run)."""

    rescored: Rescored
    evaluation: Evaluation | None
    parsers: tuple[ParserName, ...]


def rescore_runs(
    app: App, run_prefixes: Sequence[str], variant: str | None = None, parsers: Sequence[str] = (), suite: str | None = None
) -> Rescoring:
    """Judge the replies of stored runs again under another parser chain and the present scorer; no request is made.

    suite: where their suite is, when it is a file that the settings do not name.
    """
    require_ledger(app)
    runs = [resolve(app.ledger, Run, prefix) for prefix in run_prefixes]
    if len({run.request_id for run in runs}) > 1:
        raise UsageError("the runs asked different requests; rescore those of one request_id at a time")
    spec = next(app.ledger.read(Spec, {"id": runs[0].spec_id}, limit=1))
    known = get_args(ParserName)
    for name in parsers:
        if name not in known:
            raise UsageError(f"unknown parser {name!r}; parsers are {', '.join(known)}")
    chain = cast("tuple[ParserName, ...]", tuple(parsers)) or (app.variant(variant).parsers if variant else spec.variant.parsers)
    other = spec.model_copy(update={"variant": spec.variant.model_copy(update={"parsers": chain})})
    judged = app.suite(suite) if suite is not None else app.suite_for(spec)
    result = rescore(app.ledger, [run.run_id for run in runs], judged, chain)
    measured = tuple(run.run_id for run in runs if run.purpose == "measure")
    if not measured:
        return Rescoring(result, None, chain)
    if not any(True for _ in app.ledger.read(Spec, {"id": other.spec_id}, limit=1)):
        app.ledger.append([other])
    evaluation = evaluate(app.ledger, EvaluationRequest(other, judged, measured))
    if evaluation is not None:
        app.ledger.append([evaluation])
    return Rescoring(result, evaluation, chain)


def standing_evaluations(app: App) -> list[Evaluation]:
    """The newest evaluation of every baseline, by model and phase."""
    found = [newest_evaluation(app.ledger, spec_id) for _, spec_id in sorted(baselines(app.ledger).items())]
    return [evaluation for evaluation in found if evaluation is not None]


def shown_trial(app: App, prefix: str) -> ShownTrial:
    """Everything about one trial, by its id or an unambiguous beginning of it."""
    require_ledger(app)
    trial = resolve(app.ledger, Trial, prefix)
    run = next(app.ledger.read(Run, {"id": trial.run_id}, limit=1), None)
    spec = next(app.ledger.read(Spec, {"id": run.spec_id}, limit=1), None) if run is not None else None
    suites = []
    if spec is not None:
        with contextlib.suppress(SuiteError):  # a file that is not at hand: what was expected is left out
            suites.append(app.suite_for(spec))
    return show_trial(app.ledger, trial.trial_id, suites)


def shown_faults(app: App, shown: ShownTrial) -> tuple[LedgerFault, ...]:
    """What of a shown trial, its run and spec, its verdicts and its texts is not as it was committed."""
    return faults_of(app, {pair for record in (shown.trial, shown.run, shown.spec, *shown.verdicts) for pair in ids_of(record)})


def warm_up_texts(app: App, run: Run) -> list[tuple[str | None, str | None]]:
    """What the warm-up of a run sent and got, in order; None: not kept, or nothing came. Whoever shows them on a terminal
    escapes control characters."""
    kept = {
        blob.blob_hash: blob.text
        for blob_hash in (*run.warm_up.requests, *run.warm_up.replies)
        for blob in app.ledger.read(Blob, {"id": blob_hash}, limit=1)
    }
    pairs = zip_longest(run.warm_up.requests, run.warm_up.replies, fillvalue="")
    return [(kept.get(request), kept.get(reply)) for request, reply in pairs]
