"""Several models and variants beside each other on the same prompts."""

from __future__ import annotations

from .base import Record
from .suite import Phase, Split


class Figure(Record):
    """A figure with its 95 % interval, clustered by tool set; low and high are None where fewer than two tool sets carry it."""

    value: float
    low: float | None = None
    high: float | None = None


class ComparedRow(Record):
    """One model with one variant. Shares in [0, 1], None where no prompt of that sort is there; times in milliseconds, medians.

    agent_score: 0.4 call accuracy + 0.3 restraint + 0.3 (1 - share of replies that call a tool which no accepted set names).
    argument_accuracy: pass / replies with the right tools. behind: agent score minus the best row's, with its interval;
    p_value: of that difference, adjusted for the number of rows (Holm); distinguishable: whether it is at most 0.05.
    replies: trials that stand in the ledger for it; faults: of those, how many never got a whole reply.
    """

    model: str
    variant: str
    replies: int
    faults: int
    call_accuracy: Figure | None
    restraint: Figure | None
    accuracy: Figure
    agent_score: Figure
    argument_accuracy: Figure | None
    foreign_share: float
    p50_ms: float | None
    input_tokens: float
    output_tokens: float
    behind: Figure | None = None
    p_value: float | None = None
    distinguishable: bool = False
    evaluation_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()


class PolicyRow(Record):
    """What a policy that looks at nothing would get on the same prompts: never calling, or always the first tool without
    arguments."""

    name: str
    agent_score: float
    call_accuracy: float | None
    restraint: float | None


class Comparison(Record):
    """Rows, the best agent score first. tool_sets: how many clusters the intervals rest on; unit: what was taken as one
    cluster ("prompt" where all prompts share one tool set)."""

    suites: tuple[str, ...]
    phase: Phase
    splits: tuple[Split, ...]
    prompts: int
    tool_sets: int
    unit: str
    rows: tuple[ComparedRow, ...]
    policies: tuple[PolicyRow, ...] = ()
    unmeasured: tuple[str, ...] = ()
    stopped: str | None = None
    at: str
