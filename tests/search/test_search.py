"""A search can be replayed, asks nothing twice, ends, and survives whatever it is told."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.records import Capability
from selfopt.search import Given, Objective, Proposal, ReplyMark, Search, SearchPlan, Seen, WayBatch, reading_text, spread
from selfopt.variants.space import Point, asking_part, point_text, possible, ways
from tests.search.kit import MARKS, PROMPTS, READINGS, marked, played

TEXT_ONLY: frozenset[Capability] = frozenset()
ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})
PARTS = frozenset({"tools", "required_only", "form", "examples", "instructions"})
PLAN = SearchPlan(PROMPTS, ALL, rungs=(6, 15), parts=PARTS)


def by_parts(asking: Point, reading: str) -> float:
    """Two choices bring most, and one reading some."""
    bonus = 0.3 * (asking.get("examples") == "one_tool") + 0.25 * (asking.get("instructions") == "hold")
    return 0.2 + bonus + 0.1 * ("backing=strict" in reading)


def told_by_parts(batch: WayBatch) -> Seen:
    """Marks by the two choices."""
    return marked(by_parts, batch.asking, batch.prompts)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 99), st.integers(0, 40))
def test_a_search_that_is_replayed_asks_the_same(seed: int, cut: int) -> None:
    """The same plan and marks give the same batches, also where it was cut off and begun anew."""
    plan = replace(PLAN, seed=seed)
    whole = Search(plan, Objective())
    batches = played(whole, told_by_parts, 40)
    again = Search(plan, Objective())
    assert played(again, told_by_parts, cut) == batches[:cut]
    assert played(again, told_by_parts, 40 - cut) == batches[cut:]
    assert again.ranking() == whole.ranking()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.data())
def test_nothing_is_asked_twice_whatever_the_marks(seed: int, data: st.DataObject) -> None:
    """Odd marks, lost ones, other readings, prompts that were not asked: every way climbs through the plan's prompts in their order."""
    plan = SearchPlan(PROMPTS[:9], TEXT_ONLY, seed=seed, rungs=(2, 5))
    readings = st.sampled_from([*READINGS[:3], "backing=ground"])
    odd = st.dictionaries(readings, st.dictionaries(st.sampled_from(PROMPTS[:12]), MARKS, max_size=6), max_size=3)
    asked: dict[str, list[str]] = {}
    search = Search(plan, Objective())
    for batch in played(search, lambda _: data.draw(odd), 25):
        asked.setdefault(point_text(batch.asking), []).extend(batch.prompts)
        assert batch.prompts
        assert possible(batch.asking, TEXT_ONLY) or batch.by == "start"
    assert all(tuple(prompts) == plan.prompts[: len(prompts)] for prompts in asked.values())
    assert search.requests == sum(map(len, asked.values()))
    assert all(-2 <= standing.value <= 1 for standing in search.ranking())


def test_a_search_ends_when_every_way_was_asked_on_every_prompt() -> None:
    """And not before."""
    parts = frozenset({"tools", "required_only", "instructions"})
    plan = SearchPlan(PROMPTS[:2], TEXT_ONLY, start=(), rungs=(1,), parts=parts)
    search = Search(plan, Objective())
    batches = played(search, lambda batch: {"": told_by_parts(batch)[""]}, 10_000)
    assert search.next() is None
    assert sorted((point_text(b.asking), p) for b in batches for p in b.prompts) == sorted(
        (point_text(way), prompt) for way in ways(TEXT_ONLY, parts=parts) for prompt in plan.prompts
    )


def test_a_search_finds_what_parts_bring_together() -> None:
    """After few batches the best point has both choices, and the reading."""
    search = Search(PLAN, Objective(below=0.0, missed=0.0))
    played(search, told_by_parts, 60)
    best = search.ranking()[0]
    assert (best.point["examples"], best.point["instructions"]) == ("one_tool", "hold")
    assert "backing=strict" in reading_text(best.point)
    assert best.n == len(PROMPTS)


def test_the_start_comes_first_and_is_asked_on_all_prompts() -> None:
    """Each of its ways once, whatever its readings."""
    start: tuple[Point, ...] = ({}, {"instructions": "hold"}, {"backing": "strict"})
    batches = played(Search(SearchPlan(PROMPTS, ALL, start), Objective()), told_by_parts, 3)
    assert [batch.asking for batch in batches[:2]] == [{}, {"instructions": "hold"}]
    assert [batch.prompts == PROMPTS for batch in batches] == [True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_a_proposer_that_is_named_has_the_first_turn_after_the_start(seed: int) -> None:
    """Once; then the bandit draws. Whether its turn comes next can be asked before."""
    search = Search(replace(PLAN, seed=seed, first="crossover"), Objective())
    assert search.turn() is None  # the start
    played(search, told_by_parts, 1)
    assert search.turn() == "crossover"
    drawn: set[str | None] = set()
    while search.next() is not None and len(drawn) < 2:
        played(search, told_by_parts, 1)
        drawn.add(search.turn())
    assert len(drawn) == 2


def test_only_what_was_to_be_asked_can_be_told() -> None:
    """Marks of another batch, or of the same one twice, are refused in one line."""
    search = Search(PLAN, Objective())
    batch = search.next()
    assert batch is not None
    assert search.next() == batch
    search.told(batch, told_by_parts(batch))
    with pytest.raises(UsageError, match="was not to be asked"):
        search.told(batch, told_by_parts(batch))


class Odd:
    """A proposer that fails, answers nonsense, or repeats itself."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def propose(self, given: Given) -> Proposal | None:
        """Whatever comes."""
        match self._rng.randrange(6):
            case 0:
                raise RuntimeError("no idea")
            case 1:
                return Proposal({"tools": "nonsense"})
            case 2:
                return Proposal({"form": "grammar"})  # needs tools in the text
            case 3:
                return Proposal({"words": "copied", "backing": "strict"})
            case 4:
                return "native"  # type: ignore[return-value]
        return Proposal({})


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999))
def test_a_proposer_that_answers_nonsense_is_passed_over(seed: int) -> None:
    """The search goes on with what is left."""
    search = Search(PLAN, Objective(), {"odd": Odd(seed)})
    batches = played(search, told_by_parts, 12)
    assert len(batches) == 12
    assert all(possible(batch.asking, ALL) and asking_part(batch.asking) == batch.asking for batch in batches)


class Stuck:
    """A proposer that never answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.over = threading.Event()

    def propose(self, given: Given) -> Proposal | None:
        """Nothing, when the test is over."""
        self.asked += 1
        self.over.wait()
        return None


def test_a_proposer_that_never_answers_is_asked_once() -> None:
    """The search goes on without it, and the same way each time."""
    runs = []
    for _ in range(2):
        stuck = Stuck()
        search = Search(PLAN, Objective(), {"stuck": stuck}, patience_s=0.01)
        runs.append([point_text(batch.asking) for batch in played(search, told_by_parts, 30)])
        assert stuck.asked == 1
        stuck.over.set()
    assert runs[0] == runs[1]
    assert len(runs[0]) == 30


def test_those_that_climb_are_better_than_those_that_stay() -> None:
    """And many stay."""
    search = Search(PLAN, Objective(below=0.0, missed=0.0))
    played(search, told_by_parts, 45)
    begun = [look for look in search.archive.looks.values() if look.by != "start"]
    climbed, stayed = [one for one in begun if one.asked > 6], [one for one in begun if one.asked <= 6]
    assert len(stayed) > 5
    assert len(climbed) > 2
    means = [sum(by_parts(look.asking, "") for look in looks) / len(looks) for looks in (climbed, stayed)]
    assert means[0] > means[1] + 0.1


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"prompts": ()}, "0 prompts of a search"),
        ({"prompts": ("p", "p")}, "2 prompts of a search"),
        ({"keep": 1}, "keep 1"),
        ({"rungs": (5, 5)}, "rungs"),
        ({"rungs": (0, 5)}, "rungs"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changed: dict[str, tuple[str, ...]], line: str) -> None:
    """In one line."""
    with pytest.raises(UsageError, match=line):
        SearchPlan(**{"prompts": PROMPTS, "capabilities": ALL, **changed})  # type: ignore[arg-type]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 9))
def test_every_beginning_holds_its_share_of_each_group(prompts: dict[str, int], seed: int) -> None:
    """To within one prompt, or two where it ends between; every prompt once, the same every time."""
    order = spread(prompts, seed)
    assert sorted(order) == sorted(prompts)
    assert spread(dict(reversed(list(prompts.items()))), seed) == spread(dict(reversed(list(prompts.items()))), seed)
    for end in range(len(order) + 1):
        for group in set(prompts.values()):
            share = sum(one == group for one in prompts.values()) / len(prompts)
            assert abs(sum(prompts[one] == group for one in order[:end]) - share * end) <= len(set(prompts.values()))


def test_a_mark_counts_what_is_right_on_such_a_prompt() -> None:
    """A right call, or none."""
    assert [ReplyMark(p, n, c).good for p in (True, False) for n in (True, False) for c in (True, False)] == [
        True, True, False, True, False, False, False, True,
    ]  # fmt: skip
