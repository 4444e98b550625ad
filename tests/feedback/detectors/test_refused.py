"""What a server names as the cause, each as a finding of its own with its own remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from selfopt.errors import Cause
from selfopt.feedback import analyze
from selfopt.feedback.detectors.infrastructure import Infrastructure
from selfopt.feedback.detectors.refused import Refused
from selfopt.records import Determinism, Evaluation, RefusedFigures
from selfopt.words.causes import REMEDIES, TITLES
from tests.feedback.world import THRESHOLDS, evaluation, options

SAID = "400: m:latest does not support tools"


def refused(
    rows: Sequence[str],
    cause: Cause | None = "no_tools",
    *,
    said: str = SAID,
    determinism: Determinism = "stochastic",
    number: int = 1,
) -> Evaluation:
    """An evaluation whose errors and timeouts the server explained."""
    made = evaluation(rows, no_call=1, determinism=determinism, number=number)
    named = [
        row.model_copy(update={"causes": tuple(cause if letter in "ETL" else None for letter in letters), "said": said})
        for row, letters in zip(made.rows, rows, strict=True)
    ]
    return made.model_copy(update={"rows": tuple(named)})


def test_a_named_cause_is_a_finding_in_the_servers_words() -> None:
    """With its share; infrastructure says nothing then."""
    window = [refused(["E"] * 3 + ["P"])]
    (finding,) = Refused().examine(window, THRESHOLDS)
    assert finding.figures == RefusedFigures(cause="no_tools", refused=3, of=4, share=0.75, said=SAID)
    assert SAID in finding.summary
    assert TITLES["no_tools"] in finding.summary
    assert finding.prompt_ids == ("P1", "P2", "P3")
    assert Infrastructure().examine(window, THRESHOLDS) == ()


def test_each_cause_is_a_finding_of_its_own() -> None:
    """The most frequent first, each with what the server said of it."""
    one, other = (
        refused(["EEEE", "EEEE", "PPPP", "PPPP"]),
        refused(["PPPP", "PPPP", "EPPP", "PPPP"], "rate", said="429: slow down"),
    )
    both = one.model_copy(update={"rows": (*one.rows[:2], other.rows[2], one.rows[3])})
    found = Refused().examine([both], THRESHOLDS)
    assert [f.figures for f in found] == [
        RefusedFigures(cause="no_tools", refused=8, of=16, share=0.5, said=SAID),
        RefusedFigures(cause="rate", refused=1, of=16, share=1 / 16, said="429: slow down"),
    ]


def test_what_no_server_explained_stays_infrastructure() -> None:
    """An old row without causes among them."""
    for window in ([evaluation(["E"] * 4)], [refused(["E"] * 4, None)]):
        assert not Refused().examine(window, THRESHOLDS)
        (finding,) = Infrastructure().examine(window, THRESHOLDS)
        assert finding.type == "infrastructure"


def test_a_load_is_a_cold_start_whatever_the_server_calls_it() -> None:
    """It was refused with 503 while the model was being loaded."""
    assert not Refused().examine([refused(["LPPP"] * 4, "not_loaded", said="503: Loading model")], THRESHOLDS)


@pytest.mark.parametrize("cause", get_args(Cause))
def test_each_cause_leads_to_its_remedy_and_never_to_a_permission(cause: Cause) -> None:
    """The advice is in the server's words; nothing is allowed, refused or warmed up because of it."""
    feedback = analyze([refused(["E"] * 6, cause, determinism="refused")], options())
    advice = [r for r in feedback.recommendations if REMEDIES[cause] in r.reason]
    assert len(advice) == 1
    assert SAID in advice[0].reason
    assert {r.allow for r in feedback.recommendations} == {None}
    assert not any(r.requirements.warm_up for r in feedback.recommendations)
    assert not any("look at the server and the network" in r.reason for r in feedback.recommendations)
    assert any("nothing is known about the model" in r.reason for r in feedback.recommendations)


def test_a_cold_start_of_another_spec_warms_up_no_model_that_is_refused() -> None:
    """Its load is not what stands in the way."""
    cold = evaluation(["TTPPPPP"] * 6, spec_id="spec-b", loaded=[[True, True, False, False, False, False, False]] * 6)
    native = refused(["E"] * 6, determinism="refused", number=2)
    chosen = options(baselines={("local/small", "atomic"): "spec-a"})
    kinds = {r.type for r in analyze([cold, native], chosen).recommendations}
    assert "warm_up" not in kinds
    working = evaluation(["P"] * 6, determinism="sampled", number=2)
    assert "warm_up" in {r.type for r in analyze([cold, working], chosen).recommendations}
