"""What serving when sure would do to prompts whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from .base import Record
from .comparison import Figure
from .confidence import Calibration, Share
from .suite import Split

Sample = Literal["fit", "calibrate", "verify"]
"""What prompts are for: the confidence model, the threshold, or a look at what became of it."""


class SampleUsed(Record):
    """The prompts of one suite that take part, and why others do not.

    Attributes:
        prompts: how many the suite's split has.
        used: of which a stored reply takes part.
        unmeasured: of which the ledger holds no reply by this model, variant and environment.
        unanswered: whose trial failed, so that there was nothing to serve.
        unobserved: whose reply came without log probabilities, or with too few. They take part, and a
            confidence that reads these serves none of them.
        repeated: left out since the fit, or another suite before, has the same prompt, or this one has it twice.
        command: what measures the prompts that lack a reply.
        second_unmeasured: of which the ledger holds no trial of the second way of asking.
        second_command: what measures these.
    """

    sample: Sample
    suite: str
    split: Split
    synthetic: bool = False
    prompts: int
    used: int
    unmeasured: int = 0
    unanswered: int = 0
    unobserved: int = 0
    repeated: int = 0
    command: str = ""
    second_unmeasured: int = 0
    second_command: str = ""


class WayFigures(Record):
    """What one way of serving does to some prompts: one model alone, or both in turn.

    Attributes:
        accuracy: the share of prompts whose outcome is pass.
        latency_s: the mean time for a prompt, in seconds.
        cost: of a prompt on average, in the currency of the settings; None where a price is unknown.
    """

    accuracy: Share
    latency_s: float
    cost: float | None = None


class SetShare(Record):
    """What is served of the prompts of one tool set.

    Attributes:
        name: in its suite.
        tools: the first of their names.
    """

    name: str
    tools: tuple[str, ...]
    prompts: int
    served: int
    bad: int


class ServedFigures(Record):
    """What a threshold does to some prompts.

    Attributes:
        prompts, tool_sets: how many there are.
        served, bad: prompts whose answer is served, and those of them that were answered wrong.
        upper: the exact upper limit of the bad share among the served, at the confidence of the bound,
            as if these prompts were looked at for it alone; None where nothing is served.
        bad_share: with its interval over tool sets; None where nothing is served.
        sets: by their content names.
        asked_twice: of which only a second way of asking tells whether the answer is served.
        paired: prompts that both models answered. The figures below are about these; None without.
        difference: accuracy of both in turn less that of the larger model alone.
        pays_below: the share of escalations below which both in turn cost less than the larger model alone.
            None where a cost is not known, or both are nothing.
        faster_below: that below which they take less time.
    """

    sample: Sample
    prompts: int
    tool_sets: int
    served: int
    bad: int
    upper: Share | None = None
    bad_share: Figure | None = None
    sets: Mapping[str, SetShare] = Field(default_factory=dict)
    small: WayFigures
    asked_twice: int = 0
    paired: int = 0
    paired_served: int = 0
    paired_small: WayFigures | None = None
    large: WayFigures | None = None
    cascade: WayFigures | None = None
    difference: Figure | None = None
    pays_below: Share | None = None
    faster_below: Share | None = None


class Escalation(Record):
    """Whether a model may serve when it is sure, and what that would do.

    Attributes:
        variant: the variant that was looked at.
        fallback_variant: that of the larger model.
        currency: of the costs; empty where none is named.
        figures: of the calibration prompts and then of those of the verification, at the threshold;
            at no threshold nothing is served.
    """

    calibration: Calibration
    variant: str
    fallback_variant: str | None = None
    currency: str = ""
    samples: tuple[SampleUsed, ...]
    figures: tuple[ServedFigures, ...]
