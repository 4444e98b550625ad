"""The comparison of several models and variants on the same prompts."""

from __future__ import annotations

from pydantic import Field

from selfopt.errors import Cause

from .base import Record
from .suite import Phase, Split


class Figure(Record):
    """A figure with its 95 % interval, clustered by tool set. low and high are None with fewer than
    two tool sets.
    """

    value: float
    low: float | None = None
    high: float | None = None


class ComparedRow(Record):
    """One model with one variant. Shares are in [0, 1], and None when there is no such prompt.

    Attributes:
        replies: trials in the ledger. faults: how many of these never got a whole reply.
        unread: how many replies have a call that the variant does not read, which no figure is to blame on the model.
        agent_score: 0.4 call accuracy + 0.3 restraint + 0.3 (1 - foreign_share). None, like the shares
            that it is made of, when not one reply came.
        argument_accuracy: pass / replies with the right tools.
        foreign_share: replies that call a tool which no accepted set names.
        p50_ms, input_tokens, output_tokens: medians; the time is in milliseconds.
        behind: the agent score minus that of the best row.
        p_value: of that difference, adjusted for the number of rows (Holm).
        distinguishable: whether p_value is at most 0.05.
        cost: of a trial, on average, by the prices of the settings. None where it is not known.
        cause, said: why replies are missing, as far as the server says so, and its words, or else what
            went wrong.
    """

    model: str
    variant: str
    replies: int
    faults: int
    call_accuracy: Figure | None
    restraint: Figure | None
    accuracy: Figure
    agent_score: Figure | None
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
    unread: int = 0
    cause: Cause | None = None
    said: str = ""
    cost: float | None = 0.0


class PolicyRow(Record):
    """What a policy that ignores the prompt would score: never call, or always call the first tool
    without arguments.
    """

    name: str
    agent_score: float
    call_accuracy: float | None
    restraint: float | None


class Comparison(Record):
    """The rows, best agent score first.

    Attributes:
        synthetic: the suites whose prompts a model or a template wrote.
        currency: of the costs; empty where none is named.
    """

    suites: tuple[str, ...]
    phase: Phase
    splits: tuple[Split, ...]
    prompts: int
    tool_sets: int  # clusters behind the intervals
    unit: str  # what one cluster is: a tool set, or "prompt" when all prompts share one tool set
    rows: tuple[ComparedRow, ...]
    policies: tuple[PolicyRow, ...] = ()
    unmeasured: tuple[str, ...] = ()
    stopped: str | None = None
    at: str
    synthetic: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    currency: str = ""
