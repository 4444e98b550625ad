"""What `--fail-on` looks for: candidates not promoted, and what became measurably worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.errors import SelfoptError
from selfopt.feedback import best_known
from selfopt.home import counted
from selfopt.loop import current_baseline
from selfopt.records import Comparison, Cycle, Decision, Evaluation, Outcome
from selfopt.stats import mcnemar_p
from selfopt.wiring.app import App

from .measuring import Measured

SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason to fail. kind: the word after `--fail-on`; why: one sentence."""

    kind: Literal["reject", "hold", "regression"]
    why: str


def failures_of_cycles(cycles: Sequence[Cycle]) -> Iterator[Failure]:
    """Yield the failures of cycles.

    These are the held and the rejected candidates and, as regressions, candidates that the gates
    found worse than the baseline and withdrawn remedies, which measured no better than what they
    had replaced.
    """
    for cycle in cycles:
        for target in cycle.targets:
            for row in target.candidates:
                what = f"{target.model} {target.phase} {row.variant} ({row.changed})"
                if row.verdict != "promote":
                    yield Failure(row.verdict, f"{what}: {', '.join(row.reason_codes)}")
                if "regression" in row.reason_codes:
                    yield Failure("regression", f"{what} is worse than the baseline")
        for check in cycle.remedies:
            if check.withdrawn:
                yield Failure("regression", f"{check.model} {check.phase}: {check.claim} was taken back ({check.detail})")


def failures_of_decisions(decisions: Sequence[Decision]) -> Iterator[Failure]:
    """Yield the held and the rejected candidates and, as regressions, those that the gates found worse than the baseline."""
    for decision in decisions:
        what = f"{decision.model} {decision.phase} {decision.candidate_variant or decision.candidate_spec_id}"
        if decision.verdict != "promote":
            yield Failure(decision.verdict, f"{what}: {', '.join(decision.reason_codes)}")
        if "regression" in decision.reason_codes:
            yield Failure("regression", f"{what} is worse than the baseline")


def failures_of_comparison(app: App, models: Sequence[str], comparison: Comparison) -> Iterator[Failure]:
    """Yield a regression when the first model's best row is behind the best by more than chance."""
    first = app.resolve_model(models[0])
    row = next((row for row in comparison.rows if row.model == first), None)
    if row is not None and row.distinguishable and row.behind is not None:
        best = comparison.rows[0]
        yield Failure(
            "regression",
            f"{row.model} {row.variant} is {-row.behind.value * 100:.1f} points of agent score behind {best.model} {best.variant}",
        )


def failures_of_run(app: App, run: Measured) -> Iterator[Failure]:
    """Yield a regression when a run is worse than the baseline's newest comparable evaluation.

    Compares the prompts that always passed and now fail with those that always failed and now
    pass. It is a regression if chance explains the surplus of lost prompts with a probability of at
    most 5 % (McNemar). If the baseline's own spec was measured and is deterministic, one more lost
    than won suffices.

    Raises:
        SelfoptError: nothing comparable was measured before.
    """
    measured = run.evaluation
    if measured is None or run.unanswered is not None:
        return
    before = _baseline_before(app, measured)
    then = {row.prompt_id: set(row.outcomes) for row in before.rows}
    now = {row.prompt_id: set(row.outcomes) for row in measured.rows}
    lost = [name for name, seen in now.items() if then[name] == {Outcome.PASS} and Outcome.PASS not in seen]
    won = [name for name, seen in now.items() if Outcome.PASS not in then[name] and seen == {Outcome.PASS}]
    exact = before.spec_id == measured.spec_id and before.has_copies
    if len(lost) > len(won) and (exact or mcnemar_p(len(lost), len(won)) <= SIGNIFICANCE):
        yield Failure(
            "regression",
            f"{measured.model} {measured.phase} {measured.variant}: {counted(len(lost), 'prompt')} lost and {len(won)} won against the "
            f"baseline {before.variant} ({', '.join(lost[:5])})",
        )


def _baseline_before(app: App, measured: Evaluation) -> Evaluation:
    record = current_baseline(app.ledger, measured.model, measured.phase)
    alike = [
        e
        for e in app.ledger.read(Evaluation, {"model": measured.model, "phase": measured.phase})
        if not set(e.run_ids) & set(measured.run_ids)
        and (e.suite_hash, e.split, e.scorer_hash) == (measured.suite_hash, measured.split, measured.scorer_hash)
        and {row.prompt_id for row in e.rows} >= {row.prompt_id for row in measured.rows}
    ]
    found = best_known([e for e in alike if (e.spec_id == record.spec_id if record else e.variant == "native_api")])
    if found is None:
        raise SelfoptError(
            f"--fail-on regression: the baseline of {measured.model} {measured.phase} was not measured on these prompts, so there is "
            f"nothing to compare with; measure it first: selfopt supervise {measured.model} {measured.phase} --suite {measured.suite} --split {measured.split}"
        )
    return found
