"""Held candidates: they go on where they were, or say why not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from selfopt.errors import EvidenceError
from selfopt.policy import PastRace, Race, with_held_evidence
from selfopt.records import RaceBlock, RaceStart
from selfopt.simulate import Bench, World, candidate_name

from .race_kit import AT, advance, start_of, world

FIRST, SECOND = candidate_name(1), candidate_name(2)


def held(made: World, blocks: int = 3) -> tuple[PastRace, Race, list[RaceBlock]]:
    """A race of two that a cap ended."""
    race = Race(start_of(made, "race-1", alpha=0.01))
    seen = advance(race, Bench(made, random.Random(9)), blocks)
    assert race.ended is None
    race.hold("cap")
    return PastRace(race.start, race.end(AT)), race, seen


def draft(made: World, **changes: Any) -> RaceStart:
    """The next cycle's race of the same specs."""
    return start_of(made, "race-2", alpha=0.004).model_copy(update={"number": 2, **changes})


def test_held_candidates_go_on_with_their_evidence_and_their_k_and_alpha() -> None:
    """The same figures as if the first race had gone on, at the level of the first; nothing new is spent."""
    made = world("held", prompts=12, candidates=2, gain=0.05)
    past, race, blocks = held(made)
    start, void = with_held_evidence(draft(made), [past])
    assert void == ()
    assert start.alpha == 0
    assert [(e.entered_with, e.alpha, e.resumes) for e in start.entrants] == [(2, 0.01, ("race-1",))] * 2
    again = Race.replay(start, earlier=[(past.start, blocks)])
    for now, then in zip(again.standings(), race.standings(), strict=True):
        assert (now.log_e, now.log_f, now.estimate, now.n_pairs, now.interval) == (
            then.log_e,
            then.log_f,
            then.estimate,
            then.n_pairs,
            then.interval,
        )
        assert (now.state, now.level) == ("racing", then.level)
    further = advance(again, Bench(made, random.Random(10)), 4)
    assert Race.replay(start, further, [(past.start, blocks)]).standings() == again.standings()


def test_a_new_candidate_beside_a_held_one_has_its_own_k_and_alpha() -> None:
    """One goes on, one is new: the new one alone shares the new cycle's alpha."""
    made = world("held", prompts=12, candidates=2, gain=0.05)
    past, _, blocks = held(made)
    new = draft(made).entrants[1].model_copy(update={"spec_id": "another", "request_id": "another"})
    start, _ = with_held_evidence(draft(made, entrants=(draft(made).entrants[0], new)), [past])
    assert [(e.entered_with, e.alpha) for e in start.entrants] == [(2, 0.01), (1, 0.004)]
    assert start.alpha == 0.004
    race = Race.replay(start, earlier=[(past.start, blocks)])
    assert [s.blocks for s in race.standings()] == [3, 0]


def test_a_candidate_held_twice_brings_both_races_along() -> None:
    """Oldest first, as one long race."""
    made = world("held", prompts=12, candidates=1, gain=0.03)
    past, _, blocks = held(made)
    second_start, _ = with_held_evidence(draft(made), [past])
    second = Race.replay(second_start, earlier=[(past.start, blocks)])
    more = advance(second, Bench(made, random.Random(11)), 2)
    assert second.ended is None
    second.hold("cap")
    third = draft(made, race_id="race-3")
    start, void = with_held_evidence(third, [past, PastRace(second.start, second.end(AT))])
    assert void == ()
    assert start.entrants[0].resumes == ("race-1", "race-2")
    race = Race.replay(start, earlier=[(past.start, blocks), (second.start, more)])
    assert [s.log_e for s in race.standings()] == [s.log_e for s in second.standings()]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("environment_id", {"environment_id": "another"}),
        ("scorer_hash", {"scorer_hash": "another"}),
        ("render_hash", {"render_hash": "another"}),
        ("split", {"split": "all"}),
    ],
)
def test_evidence_under_another_key_is_void_and_says_so(what: str, change: dict[str, str]) -> None:
    """The candidate starts anew, at the new cycle's level; forced, it is refused."""
    made = world("held", prompts=12, candidates=2)
    past, _, blocks = held(made)
    moved = tuple(e.model_copy(update={"key": e.key.model_copy(update=change)}) for e in draft(made).entrants)
    start, void = with_held_evidence(draft(made, entrants=moved), [past])
    assert [v.changed for v in void] == [(what,)] * 2
    assert what in void[0].changed
    assert all(not e.resumes and (e.entered_with, e.alpha) == (2, 0.004) for e in start.entrants)
    forced = start.model_copy(update={"entrants": tuple(e.model_copy(update={"resumes": ("race-1",)}) for e in start.entrants)})
    with pytest.raises(EvidenceError, match="void"):
        Race.replay(forced, earlier=[(past.start, blocks)])


def test_other_bets_prompts_or_findings_void_evidence_too() -> None:
    """Choosing bets after the outcomes are known would be no bet."""
    made = world("held", prompts=12, candidates=2)
    past, _, _ = held(made)
    same = draft(made)
    for change, words in (
        ({"settings": same.settings.model_copy(update={"clip": 0.5})}, "race settings"),
        ({"prompt_ids": same.prompt_ids[::-1]}, "list of prompts"),
        ({"baseline_known": dict.fromkeys(same.prompt_ids, False)}, "finding on determinism"),
    ):
        _, void = with_held_evidence(same.model_copy(update=change), [past])
        assert {v.changed for v in void} == {(words,)}


def test_what_was_dropped_or_raced_against_another_baseline_is_not_taken_up() -> None:
    """Only a candidate that its last race against this baseline held."""
    made = world("held", prompts=12, candidates=2)
    past, _, _ = held(made)
    dropped = past.end.standings[0].model_copy(update={"state": "dropped"})
    ended = PastRace(past.start, past.end.model_copy(update={"standings": (dropped, past.end.standings[1])}))
    start, void = with_held_evidence(draft(made), [ended])
    assert [e.resumes for e in start.entrants] == [(), ("race-1",)]
    other, none = with_held_evidence(draft(made, baseline_spec_id="another"), [past])
    assert (void, none) == ((), ())
    assert all(not e.resumes for e in other.entrants)


def test_blocks_that_a_candidate_goes_on_from_have_to_be_there() -> None:
    """Without them its evidence would silently start at nothing, at a level that was spent already."""
    made = world("held", prompts=12, candidates=2)
    past, _, _ = held(made)
    start, _ = with_held_evidence(draft(made), [past])
    with pytest.raises(EvidenceError, match="race-1, whose blocks are not here"):
        Race.replay(start)
