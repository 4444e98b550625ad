"""A search for conversations looks through their space, one for single requests through its own."""

from __future__ import annotations

import random

import pytest

from selfopt.records import Capability, Phase
from selfopt.search import SEARCHERS, Given, Objective, ReplyMark, Search, SearchPlan, Seen, WayBatch, reading_text
from selfopt.search.likeness import choices_of, covariances
from selfopt.search.proposers.tpe import Optuna
from selfopt.search.proposers.transfer import Transfer
from selfopt.variants.space import parts_of, point_text, possible, readings_of

from .kit import PROMPTS, needs_call, played

HAS: frozenset[Capability] = frozenset({"tools"})
OWN = {part.name for part in parts_of("extended")} - {part.name for part in parts_of("atomic")}


def marks(batch: WayBatch, phase: Phase) -> Seen:
    """A model that is helped by a digest, and by a reading that drops calls that were made before."""
    seen = {}
    for point in readings_of(batch.asking, (), phase):
        chance = 0.3 + 0.2 * ("digest" in point) + 0.2 * (point.get("repeats") == "turn")
        drawn = {p: random.Random(f"{point_text(batch.asking)} {p}").random() < chance for p in batch.prompts}
        seen[reading_text(point)] = {p: ReplyMark(good, needs_call(p), good == needs_call(p)) for p, good in drawn.items()}
    return seen


def searched(phase: Phase) -> tuple[Search, list[WayBatch]]:
    """A search of forty batches with every proposer."""
    plan = SearchPlan(PROMPTS, HAS, rungs=(6,), phase=phase)
    search = Search(plan, Objective(), {**SEARCHERS.all(), "transfer": Transfer(({"digest": "state"}, {"required_only": "yes"}))})
    return search, played(search, lambda batch: marks(batch, phase), 40)


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_every_way_is_of_the_phase_that_is_searched(phase: Phase) -> None:
    """Whoever proposed it; a point of the other phase is passed over."""
    search, batches = searched(phase)
    assert all(possible(batch.asking, HAS, phase) for batch in batches)
    named = {name for batch in batches for name in batch.asking}
    assert named <= {part.name for part in parts_of(phase)}
    assert bool(named & OWN) == (phase == "extended")
    assert {batch.by for batch in batches} >= {"start", "random", "single change", "crossover", "likeness"}
    assert [batch.asking for batch in batches if batch.by == "transfer" and batch.prompts[0] == PROMPTS[0]] in (
        [],
        [{"required_only": "yes"}] if phase == "atomic" else [{"digest": "state"}],
    )
    assert search.archive.phase == phase


def test_a_search_finds_what_helps_conversations() -> None:
    """Asking and reading together."""
    search, _ = searched("extended")
    best = search.ranking()[0].point
    assert "digest" in best
    assert best["repeats"] == "turn"


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_ways_are_alike_by_the_parts_of_their_phase(phase: Phase) -> None:
    """Two that differ in one part share all others; the same way is as alike as can be."""
    one, other = choices_of({}, phase), choices_of({"tools": "brief"}, phase)
    assert len(one) == sum(not part.reads for part in parts_of(phase))
    near, same = covariances(one, [other, one])
    assert near < same == pytest.approx(1.0)


def test_optuna_asks_for_the_parts_of_the_phase() -> None:
    """Told of what was seen."""
    pytest.importorskip("optuna")
    search, _ = searched("extended")
    given = Given(search.archive, (), HAS, random.Random(2))
    found = Optuna().propose(given)
    assert found is not None
    assert possible(found.asking, HAS, "extended")
    assert given.phase == "extended"
