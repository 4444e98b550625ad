"""Evaluations: the trials of n runs of a spec, aggregated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from selfopt.errors import LASTING, Cause

from .base import Record
from .suite import Phase, Split
from .verdict import Outcome

MetricName = Literal["accuracy", "call_accuracy", "restraint", "capability", "variance", "p50_ms", "p95_ms", "first_call_ms"]
"""The figures of `Metrics` that are compared and shown by name.

Shares, or times in milliseconds.
"""
Determinism = Literal["sampled", "complete", "stochastic", "unknown", "refused"]


class OutcomeRow(Record):
    """The outcomes of one prompt over the runs, in the order of time."""

    prompt_id: str
    prompt_kind: str
    needs_call: bool
    outcomes: tuple[Outcome, ...]
    trial_ids: tuple[str, ...]
    loaded: tuple[bool | None, ...] = ()  # whether a load took place, per run; None where unknown
    load_ms: tuple[float | None, ...] = ()  # how long the load took, in milliseconds, per run
    unread: tuple[str | None, ...] = ()  # family or reader of a tool call that no parser of the variant reads, per run
    # Rows without these are stored as before the fields existed.
    read_by: tuple[str | None, ...] = Field(default=(), exclude_if=lambda runs: not any(runs))  # a chain that reads it, per run
    excerpt: str = Field(default="", exclude_if=lambda text: not text)  # the beginning of the first such call
    call_in_thinking: tuple[bool, ...] = Field(default=(), exclude_if=lambda runs: not any(runs))  # a call only there, per run
    causes: tuple[Cause | None, ...] = Field(default=(), exclude_if=lambda runs: not any(runs))  # why the server refused, per run
    said: str = Field(default="", exclude_if=lambda text: not text)  # the server's words of the first such run

    @property
    def letters(self) -> str:
        """The outcomes as letters, such as `FFPPPPP`."""
        return "".join(o.letter for o in self.outcomes)

    @property
    def refused(self) -> int:
        """How many runs the server refused for a cause that repeats can't change."""
        return sum(cause in LASTING for cause in self.causes)


class TrivialPolicy(Record):
    """What a policy that ignores the prompt would score on the same prompts."""

    accuracy: float
    call_accuracy: float | None
    restraint: float | None


class Metrics(Record):
    """The figures of an evaluation. Shares over all trials, in [0, 1], and None when there is no
    such prompt.

    Attributes:
        variance: of the accuracies of the runs (population form); 0 for one run.
        first_call_ms: the median, over the runs, of the latency of a run's first scored request.
    """

    n: int
    accuracy: float
    call_accuracy: float | None
    restraint: float | None
    capability: float | None
    run_accuracies: tuple[float, ...]
    variance: float
    counts: dict[Outcome, int]
    p50_ms: float | None
    p95_ms: float | None
    first_call_ms: float | None
    input_tokens: int = 0
    output_tokens: int = 0
    silent: TrivialPolicy
    always_calling: TrivialPolicy

    def figure(self, name: MetricName) -> float | None:
        """Returns the metric of this name; None when it was not measured."""
        value: float | None = getattr(self, name)
        return value


class Evaluation(
    Record,
    ledger_kind="evaluation",
    id_field="evaluation_id",
    index_fields=("spec_id", "model", "phase", "suite", "cycle_id", "environment_id"),
):
    """The metrics and outcome rows of a spec, from the trials of n runs, judged by one scorer.

    Attributes:
        determinism: `sampled` means that a seeded sample was repeated in isolation and agreed,
            `complete` that two whole passes agreed, `refused` that the server refused every request
            for a cause that repeats can't change, or the first ones alike, so that no other was
            made. Copies count once.
        concurrencies: how many requests at once its runs made, where they differ: latencies are then
            of several kinds, and no figure for any of them.
        race_id: the trials are the answers of a race over a large suite, which draws its prompts.
            Rows then differ in length, some prompts may have none, and shares are weighted like the
            draws. Such an evaluation serves the decisions of the race.
        synthetic: a model or a template wrote the prompts.
    """

    evaluation_id: str
    spec_id: str
    request_id: str
    environment_id: str
    parser_hash: str
    scorer_hash: str
    model: str
    phase: Phase
    suite: str
    suite_hash: str
    scope: Literal["whole", "sample"]
    split: Split
    variant: str
    run_ids: tuple[str, ...]
    determinism_run_ids: tuple[str, ...] = ()
    n_runs: int
    determinism: Determinism
    warm_up: bool
    metrics: Metrics
    rows: tuple[OutcomeRow, ...]
    cycle_id: str | None = None
    race_id: str | None = None
    concurrencies: tuple[int, ...] = Field(default=(), exclude_if=lambda seen: not seen)
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)
    at: str

    @property
    def has_copies(self) -> bool:
        """Whether repeats are known to be copies, so that one pass tells all about this suite."""
        return self.determinism in ("sampled", "complete") or (self.determinism == "refused" and self.refused == self.metrics.n)

    @property
    def refused(self) -> int:
        """How many trials the server refused for a cause that repeats can't change.

        They tell what a spec gives on this server, unlike other faults.
        """
        return sum(row.refused for row in self.rows)


def whole_evaluations(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Returns the evaluations that saw as many prompts as any other of the same suite content and
    split.

    A measurement of the first few prompts (`--limit`, the arms of a warm-up validation) says
    nothing about the whole suite. The draws of a race count only for a spec that has nothing else.
    """
    every = list(evaluations)
    passed_over = {e.spec_id for e in every if e.race_id is None}
    found = [e for e in every if e.race_id is None or e.spec_id not in passed_over]
    largest: dict[tuple[str, Split], int] = {}
    for evaluation in found:
        key = evaluation.suite_hash, evaluation.split
        largest[key] = max(largest.get(key, 0), len(evaluation.rows))
    return [e for e in found if len(e.rows) >= largest[e.suite_hash, e.split]]
