"""Caps: what a command may spend, and whether the next block fits."""

from __future__ import annotations

from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.records import Usage


def spent(budget: Budget, trials: int, *, minutes: float = 0.0, cost: float = 0.0) -> BudgetMeter:
    """A meter after so many trials, each of 100 tokens, that took so long and cost so much together."""
    now = [0.0]
    meter = BudgetMeter(budget, lambda: now[0])
    for _ in range(trials):
        assert meter.reserve()
        meter.charge(Usage(input_tokens=80, output_tokens=20), cost / trials, "m")
        meter.commit()
    now[0] = minutes * 60
    return meter


def test_without_caps_nothing_is_short() -> None:
    """However much is asked for."""
    assert spent(Budget(), 10, minutes=600, cost=1e6).shortfall(1_000_000) is None


def test_what_the_next_block_would_take_is_judged_by_what_trials_took() -> None:
    """Ten trials took a minute, 1000 tokens, 1.0: ten more fit twice that and no less; the cap is named with what to do."""
    for fits, short, name in (
        (Budget(max_trials=20), Budget(max_trials=19), "max_trials"),
        (Budget(max_minutes=2.01), Budget(max_minutes=1.9), "max_minutes"),
        (Budget(max_tokens=2001), Budget(max_tokens=1900), "max_tokens"),
        (Budget(max_cost=2.01), Budget(max_cost=1.9), "max_cost"),
    ):
        assert spent(fits, 10, minutes=1.0, cost=1.0).shortfall(10) is None
        why = spent(short, 10, minutes=1.0, cost=1.0).shortfall(10)
        assert why is not None
        assert why.startswith(f"{name} = ")
        assert "; raise " in why


def test_a_cap_that_trials_in_flight_take_up_is_reached_by_the_command() -> None:
    """None of them is committed yet, and the words do not speak of 0 trials."""
    meter = BudgetMeter(Budget(max_trials=1), lambda: 0.0)
    assert meter.reserve()
    assert not meter.reserve()
    assert meter.stop_reason == "max_trials = 1 reached by this command; raise max_trials to go on"


def test_an_unknown_cost_ends_a_capped_measurement_only_behind_a_reply() -> None:
    """A fault that tells no counts is no reason; a reply without them is: the cap could not hold."""
    silent, replied = (BudgetMeter(Budget(max_cost=1.0), lambda: 0.0) for _ in range(2))
    silent.charge(Usage(), None, "far/m", replied=False)
    replied.charge(Usage(), None, "far/m")
    assert silent.stop_reason is None
    assert "what far/m costs is unknown" in (replied.stop_reason or "")


def test_amounts_are_told_as_people_write_them() -> None:
    """What is left of a cap has no odd digits, and large numbers have no exponent."""
    caps = Budget(max_tokens=1_000_000)
    why = spent(caps, 10, minutes=1.0).shortfall(99_995)
    assert why is not None
    assert why.startswith("max_tokens = 1000000: 1000 are spent, the next block of 99995 trials would take about 9999500;")
    why = spent(Budget(max_minutes=13.9998), 7, minutes=3.0).shortfall(277)
    assert why is not None
    assert why.startswith("max_minutes = 14: 3 are spent, the next block of 277 trials would take about 120;")


def test_what_the_caps_leave_is_told_in_trials() -> None:
    """The tightest cap counts. Nothing is known without a cap, or before a trial told what one takes."""
    assert spent(Budget(), 10, minutes=1.0).affords() is None
    assert spent(Budget(max_minutes=5), 0).affords() is None
    assert spent(Budget(max_trials=20), 0).affords() == 20
    assert spent(Budget(max_minutes=3.01, max_tokens=5_000), 10, minutes=1.0).affords() == 20
    assert spent(Budget(max_minutes=30, max_tokens=2_000, max_cost=9.0), 10, minutes=1.0, cost=1.0).affords() == 10
    assert spent(Budget(max_minutes=0.5), 10, minutes=1.0).affords() == 0
