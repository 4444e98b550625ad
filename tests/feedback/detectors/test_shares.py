"""Detectors that count one sort of outcome: unread format, truncation, infrastructure, ceiling."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.feedback.detectors.call_in_thinking import CallInThinking
from selfopt.feedback.detectors.capability_limit import CapabilityLimit
from selfopt.feedback.detectors.ceiling import Ceiling
from selfopt.feedback.detectors.infrastructure import Infrastructure
from selfopt.feedback.detectors.truncation import Truncation
from selfopt.feedback.detectors.unread_format import UnreadFormat
from selfopt.reading import FAMILIES
from selfopt.records import Evaluation
from tests.feedback.world import THRESHOLDS, evaluation, numbers


def test_unread_replies_are_counted_and_their_format_named() -> None:
    """4 of 12 replies hold a fenced JSON call that the native parser does not read."""
    (finding,) = UnreadFormat().examine([evaluation(["X"] * 4 + ["P"] * 8, unread="fenced json")], THRESHOLDS)
    assert numbers(finding) == {"unparsed": 4, "of": 12, "share": pytest.approx(1 / 3), "format": "fenced json"}
    assert "fenced json" in finding.summary
    assert finding.prompt_ids == ("P1", "P2", "P3", "P4")


def test_an_unrecorded_format_is_said_to_be_unknown() -> None:
    """No guess is made."""
    (finding,) = UnreadFormat().examine([evaluation(["X", "P"])], THRESHOLDS)
    assert numbers(finding)["format"] == "unknown"


def test_truncated_replies_are_counted() -> None:
    """3 of 12 were cut off."""
    (finding,) = Truncation().examine([evaluation(["C"] * 3 + ["P"] * 9)], THRESHOLDS)
    assert numbers(finding) == {"truncated": 3, "of": 12, "share": 0.25, "calls_right": 9}


@pytest.mark.parametrize(("detector", "letter"), [(UnreadFormat(), "X"), (Truncation(), "C"), (Infrastructure(), "E")])
def test_a_single_case_among_many_is_no_finding(detector: UnreadFormat | Truncation | Infrastructure, letter: str) -> None:
    """1 of 40 is below the least share of 5 %; 2 of 40 reach it."""
    assert not detector.examine([evaluation([letter] + ["P"] * 39)], THRESHOLDS)
    assert detector.examine([evaluation([letter] * 2 + ["P"] * 38)], THRESHOLDS)


def test_errors_and_timeouts_are_counted_apart() -> None:
    """The proposer needs to know which of the two it is."""
    (finding,) = Infrastructure().examine([evaluation(["EEP", "TPP", "PPP"])], THRESHOLDS)
    assert numbers(finding)["errors"] == 2
    assert numbers(finding)["timeouts"] == 1


def test_timeouts_that_a_load_explains_are_left_to_the_cold_start() -> None:
    """One cause, one finding."""
    cold = [True, True, True, False, False, False, False]
    assert not Infrastructure().examine([evaluation(["TTPPPPP"] * 12, loaded=[cold] * 12)], THRESHOLDS)
    assert Infrastructure().examine([evaluation(["TTPPPPP"] * 12)], THRESHOLDS)


def test_a_ceiling_needs_every_trial_to_pass_and_enough_of_them() -> None:
    """Two stochastic runs are not enough; one deterministic run is, and exactly so."""
    assert not Ceiling().examine([evaluation(["PP"] * 12)], THRESHOLDS)
    assert not Ceiling().examine([evaluation(["PPP"] * 11 + ["PPW"])], THRESHOLDS)
    assert Ceiling().examine([evaluation(["PPP"] * 12)], THRESHOLDS)
    (finding,) = Ceiling().examine([evaluation(["P"] * 12, determinism="sampled")], THRESHOLDS)
    assert finding.confidence == "exact"


def test_only_the_newest_evaluation_decides_about_a_ceiling() -> None:
    """What failed before and passes now is at the ceiling; the other way round it is not."""
    good, bad = evaluation(["PPP"] * 4, number=1), evaluation(["WWW"] * 4, number=2)
    assert not Ceiling().examine([good, bad], THRESHOLDS)
    assert Ceiling().examine([bad, good], THRESHOLDS)


def unread(evaluation: Evaluation, **fields: Any) -> Evaluation:
    """The evaluation with these fields in all its rows."""
    return evaluation.model_copy(update={"rows": tuple(row.model_copy(update=fields) for row in evaluation.rows)})


def test_an_unread_family_is_named_as_people_and_servers_name_it() -> None:
    """With what reads it, the server's own parser, and an example, escaped."""
    seen = unread(evaluation(["X"] * 4 + ["P"] * 8, unread="glm45"), read_by=("all@2",), excerpt="<tool_call>f\x1b[31m")
    (finding,) = UnreadFormat().examine([seen], THRESHOLDS)
    figures = numbers(finding)
    assert (figures["format"], figures["title"], figures["read_by"]) == ("glm45", FAMILIES.all()["glm45"].title, "all@2")
    assert "--tool-call-parser glm45" in str(figures["server_parser"])
    assert (figures["example"], figures["trial"]) == ("<tool_call>f\x1b[31m", "trial-spec-a-1-0-0")
    assert "\x1b" not in finding.summary
    assert "\\x1b" in finding.summary


def test_calls_that_stand_in_the_thinking_alone_are_a_finding_of_their_own() -> None:
    """Among the prompts that need a call."""
    seen = unread(evaluation(["M"] * 4 + ["P"] * 8, no_call=4), call_in_thinking=(True,))
    (finding,) = CallInThinking().examine([seen], THRESHOLDS)
    assert numbers(finding) == {"thought": 4, "of": 8, "share": 0.5}
    assert finding.prompt_ids == ("P1", "P2", "P3", "P4")
    assert not CallInThinking().examine([evaluation(["M"] * 4 + ["P"] * 8)], THRESHOLDS)


def test_calls_in_thinking_are_no_lack_of_capability() -> None:
    """Where most misses are such; a few of them count as passes in the bound."""
    mute = evaluation(["M"] * 12)
    assert CapabilityLimit().examine([mute], THRESHOLDS)
    assert not CapabilityLimit().examine([unread(mute, call_in_thinking=(True,))], THRESHOLDS)
    rows = unread(evaluation(["M"] * 5 + ["W"] * 15, determinism="sampled")).rows
    some = tuple(row.model_copy(update={"call_in_thinking": (place < 2,)}) for place, row in enumerate(rows))
    seen = evaluation(["M"] * 5 + ["W"] * 15, determinism="sampled").model_copy(update={"rows": some})
    (finding,) = CapabilityLimit().examine([seen], THRESHOLDS)
    assert numbers(finding)["upper_bound"] == pytest.approx(2 / 20)
    assert numbers(finding)["mute"] == 0
