"""Makes the record of a check from its blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfopt.measure.budget import BudgetMeter
from selfopt.measure.lookup import find
from selfopt.policy import CheckRace, MeanTrack
from selfopt.records import (
    Check,
    CheckBlock,
    CheckedPrompt,
    CheckFigure,
    CheckReason,
    CheckSide,
    CheckStart,
    ComparedWith,
    Criterion,
    Evaluation,
    Ledger,
    Outcome,
    RaceBlockDiscarded,
    RecordedState,
    Run,
    Trial,
    utc_now,
)
from selfopt.stats import Stratum, fewer_passes_p
from selfopt.wiring.app import App

from .check_subject import CheckSubject

_NAMED = 100  # prompts that a reason names


def known_of(evaluation: Evaluation) -> dict[str, Outcome]:
    """The outcome of each prompt, where repeats are copies."""
    return {row.prompt_id: row.outcomes[0] for row in evaluation.rows}


def evaluation_of(ledger: Ledger, evaluation_id: str | None) -> Evaluation | None:
    """The evaluation with this id; None where there is none."""
    return None if evaluation_id is None else find(ledger, Evaluation, evaluation_id)


def check_of(app: App, subject: CheckSubject, race: CheckRace, blocks: Sequence[CheckBlock], meter: BudgetMeter) -> Check:
    """The record of a check that is over."""
    start, ledger = race.start, app.ledger
    rows = _rows(ledger, subject, race, blocks)
    verdict = race.verdict
    sides = [side for side in (start.now, start.before) if side is not None]
    evaluations = [one for side in sides if (one := evaluation_of(ledger, side.evaluation_id)) is not None]
    priced = all(app.settings.price_of(side.model) is not None for side in sides)
    figures = [_figure(race, track, rows) for track in race.tracks]
    if start.must_pass:
        figures.append(_must_pass_figure(race, rows))
    return Check(
        check_id=start.check_id,
        key=start.key,
        file=start.file,
        verdict=verdict,
        on_undecided=subject.file.on_undecided,
        reasons=_reasons(race, figures, rows),
        figures=tuple(figures),
        rows=tuple(rows),
        model=start.model,
        phase=start.phase,
        variant=start.now.variant,
        rule_id=subject.rule_id,
        spec_id=start.now.spec_id,
        environment_id=start.now.environment_id,
        suite=start.suite,
        suite_hash=start.suite_hash,
        scorer_hash=start.scorer_hash,
        split=start.split,
        synthetic=subject.suite.synthetic is not None,
        compared_with=_compared(subject, start.before, rows, start.settings.alpha),
        settings=start.settings,
        blocks=race.blocks,
        trials=len(_trial_ids(ledger, start, evaluations, rows)),
        cost=meter.cost if priced else None,
        currency=app.settings.currency,
        evaluation_ids=tuple(one.evaluation_id for one in evaluations),
        began_at=start.at,
        at=utc_now(),
    )


def _trial_ids(ledger: Ledger, start: CheckStart, evaluations: Sequence[Evaluation], rows: Sequence[CheckedPrompt]) -> set[str]:
    """Every trial of the check, with those that only showed whether repeats are copies, or were dropped."""
    check_id = start.check_id
    runs = [run_id for one in evaluations for run_id in (*one.run_ids, *one.determinism_run_ids)]
    groups = [
        f"{check_id}-confirm",
        *(f"{check_id}-copies/{one.request_id}" for one in (start.now, start.before) if one is not None),
    ]
    runs += [run.run_id for group in groups for run in ledger.read(Run, {"group_id": group})]
    dropped = {name for one in ledger.read(RaceBlockDiscarded, {"race_id": check_id}) for name in one.trial_ids}
    found = dropped | {trial.trial_id for run_id in runs for trial in ledger.read(Trial, {"run_id": run_id})}
    return found | {name for row in rows for name in (*row.trial_ids, *row.before_trial_ids)}


def _compared(
    subject: CheckSubject, before: CheckSide | None, rows: Sequence[CheckedPrompt], alpha: float
) -> ComparedWith | None:
    if before is None:
        return None
    state = subject.state
    # A state that was asked again is exactly the spec that the check found for it.
    recorded = state is not None and (bool(before.recorded) or (before.known is not None and before.evaluation_id is None))
    named = subject.file.baseline.state if subject.file.baseline is not None else None
    return ComparedWith(
        model=before.model,
        variant=before.variant,
        spec_id=before.spec_id,
        environment_id=before.environment_id,
        asked_again=not recorded,
        file=named or "",
        recorded_at=state.recorded_at if state is not None else None,
        recorded_accuracy=None if state is None or recorded else _lost_since(state, rows, alpha),
    )


def _lost_since(state: RecordedState, rows: Sequence[CheckedPrompt], alpha: float) -> float | None:
    """The recorded accuracy, where the configuration that was recorded passes less often by now."""
    then = {row.prompt_id: row.outcomes for row in state.rows}
    asked = [row for row in rows if row.before]
    strata = [
        Stratum(_passes(row.before), len(row.before), _passes(then[row.prompt_id]), len(then[row.prompt_id])) for row in asked
    ]
    return _mean([_share(then[row.prompt_id]) for row in asked]) if strata and fewer_passes_p(strata) <= alpha else None


def _passes(outcomes: Sequence[Outcome]) -> int:
    return sum(one is Outcome.PASS for one in outcomes)


def _rows(ledger: Ledger, subject: CheckSubject, race: CheckRace, blocks: Sequence[CheckBlock]) -> list[CheckedPrompt]:
    start = race.start
    now: dict[str, list[tuple[Outcome, str]]] = {name: [] for name in start.prompt_ids}
    before: dict[str, list[tuple[Outcome, str]]] = {name: [] for name in start.prompt_ids}
    for side, cells in ((start.now, now), (start.before, before)):
        if side is not None:
            _add_measured(ledger, side, cells)
    for block in blocks:
        for name, outcome, trial in zip((*block.prompts, *block.again), block.now, block.now_trials, strict=False):
            now[name].append((outcome, trial))
        for name, outcome, trial in zip(block.prompts, block.before, block.before_trials, strict=False):
            before[name].append((outcome, trial))
    recorded = start.before.recorded if start.before is not None else {}
    wanted = set(start.must_pass)
    verdicts = {start.prompt_ids[j]: track.verdict for j, track in race.prompts.items()}
    return [
        CheckedPrompt(
            prompt_id=prompt.id,
            prompt_kind=prompt.kind,
            needs_call=prompt.needs_call,
            now=tuple(outcome for outcome, _ in now[prompt.id]),
            before=recorded.get(prompt.id) or tuple(outcome for outcome, _ in before[prompt.id]),
            must_pass=prompt.id in wanted,
            verdict=verdicts.get(prompt.id),
            trial_ids=tuple(trial for _, trial in now[prompt.id] if trial),
            before_trial_ids=tuple(trial for _, trial in before[prompt.id] if trial),
        )
        for prompt in subject.prompts
    ]


def _add_measured(ledger: Ledger, side: CheckSide, cells: dict[str, list[tuple[Outcome, str]]]) -> None:
    """The pass that tells all of a side whose repeats are copies; one that doesn't is a block of its own."""
    if side.known is None:
        return
    evaluation = evaluation_of(ledger, side.evaluation_id)
    trials = {row.prompt_id: row.trial_ids[0] for row in evaluation.rows} if evaluation is not None else {}
    for name, mine in cells.items():
        mine.append((side.known[name], trials.get(name, "")))


def _share(outcomes: Sequence[Outcome]) -> float | None:
    return _passes(outcomes) / len(outcomes) if outcomes else None


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return math.fsum(known) / len(known) if known else None


def _figure(race: CheckRace, track: MeanTrack, rows: Sequence[CheckedPrompt]) -> CheckFigure:
    method, estimate = race.method(track), track.estimate
    interval = track.interval() if track.exact is None else None
    mine = [rows[j] for j in sorted(track.members)]
    value = _mean([_share(row.now) for row in mine])
    before = _mean([_share(row.before) for row in mine]) if track.is_loss else None
    change = -estimate if track.is_loss and estimate is not None else None
    exact = track.exact is not None
    log_e, needed = track.fail.log_e, track.fail_needed
    if method == "recorded":
        p_value, level = race.closest or (1.0, track.alpha)
        log_e, needed = -math.log(max(p_value, 1e-300)), -math.log(level)
        change = None if value is None or before is None else value - before  # of all recorded runs
    if track.is_loss:
        low, high = (-interval.high, -interval.low) if interval else (None, None)
    else:
        low, high = (max(0.0, interval.low), min(1.0, interval.high)) if interval else (None, None)
        value = value if estimate is None else min(1.0, max(0.0, estimate))
    if method == "paired" and before is not None and change is not None:
        value = min(1.0, max(0.0, before + change))  # draws of a prompt tell of the difference first
    return CheckFigure(
        criterion=track.criterion,
        verdict=track.verdict,
        method=method,
        value=value,
        before=before,
        change=change,
        low=low,
        high=high,
        threshold=track.threshold,
        alpha=track.alpha,
        log_e=None if exact else log_e,
        log_e_needed=None if exact else needed,
        log_f=None if exact else track.fine.log_e,
        log_f_needed=None if exact else track.fine_needed,
        asked=sum(len(row.now) for row in mine),
    )


def _must_pass_figure(race: CheckRace, rows: Sequence[CheckedPrompt]) -> CheckFigure:
    mine = [row for row in rows if row.must_pass]
    passing = sum(row.verdict == "pass" for row in mine)
    start = race.start
    return CheckFigure(
        criterion="must_pass",
        verdict=race.criterion("must_pass"),
        method="exact" if start.now.known is not None else "one_arm",
        value=passing / len(mine),
        threshold=start.settings.must_pass_floor,
        alpha=start.settings.alpha / (len(race.tracks) + 1),
        asked=sum(len(row.now) for row in mine),
    )


def _reasons(race: CheckRace, figures: Sequence[CheckFigure], rows: Sequence[CheckedPrompt]) -> tuple[CheckReason, ...]:
    """Why it did not pass. What is open beside a failure is no reason."""
    verdict = race.verdict
    if verdict == "pass":
        return ()
    cause, detail = race.held or (None, "")
    return tuple(
        CheckReason(
            criterion=figure.criterion,
            verdict=verdict,
            cause=cause if verdict == "undecided" else None,
            prompt_ids=_named(figure.criterion, verdict, rows),
            detail=detail if verdict == "undecided" else "",
        )
        for figure in figures
        if figure.verdict == verdict
    )


def _named(criterion: Criterion, verdict: str, rows: Sequence[CheckedPrompt]) -> tuple[str, ...]:
    if criterion == "must_pass":
        return tuple(row.prompt_id for row in rows if row.must_pass and row.verdict == verdict)[:_NAMED]
    if criterion != "regression":
        return ()
    losses = [(loss, row.prompt_id) for row in rows if (loss := _loss(row)) > 0]
    losses.sort(key=lambda pair: -pair[0])
    return tuple(name for _, name in losses[:_NAMED])


def _loss(row: CheckedPrompt) -> float:
    now, before = _share(row.now), _share(row.before)
    return 0.0 if now is None or before is None else before - now
