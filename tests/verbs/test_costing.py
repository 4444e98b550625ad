"""What measured requests cost by the prices of now."""

from __future__ import annotations

import pytest

from selfopt.records import Attempt, Exchange, Trial, Usage
from selfopt.settings import Settings
from selfopt.verbs.costing import request_cost

PRICED = Settings.model_validate({"prices": {"openai/m": {"input": 1.0, "output": 2.0}, "local/m": {"per_hour": 3.6}}})


def trial(tokens: int | None, *, fault: str | None = None, asked: bool = True, ms: float = 1000.0) -> Trial:
    """A trial with as many tokens in as out."""
    usage = Usage(input_tokens=tokens, output_tokens=tokens)
    attempt = Attempt(number=1, started_at="", request="x", latency_ms=ms, usage=usage)
    return Trial.model_validate(
        {
            "trial_id": "trial-1",
            "run_id": "run-1",
            "request_id": "request-1",
            "environment_id": "environment-1",
            "prompt_id": "A1",
            "run_index": 0,
            "position": 0,
            "slot": 0,
            "started_at": "",
            "exchanges": (Exchange(attempts=(attempt,)),) if asked else (),
            "fault": fault,
            "latency_ms": 9 * ms,
            "usage": usage,
        }
    )


def test_a_cost_is_the_mean_of_what_was_asked() -> None:
    """A trial that was never sent is none of them."""
    found = request_cost(PRICED, "openai/m", [trial(100_000), trial(300_000), trial(None, asked=False, fault="error")])
    assert found.mean == pytest.approx(0.6)
    assert found.seconds == pytest.approx(9.0)
    assert found.trials == 2


def test_time_is_that_of_the_attempts_without_the_waits() -> None:
    """A model that is paid by the hour needs no tokens."""
    assert request_cost(PRICED, "local/m", [trial(None, ms=2000.0)]).mean == pytest.approx(0.002)


def test_a_reply_without_counts_makes_the_cost_unknown_and_a_fault_does_not() -> None:
    """Nobody is told a mean of what happened to be counted."""
    assert request_cost(PRICED, "openai/m", [trial(100_000), trial(None)]).mean is None
    assert request_cost(PRICED, "openai/m", [trial(100_000), trial(None, fault="timeout")]).mean == pytest.approx(0.3)
    assert request_cost(PRICED, "openai/m", []).mean is None


def test_without_a_price_a_model_of_this_machine_costs_nothing() -> None:
    """And it is told apart from one whose price is nothing."""
    found = request_cost(PRICED, "local/other", [trial(5)])
    assert (found.mean, found.unpriced) == (0.0, True)
    assert request_cost(PRICED, "openai/other", [trial(5)]).mean is None
