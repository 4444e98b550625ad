"""Escalation on simulated worlds: frozen, true to their chances, and within the bound."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import replace

import pytest

from selfopt.errors import UsageError
from selfopt.simulate.escalation import ALPHAS, SimulatedEscalation, TrueCurve, population, step_of
from selfopt.simulate.escalation_figures import escalation_figures
from selfopt.simulate.escalation_shift import SimulatedShift
from selfopt.simulate.escalation_worlds import ESCALATION_WORLDS, draw_answers, draw_tools

FROZEN = "ff3c482728b467a4"
FEW = SimulatedEscalation("calibrated", calibrations=60)


def test_the_worlds_of_escalation_are_frozen() -> None:
    """What the figures of docs/ESCALATION.md were measured in can't be changed without anybody noticing."""
    told = []
    for world in ESCALATION_WORLDS.values():
        rng = random.Random("frozen " + world.name)
        tools = draw_tools(world, 30, "s", rng)
        told += [f"{one.name} {one.ease:.6f} {one.drop:.6f}" for one in tools]
        for shifted in (False, True):
            for one, chance in draw_answers(world, tools, 300, "p", rng, lift=world.fit_lift, shifted=shifted):
                s = one.signals
                values = (s.calls, s.choice, s.least_value, s.backed, s.unrepaired, one.right, one.tool_set, chance)
                told.append(" ".join(f"{x:.6f}" if isinstance(x, float) else str(x) for x in values))
    assert hashlib.sha256("\n".join(told).encode()).hexdigest()[:16] == FROZEN


def test_the_bound_is_broken_seldom_and_most_of_the_oracles_share_is_served() -> None:
    """At alpha 0.1 and 0.2; three standard errors above delta at most."""
    found = FEW.once("short")
    for alpha in ALPHAS:
        assert found[f"broken {alpha:g}"] / 60 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)
    for alpha in (0.1, 0.2):
        assert found[f"served {alpha:g}"] >= 0.8 * found[f"oracle {alpha:g}"]


def test_nothing_is_served_where_confidence_tells_nothing() -> None:
    """A quarter is wrong at every confidence."""
    found = replace(FEW, world="uninformative", calibrations=20).once("short")
    assert all(found[f"{what} {alpha:g}"] == 0 for what in ("shown", "served", "oracle") for alpha in ALPHAS)


def test_the_claim_on_unseen_tools_holds_over_draws_of_tool_sets() -> None:
    """Something is served at 0.2 with a hundred sets, and nothing at 0.05."""
    found = replace(FEW, world="bad_sets", claim="unseen_tools", calibrations=20).once("short")
    assert found["broken 0.2"] <= 4
    assert found["shown 0.2"] >= 15
    assert found["shown 0.05"] == 0


def test_the_oracle_knows_the_true_curve() -> None:
    """Equal confidences are served together; the true share counts chances."""
    curve = TrueCurve.of([(0.9, 1.0), (0.8, 0.9), (0.8, 0.7), (0.1, 0.0)])
    assert curve.served_from(0.8) == pytest.approx((0.75, 0.1))
    assert curve.served_from(0.85) == (0.25, 0.0)
    assert curve.oracle(0.14) == 0.75
    assert curve.oracle(0.05) == 0.25
    assert curve.oracle(0.5) == 1.0


def test_a_calibration_counts_what_each_threshold_serves() -> None:
    """An answer falls on the strictest threshold that it reaches."""
    assert step_of([[(0.9, 1.0), (0.5, 1.0), (0.2, 0.0)]], [(0.9, 0.1), (0.5, 0.5), (0.0, 1.0)]) == [
        [(0, 1.0), (1, 1.0), (2, 0.0)]
    ]
    here = population("calibrated", "these_tools")
    tables = replace(FEW, prompts=100).tables([[(0, 0.0)] * 5 for _ in here.sets], 2, random.Random(1))
    assert {(one.n, one.served, one.bad) for one in tables.values()} == {(5, (5, 5), (5, 5))}


def test_a_shift_breaks_the_bound_and_is_seen() -> None:
    """More is wrong than was asked for, and the detectors of the gateway go off in the end."""
    found = SimulatedShift(0.2, feedback=1.0).once("short")
    assert found["bad_share"] > 0.22
    assert 0 < found["outcome_alarm"] < 2000
    assert found["alarm"] == min(found["outcome_alarm"], found["share_alarm"]) > 0


def test_a_shifted_stream_is_void_within_thousands_of_requests_and_an_unshifted_one_seldom() -> None:
    """Six calibrations at 0.1."""
    found = [SimulatedShift(0.1).once(f"short {number}") for number in range(6)]
    alarms = sorted(row["alarm"] for row in found)
    assert alarms[0] > 20
    assert alarms[4] < 6000
    assert sum(row["needless"] for row in found) <= 1


def test_the_figures_of_a_seed_are_the_same() -> None:
    """And no replication is refused."""
    one, other = (escalation_figures(2, claims=("these_tools",), seed="x", processes=1) for _ in range(2))
    assert one == other
    with pytest.raises(UsageError, match="at least 1"):
        escalation_figures(0)
