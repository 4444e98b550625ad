"""The confidence of answers, and the threshold from which on they are served."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.policy import Judged, ServedTable, Thresholds, calibrated, confidence_model, threshold_steps
from selfopt.records import BoundClaim, Signals

CLAIMS: tuple[BoundClaim, ...] = get_args(BoundClaim)
UP = ("reply", "choice", "least_value", "mean_value", "backed", "covered", "fits", "agrees", "unrepaired")


def answers(n: int, tag: str, seed: int = 0, *, sets: int = 20, share: float = 0.8, told: float = 1.6) -> list[Judged]:
    """Answers that look surer where they are right, by `told`."""
    rng, found = random.Random(f"{tag} {seed}"), []
    for number in range(n):
        right = rng.random() < share
        looks = rng.gauss(told * right, 1)
        signals = Signals(
            calls=rng.random() < 0.7,
            reply=-math.exp(-looks),
            choice=-math.exp(-looks + rng.gauss(0, 0.5)),
            least_value=None if rng.random() < 0.2 else -math.exp(-looks + rng.gauss(0, 0.5)),
            backed=float(rng.random() < (0.9 if right else 0.6)),
        )
        found.append(Judged(f"{tag}{number}", f"trial {tag}{number}", f"set {rng.randrange(sets)}", signals, right))
    return found


FIT, CALIBRATION = answers(300, "f"), answers(600, "c")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 299), st.sampled_from(UP), st.floats(-50, 1), st.floats(0, 20), st.integers(0, 3))
def test_raising_a_signal_never_lowers_the_confidence(which: int, name: str, value: float, more: float, seed: int) -> None:
    """Whatever was fitted."""
    model = confidence_model(answers(80, "m", seed))
    signals: dict[str, Any] = {**asdict(FIT[which].signals), name: value}
    higher = {**signals, name: value + more}
    assert model.confidence(Signals(**signals)) <= model.confidence(Signals(**higher))


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_order_of_prompts_changes_nothing(claim: BoundClaim) -> None:
    """Neither of the fit nor of the calibration."""
    rng = random.Random(5)
    one = calibrated(FIT, CALIBRATION, claim=claim, max_bad_share=0.2, confidence=0.9)
    other = calibrated(
        rng.sample(FIT, len(FIT)), rng.sample(CALIBRATION, len(CALIBRATION)), claim=claim, max_bad_share=0.2, confidence=0.9
    )
    assert one == other


@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_a_threshold_that_is_chosen_keeps_the_share(alpha: float) -> None:
    """Its upper limit is at most alpha, and its counts are those of the answers at least as sure."""
    found = calibrated(FIT, CALIBRATION, claim="these_tools", max_bad_share=alpha, confidence=0.95)
    assert found.least is not None
    assert found.bound is not None
    served = [one for one in CALIBRATION if found.model.confidence(one.signals) >= found.least]
    assert (found.bound.served, found.bound.bad) == (len(served), sum(not one.right for one in served))
    assert found.bound.upper <= alpha
    assert found.bound.sets_low is not None
    assert found.prompts_needed == 0
    assert found.least_feasible is not None
    assert found.least_feasible <= alpha
    assert sum(s for s, _ in found.shares.values()) == found.bound.served
    assert [point.served for point in found.curve] == sorted(point.served for point in found.curve)


def test_equal_confidence_is_served_together() -> None:
    """Two kinds of answers that differ in nothing else: each is served as a whole or not at all."""

    def of(tag: str, n: int) -> list[Judged]:
        kinds = ((1.0, 0.98), (0.0, 0.4))
        rng = random.Random(tag)
        return [
            Judged(f"{tag}{i}{backed}", "", "one", Signals(calls=True, backed=backed), rng.random() < chance)
            for backed, chance in kinds
            for i in range(n)
        ]

    found = calibrated(of("f", 100), of("c", 200), claim="these_tools", max_bad_share=0.1, confidence=0.95)
    assert [point.served for point in found.curve] == [200, 400, 400]
    assert found.bound is not None
    assert found.bound.served == 200


def test_where_nothing_is_told_nothing_is_served() -> None:
    """A quarter of the answers is wrong, at every confidence: the honest answer says what would be feasible."""
    fit, calibration = (answers(n, tag, 1, share=0.75, told=0.0) for n, tag in ((200, "f"), (400, "c")))
    plain = [[replace(one, signals=replace(one.signals, backed=None)) for one in each] for each in (fit, calibration)]
    found = calibrated(plain[0], plain[1], claim="these_tools", max_bad_share=0.1, confidence=0.95)
    assert (found.least, found.bound) == (None, None)
    assert found.least_feasible is not None
    assert 0.2 < found.least_feasible < 0.4
    assert set(found.shares.values()) == {(0, 0)}


@pytest.mark.parametrize("claim", CLAIMS)
def test_too_few_prompts_are_told_how_many_more(claim: BoundClaim) -> None:
    """All are right, but thirty show no 5 %."""
    right = [replace(one, right=True) for one in answers(30, "c")]
    found = calibrated(FIT, right, claim=claim, max_bad_share=0.05, confidence=0.95)
    assert found.least is None
    assert found.prompts_needed is not None
    assert 0 < found.prompts_needed < 300
    if claim == "these_tools":
        assert found.prompts_needed == 29


@pytest.mark.parametrize(("bad", "told"), [(15, False), (8, True)])
def test_a_lower_threshold_that_would_hold_alone_needs_the_first_to_hold(bad: int, told: bool) -> None:
    """Where the surest answers are bad themselves, no number of prompts like these would do."""

    def at(times: int) -> Thresholds:
        table = ServedTable(300 * times, (90 * times, 210 * times, 300 * times), (bad * times, 15 * times, 15 * times))
        return Thresholds(confidence_model(FIT), "these_tools", [(0.9, 0.3), (0.5, 0.7), (0.0, 1.0)], {"one": table})

    assert at(1).lowest(0.1, 0.05) is None
    more = at(1).prompts_needed(0.1, 0.05)
    assert (more is not None) == told
    if more is not None:
        assert at(math.ceil(1 + more / 300)).lowest(0.1, 0.05) is not None


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("kind", ["no fit", "no calibration", "nothing", "all right", "all wrong", "one tool set"])
def test_edges_give_an_answer(claim: BoundClaim, kind: str) -> None:
    """Never an error; only where all are right is anything served, and one tool set shows nothing about others."""
    fit, calibration = list(FIT[:100]), list(CALIBRATION[:200])
    if kind in ("no fit", "nothing"):
        fit = []
    if kind in ("no calibration", "nothing"):
        calibration = []
    if kind in ("all right", "all wrong"):
        fit, calibration = ([replace(one, right=kind == "all right") for one in each] for each in (fit, calibration))
    if kind == "one tool set":
        calibration = [replace(one, tool_set="one", right=True) for one in calibration]
    found = calibrated(fit, calibration, claim=claim, max_bad_share=0.2, confidence=0.95)
    if kind == "all right" or (kind == "one tool set" and claim == "these_tools"):
        assert found.bound is not None
        assert found.bound.bad == 0
    elif kind != "no fit":
        assert found.least is None
    if kind == "all wrong":
        assert (found.least_feasible, found.prompts_needed) == (None, None)
    if kind in ("no calibration", "nothing"):
        assert found.prompts_needed == 14


def test_a_signal_that_is_no_number_counts_as_unknown() -> None:
    """In the fit and where a confidence is computed; infinite ones are the least and the most."""
    broken = [replace(one, signals=replace(one.signals, reply=math.nan if i % 2 else -math.inf)) for i, one in enumerate(FIT)]
    model = confidence_model(broken)
    assert all(math.isfinite(term.low) and math.isfinite(term.high) for term in model.calls.terms)
    unknown = [replace(one, signals=replace(one.signals, reply=None if i % 2 else -math.inf)) for i, one in enumerate(FIT)]
    assert model == confidence_model(unknown)
    odd = replace(FIT[0].signals, choice=math.nan)
    assert model.confidence(odd) == model.confidence(replace(odd, choice=None))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_bad_share": 0.0}, "max_bad_share is 0.0"),
        ({"max_bad_share": math.nan}, "max_bad_share is nan"),
        ({"confidence": 1.0}, "confidence is 1.0"),
    ],
)
def test_figures_out_of_range_are_refused(changes: dict[str, float], told: str) -> None:
    """One line says what is allowed."""
    with pytest.raises(UsageError, match=f"{told}.*between 0 and 1"):
        calibrated(FIT, CALIBRATION, claim="these_tools", **{"max_bad_share": 0.1, "confidence": 0.95, **changes})


@pytest.mark.parametrize(("fit", "calibration"), [(FIT, FIT), ([], [*CALIBRATION[:3], CALIBRATION[0]])])
def test_no_prompt_is_in_both_or_twice(fit: Sequence[Judged], calibration: Sequence[Judged]) -> None:
    """A prompt that was fitted on says nothing about others."""
    with pytest.raises(UsageError, match="occurs twice"):
        calibrated(fit, calibration, claim="these_tools", max_bad_share=0.1, confidence=0.95)


def test_tool_sets_of_the_fit_are_left_out_for_unseen_tools() -> None:
    """A set whose answers mislead the fit is judged by a model that never saw them."""
    fit = [replace(one, tool_set=f"set {i % 4}") for i, one in enumerate(FIT)]
    misled = [replace(one, right=not one.right) if one.tool_set == "set 0" else one for one in fit]
    calibration = [replace(one, tool_set="set 0") for one in CALIBRATION[:100]]
    found = calibrated(misled, calibration, claim="unseen_tools", max_bad_share=0.3, confidence=0.9)
    without = confidence_model([one for one in misled if one.tool_set != "set 0"])
    for point in found.curve:
        assert point.served == sum(without.confidence(one.signals) >= point.least for one in calibration)


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_nothing_tells_is_not_served_at_any_threshold(claim: BoundClaim) -> None:
    """Right as it may be: live traffic hands it on. Bad answers among it break no bound, and thresholds stay in [0, 1]."""
    untold = [replace(one, prompt_id=f"u{one.prompt_id}", signals=Signals(calls=False, unread=True)) for one in CALIBRATION[:50]]
    fit = [*FIT, *(replace(one, prompt_id=f"f{one.prompt_id}", right=True) for one in untold)]
    found = calibrated(fit, [*CALIBRATION, *untold], claim=claim, max_bad_share=0.2, confidence=0.95)
    told = [found.model.confidence(one.signals) for one in CALIBRATION] if claim == "these_tools" else []
    assert found.curve[-1].least == 0
    assert all(point.served <= len(CALIBRATION) for point in found.curve)
    assert all(point.served == sum(value >= point.least for value in told) for point in found.curve if told)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1) | st.just(-1.0), max_size=200))
def test_steps_with_answers_that_nothing_tells_stay_within_range(confidences: list[float]) -> None:
    """The last one serves all others."""
    steps = threshold_steps(confidences)
    told = sum(one >= 0 for one in confidences)
    assert steps[-1] == (0.0, told / len(confidences) if confidences else 1.0)
    assert all(0 <= least <= 1 for least, _ in steps)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=200))
def test_steps_fall_and_reach_more_and_more(confidences: list[float]) -> None:
    """At most forty and the last one, which serves everything."""
    steps = threshold_steps(confidences)
    assert [least for least, _ in steps] == sorted({least for least, _ in steps}, reverse=True)
    assert steps[-1] == (0.0, 1.0)
    assert len(steps) <= 41
    for least, share in steps[:-1] if confidences else []:
        assert share == sum(one >= least for one in confidences) / len(confidences)
