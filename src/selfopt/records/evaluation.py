"""A spec's trials of n runs, aggregated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from .base import Record
from .suite import Phase, Split
from .verdict import Outcome

MetricName = Literal["accuracy", "call_accuracy", "restraint", "capability", "variance", "p50_ms", "p95_ms", "first_call_ms"]
"""The figures of `Metrics` that are compared and shown by name. Shares, except for the times in milliseconds."""
Determinism = Literal["sampled", "complete", "stochastic", "unknown"]


class OutcomeRow(Record):
    """The outcomes of one prompt over the runs, in the order of time.

    Per run, where known: loaded: whether a load took place in it; load_ms: how long the load took, in milliseconds;
    unread: the format of a call that no parser of the variant reads (`ParsedReply.unread`).
    """

    prompt_id: str
    prompt_kind: str
    needs_call: bool
    outcomes: tuple[Outcome, ...]
    trial_ids: tuple[str, ...]
    loaded: tuple[bool | None, ...] = ()
    load_ms: tuple[float | None, ...] = ()
    unread: tuple[str | None, ...] = ()

    @property
    def letters(self) -> str:
        """Such as `FFPPPPP`."""
        return "".join(o.letter for o in self.outcomes)


class TrivialPolicy(Record):
    """What a policy that looks at nothing would score on the same prompts."""

    accuracy: float
    call_accuracy: float | None
    restraint: float | None


class Metrics(Record):
    """Shares in [0, 1] over all trials; None where no prompt of that sort is there. Times in milliseconds.

    variance: of the per-run accuracies (population form), 0 for one run. first_call_ms: median over runs of the latency
    of the first scored request of a run.
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
        """The metric of this name; None where it was not measured."""
        value: float | None = getattr(self, name)
        return value


class Evaluation(
    Record,
    ledger_kind="evaluation",
    id_field="evaluation_id",
    index_fields=("spec_id", "model", "phase", "suite", "cycle_id", "environment_id"),
):
    """(spec, scorer, trials of n runs) -> metrics and rows. Determinism `sampled`: a seeded sample was repeated in
    isolation and agreed; `complete`: two whole passes agreed; copies count once.

    race_id: its trials are the answers of a race over a large suite, whose prompts were drawn: rows are of unequal length, not
    every prompt need have one, and the shares are weighted as the draws were. Such an evaluation serves the race's decisions."""

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
    at: str

    @property
    def has_copies(self) -> bool:
        """Whether repeats are known to be copies, so that one pass tells all about this suite."""
        return self.determinism in ("sampled", "complete")


def whole_evaluations(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Those that saw as many prompts as any of the same suite content and split, in their order.

    A look at the first few prompts (`--limit`, the arms of a warm-up validation) says nothing about the whole suite; the draws of
    a race are taken where there is nothing else.
    """
    every = list(evaluations)
    passed_over = {e.spec_id for e in every if e.race_id is None}
    found = [e for e in every if e.race_id is None or e.spec_id not in passed_over]
    largest: dict[tuple[str, Split], int] = {}
    for evaluation in found:
        key = evaluation.suite_hash, evaluation.split
        largest[key] = max(largest.get(key, 0), len(evaluation.rows))
    return [e for e in found if len(e.rows) >= largest[e.suite_hash, e.split]]
