"""Evaluations made from letters, for tests of feedback, policy and loop.

One string per prompt, one letter per run: P pass, W wrong, U uncalled_for, M missed, X unparsed, C truncated (cut off),
T timeout, L loading, E error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from hypothesis import strategies as st

from selfopt.errors import Cause
from selfopt.feedback import FeedbackOptions, ReferenceSuite
from selfopt.records import Determinism, Evaluation, Finding, Metrics, Outcome, OutcomeRow, Phase, PolicyThresholds, TrivialPolicy

LETTERS = {
    "P": Outcome.PASS,
    "W": Outcome.WRONG,
    "U": Outcome.UNCALLED_FOR,
    "M": Outcome.MISSED,
    "X": Outcome.UNPARSED,
    "C": Outcome.TRUNCATED,
    "T": Outcome.TIMEOUT,
    "L": Outcome.LOADING,
    "E": Outcome.ERROR,
}
THRESHOLDS = PolicyThresholds()
NOW = "2026-01-01T00:00:00.000Z"


def _share(outcomes: Sequence[Outcome], wanted: Sequence[Outcome] = (Outcome.PASS,)) -> float | None:
    return sum(o in wanted for o in outcomes) / len(outcomes) if outcomes else None


def metrics_of(rows: Sequence[OutcomeRow], **changes: Any) -> Metrics:
    """Metrics as the scorer would make them (restraint: passes of the prompts that need no call)."""
    every = [o for row in rows for o in row.outcomes]
    runs = min((len(row.outcomes) for row in rows), default=0)
    accuracies = tuple(sum(row.outcomes[i] is Outcome.PASS for row in rows) / len(rows) for i in range(runs))
    mean = sum(accuracies) / len(accuracies) if accuracies else 0.0
    needs = sum(row.needs_call for row in rows)
    silent = (len(rows) - needs) / len(rows) if rows else 0.0
    values: dict[str, Any] = {
        "n": len(every),
        "accuracy": _share(every) or 0.0,
        "call_accuracy": _share([o for row in rows if row.needs_call for o in row.outcomes]),
        "restraint": _share([o for row in rows if not row.needs_call for o in row.outcomes]),
        "capability": _share([o for o in every if o.says_something_about_the_model]),
        "run_accuracies": accuracies,
        "variance": sum((a - mean) ** 2 for a in accuracies) / len(accuracies) if accuracies else 0.0,
        "counts": dict(Counter(every)),
        "p50_ms": 70.0,
        "p95_ms": 90.0,
        "first_call_ms": 75.0,
        "silent": TrivialPolicy(accuracy=silent, call_accuracy=0.0, restraint=1.0),
        "always_calling": TrivialPolicy(accuracy=0.0, call_accuracy=0.0, restraint=0.0),
    }
    return Metrics.model_validate(values | changes)


def evaluation(  # noqa: PLR0913  (a builder for tests)
    rows: Sequence[str],
    *,
    no_call: int = 0,
    model: str = "local/small",
    phase: Phase = "atomic",
    spec_id: str = "spec-a",
    number: int = 1,
    determinism: Determinism = "stochastic",
    loaded: Sequence[Sequence[bool | None]] = (),
    metrics: dict[str, Any] | None = None,
    unread: str | None = None,
    load_ms: float | None = None,
    **changes: Any,
) -> Evaluation:
    """An evaluation from letters. The last `no_call` prompts need no call; `number` makes its ids and its runs unique."""
    runs = max((len(r) for r in rows), default=0)
    made = []
    for i, letters in enumerate(rows):
        seen = tuple(loaded[i]) if i < len(loaded) else ()
        made.append(
            OutcomeRow(
                prompt_id=f"P{i + 1}",
                prompt_kind="direct",
                needs_call=i < len(rows) - no_call,
                outcomes=tuple(LETTERS[letter] for letter in letters),
                trial_ids=tuple(f"trial-{spec_id}-{number}-{i}-{run}" for run in range(len(letters))),
                loaded=seen,
                load_ms=tuple(load_ms if was else None for was in seen),
                unread=tuple(unread if letter == "X" else None for letter in letters),
            )
        )
    values: dict[str, Any] = {
        "evaluation_id": f"eval-{model}-{phase}-{spec_id}-{number}",
        "spec_id": spec_id,
        "request_id": f"req-{spec_id}",
        "environment_id": "env-1",
        "parser_hash": "parser-1",
        "scorer_hash": "scorer-1",
        "model": model,
        "phase": phase,
        "suite": phase,
        "suite_hash": f"suite-{phase}",
        "scope": "whole",
        "split": "all",
        "variant": "native_api",
        "run_ids": tuple(f"run-{model}-{phase}-{spec_id}-{number}-{run}" for run in range(runs)),
        "n_runs": runs,
        "determinism": determinism,
        "warm_up": False,
        "metrics": metrics_of(made, **(metrics or {})),
        "rows": tuple(made),
        "at": NOW,
    }
    return Evaluation.model_validate(values | changes)


def numbers(finding: Finding) -> dict[str, Any]:
    """The figures of a finding in their stored form."""
    return finding.figures.model_dump()


def options(**changes: Any) -> FeedbackOptions:
    """Feedback options for both built-in phases; models under `remote/` are remote."""
    values: dict[str, Any] = {
        "now": NOW,
        "is_local": lambda model: not model.startswith("remote/"),
        "references": {"atomic": ReferenceSuite("atomic"), "extended": ReferenceSuite("extended")},
    }
    return FeedbackOptions(**(values | changes))


_outcomes = st.sampled_from(list(Outcome))
_share_or_none = st.none() | st.floats(0, 1)
_ms = st.none() | st.floats(0, 1e6)


@st.composite
def any_rows(draw: st.DrawFn) -> tuple[OutcomeRow, ...]:
    """Rows of any lengths, their side columns shorter or longer than their outcomes."""
    count = draw(st.integers(0, 6))
    return tuple(
        OutcomeRow(
            prompt_id=f"P{draw(st.integers(0, 4))}",
            prompt_kind="kind",
            needs_call=draw(st.booleans()),
            outcomes=tuple(draw(st.lists(_outcomes, max_size=9))),
            trial_ids=tuple(draw(st.lists(st.text(max_size=4), max_size=9))),
            loaded=tuple(draw(st.lists(st.none() | st.booleans(), max_size=9))),
            load_ms=tuple(draw(st.lists(_ms, max_size=9))),
            unread=tuple(draw(st.lists(st.none() | st.sampled_from(["json", "xml"]), max_size=9))),
            causes=tuple(draw(st.lists(st.none() | st.sampled_from(get_args(Cause)), max_size=9))),
            said=draw(st.text(max_size=9)),
        )
        for _ in range(count)
    )


@st.composite
def any_evaluations(draw: st.DrawFn, models: Sequence[str] = ("local/a", "local/b", "remote/c")) -> Evaluation:
    """Any evaluation that the records allow, sensible or not."""
    rows = draw(any_rows())
    trivial = st.builds(TrivialPolicy, accuracy=st.floats(0, 1), call_accuracy=_share_or_none, restraint=_share_or_none)
    changes: dict[str, Any] = {}
    if draw(st.booleans()):
        changes = {
            "n": draw(st.integers(0, 50)),
            "accuracy": draw(st.floats(0, 1)),
            "call_accuracy": draw(_share_or_none),
            "restraint": draw(_share_or_none),
            "run_accuracies": tuple(draw(st.lists(st.floats(0, 1), max_size=8))),
            "variance": draw(st.floats(0, 0.25)),
            "first_call_ms": draw(_ms),
            "p50_ms": draw(_ms),
            "silent": draw(trivial),
            "always_calling": draw(trivial),
        }
    phases: tuple[Phase, ...] = ("atomic", "extended")
    phase = draw(st.sampled_from(phases))
    return evaluation(
        (),
        model=draw(st.sampled_from(list(models))),
        phase=phase,
        spec_id=draw(st.sampled_from(["spec-a", "spec-b"])),
        number=draw(st.integers(0, 3)),
        determinism=draw(st.sampled_from(["sampled", "complete", "stochastic", "unknown"])),
        scope=draw(st.sampled_from(["whole", "sample"])),
        environment_id=draw(st.sampled_from(["env-1", "env-2"])),
        suite_hash=draw(st.sampled_from([f"suite-{phase}", "suite-other"])),
        n_runs=draw(st.integers(0, 9)),
        run_ids=tuple(draw(st.lists(st.sampled_from(["r1", "r2", "r3"]), max_size=3, unique=True))),
    ).model_copy(update={"rows": rows, "metrics": metrics_of(rows, **changes)})
