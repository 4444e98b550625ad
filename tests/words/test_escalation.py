"""What a calibration and its verification say, in words."""

from __future__ import annotations

import pytest

from selfopt.records import BoundClaim, Calibration, ServedFigures, SetShare, WayFigures
from selfopt.words.escalation import verified_text
from selfopt.words.standing import escalate_text
from tests.routing.make import surely

CALIBRATION = Calibration(
    calibration_id="calibration-1",
    model="a/1",
    phase="atomic",
    spec_id="spec-1",
    environment_id="env-1",
    fitted_on="s:search",
    calibrated_on="s:heldout",
    fit_trials=(),
    calibration_trials=(),
    claim="these_tools",
    max_bad_share=0.1,
    confidence=0.95,
    confidence_model=surely().model,
    curve=(),
    serve_when=None,
    least_feasible=None,
    prompts_needed=None,
    shares={},
    created_at="2026-01-01T00:00:00.000Z",
)


def figures(**sets: int) -> ServedFigures:
    """A verification on so many prompts of each tool set, all served and none of them wrong."""
    shares = {name: SetShare(name=name, tools=("t",), prompts=n, served=n, bad=0) for name, n in sets.items()}
    n = sum(sets.values())
    way = WayFigures(accuracy=1.0, latency_s=1.0, cost=None)
    return ServedFigures(sample="verify", prompts=n, tool_sets=len(sets), served=n, bad=0, sets=shares, small=way)


@pytest.mark.parametrize(
    ("claim", "sets", "said"),
    [
        ("these_tools", {"a": 5}, "The verification agrees"),
        ("these_tools", {"a": 5, "b": 3}, "The verification says nothing of the bound: 3 of its 8 prompts offer tools that the"),
        ("unseen_tools", {"a": 5, "b": 3}, "The verification agrees"),
    ],
)
def test_prompts_that_live_would_escalate_verify_nothing(claim: BoundClaim, sets: dict[str, int], said: str) -> None:
    """A bound on these tools is not about others, and such requests go to the stronger model."""
    told = {"claim": claim, "max_bad_share": 0.1, "shares": {"a": (9, 0)}}
    assert verified_text(figures(**sets), CALIBRATION.model_copy(update=told)).startswith(said)


def test_advice_to_escalate_says_to_whom_and_why_that_one_may() -> None:
    """As two sentences, not as one that runs into the other."""
    told = escalate_text("a/1", "atomic", surely(), "a/2", "a/2 has accuracy 0.967 on the same suite")
    assert told.endswith("; the rest goes to a/2: a/2 has accuracy 0.967 on the same suite")
