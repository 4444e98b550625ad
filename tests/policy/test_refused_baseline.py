"""What a comparison means where the server refuses every request of the baseline."""

from __future__ import annotations

import pytest

from selfopt.errors import Cause
from selfopt.policy import decide
from selfopt.records import Decision, Evaluation, PolicyThresholds
from tests.feedback.world import NOW, evaluation

PLAIN = PolicyThresholds()


def refused(cause: Cause | None = "no_tools", spec_id: str = "spec-a") -> Evaluation:
    """Twelve prompts, three of which need no call; not one reply."""
    made = evaluation(["E"] * 12, no_call=3, spec_id=spec_id, determinism="refused" if cause else "stochastic")
    rows = tuple(row.model_copy(update={"causes": (cause,), "said": "400: no"}) for row in made.rows)
    return made.model_copy(update={"rows": rows})


def text(rows: list[str]) -> Evaluation:
    """A text variant, exactly known."""
    return evaluation(rows, no_call=3, spec_id="spec-b", determinism="sampled")


def judged(candidate: Evaluation, baseline: Evaluation) -> Decision:
    return decide(candidate, baseline, PLAIN, now=NOW)


def test_a_text_variant_that_works_takes_its_place() -> None:
    """A refusal is what clients get now, so any variant that passes the other gates is better."""
    decision = judged(text(["P"] * 12), refused())
    assert (decision.verdict, decision.estimate) == ("promote", 1.0)
    assert "refused 12 of 12" in next(gate.detail for gate in decision.gates if gate.name == "errors")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (["W"] * 9 + ["P"] * 3, "not_above_silent"),
        (["P"] * 9 + ["U"] * 3, "low_restraint"),
        (["E"] * 12, "mostly_errors"),
    ],
)
def test_the_other_gates_stand(rows: list[str], code: str) -> None:
    """To be better than a refusal is not enough."""
    decision = judged(text(rows), refused())
    assert decision.verdict != "promote"
    assert code in decision.reason_codes


def test_errors_that_no_server_explains_still_hold() -> None:
    """Neither a crash nor a full queue says what the spec gives."""
    for cause in (None, "rate", "not_loaded", "not_parsed"):
        decision = judged(text(["P"] * 12), refused(cause))
        assert (decision.verdict, decision.reason_codes[0]) == ("hold", "mostly_errors")


def test_a_refused_candidate_is_rejected_and_not_tried_again() -> None:
    """Repeats would be refused too, so its zero is known."""
    decision = judged(refused(spec_id="spec-b"), text(["P"] * 12).model_copy(update={"spec_id": "spec-a"}))
    assert (decision.verdict, decision.reason_codes[0]) == ("reject", "regression")
