"""Restraint in a race."""

from __future__ import annotations

import random

import pytest

from selfopt.policy import Race, restraint_evidence
from selfopt.records import RaceBlock, RaceStart, RestraintEvidence
from selfopt.simulate import Bench, World, candidate_name

from .race_kit import advance, start_of

FIRST = candidate_name(1)
NO_CALL = frozenset({"p0", "p1", "p2", "p3", "p4"})


def raced(base: float, candidate: float, *, prompts: int = 12) -> tuple[RaceStart, list[RaceBlock]]:
    """Forty blocks in which the first five prompts pass with these chances, the others half of the time."""
    rest = [0.5] * (prompts - 5)
    made = World(([base] * 5 + rest, [candidate] * 5 + rest), (), 5)
    race = Race(start_of(made, alpha=1e-9, beta=1e-9))
    return race.start, advance(race, Bench(made, random.Random(2)), 40)


def seen(start: RaceStart, blocks: list[RaceBlock], calls: float | None = 0.4) -> RestraintEvidence | None:
    """With the usual margin."""
    return restraint_evidence(start, blocks, FIRST, NO_CALL, margin=0.1, alpha=0.05, baseline_call_accuracy=calls)


@pytest.mark.parametrize("prompts", [12, 60])
def test_a_restrained_candidate_is_shown_to_be_one(prompts: int) -> None:
    """Not worse than the baseline by the margin; draws of other prompts take no part."""
    start, blocks = raced(0.97, 0.97, prompts=prompts)
    found = seen(start, blocks)
    assert found is not None
    assert found.log_e >= found.log_e_needed
    assert found.n_pairs == sum(prompt in NO_CALL for block in blocks for prompt in block.prompts)


def test_a_candidate_that_calls_too_often_is_not_cleared() -> None:
    """Half of the time."""
    found = seen(*raced(0.95, 0.5))
    assert found is not None
    assert found.log_e < 0
    assert found.log_worse > 0


def test_a_mute_baseline_blocks_nobody() -> None:
    """It calls nothing right, so its perfect restraint is no yardstick; nor is there one without any such prompt."""
    start, blocks = raced(1.0, 0.9)
    assert seen(start, blocks, calls=0.0) is None
    assert seen(start, blocks, calls=None) is None
    none = restraint_evidence(start, blocks, FIRST, frozenset(), margin=0.1, alpha=0.05, baseline_call_accuracy=0.4)
    assert none is None
