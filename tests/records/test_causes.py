"""Why a server refused, as it is kept: records of before read and are stored as they were."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from selfopt.errors import Cause
from selfopt.records import Attempt, Outcome, OutcomeRow, Record, RefusedFigures, Trial, content_hash
from selfopt.records.figures import read_figures

ATTEMPT: dict[str, Any] = {
    **{"number": 1, "started_at": "2026-01-01T00:00:00.000Z", "request": "a" * 64, "reply": None, "status": 400},
    **{"fault": "bad_request", "error": "endpoint e answered 400: no", "finish_reason": "unknown", "latency_ms": 1.0},
}
TRIAL: dict[str, Any] = {
    **{"trial_id": "trial-1", "run_id": "run-1", "request_id": "req-1", "environment_id": "env-1", "prompt_id": "P1"},
    **{"run_index": 0, "position": 0, "slot": 0, "started_at": "2026-01-01T00:00:00.000Z", "fault": "error", "latency_ms": 1.0},
    "exchanges": [{"step": "answer", "attempts": [ATTEMPT], "content": None}],
}
ROW: dict[str, Any] = {"prompt_id": "P1", "prompt_kind": "k", "needs_call": True, "outcomes": ["error"], "trial_ids": ["trial-1"]}


@pytest.mark.parametrize(("kind", "body"), [(Attempt, ATTEMPT), (Trial, TRIAL), (OutcomeRow, ROW)])
def test_a_record_of_before_is_stored_as_it_was(kind: type[Record], body: dict[str, Any]) -> None:
    """Without a cause there is no new field, so no hash changes."""
    read = kind.model_validate(body)
    stored = read.model_dump(mode="json")
    assert not {"cause", "said", "causes"} & set(stored)
    assert content_hash("x", read) == content_hash("x", kind.model_validate(stored))


def test_a_row_counts_the_refusals_that_repeats_cannot_change() -> None:
    """Others are faults like any."""
    row = OutcomeRow(
        prompt_id="P1",
        prompt_kind="k",
        needs_call=True,
        outcomes=(Outcome.ERROR,) * 3 + (Outcome.PASS,),
        trial_ids=("1", "2", "3", "4"),
        causes=("no_tools", "rate", None, None),
    )
    assert row.refused == 1
    assert OutcomeRow.model_validate(row.model_dump(mode="json")) == row


def test_a_trial_without_exchanges_was_not_asked() -> None:
    """It says why all the same."""
    read = Trial.model_validate({**TRIAL, "exchanges": [], "cause": "no_tools", "said": "400: no"})
    assert not read.asked
    assert Trial.model_validate(TRIAL).asked
    assert read.model_dump(mode="json")["cause"] == "no_tools"


@pytest.mark.parametrize("cause", get_args(Cause))
def test_the_figures_of_a_refusal_read_back(cause: Cause) -> None:
    """As they were stored."""
    figures = RefusedFigures(cause=cause, refused=3, of=4, share=0.75, said="400: no")
    assert read_figures("refused", figures.model_dump(mode="json")) == figures
