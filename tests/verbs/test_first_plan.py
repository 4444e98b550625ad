"""A quickstart measures what the machine manages in the time that it promises, and says what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.suites import load_suite
from selfopt.verbs.first_plan import LADDER, LIMIT_S, STEPS, Pace, Plan, at_pace, choose, seconds
from selfopt.verbs.first_sizing import change_told, part_of, plan_told, sized, use_plan, whole_plan
from tests.loop.kit import World, model

MODELS = ("local/small", "local/large")
WHOLE = LADDER[0]
speeds = st.builds(Pace, st.floats(1, 10_000), st.floats(0.5, 1_000))
both = st.tuples(speeds, speeds)


@given(paces=both, spent=st.floats(0, 300))
def test_a_plan_fits_the_time_unless_none_does(paces: tuple[Pace, Pace], spent: float) -> None:
    """Only the smallest plan may be longer."""
    plan = choose(paces, spent, WHOLE)
    assert plan == LADDER[-1] or spent + seconds(plan, paces) <= LIMIT_S


@given(paces=both, factor=st.floats(1, 10))
def test_a_slower_machine_never_measures_more(paces: tuple[Pace, Pace], factor: float) -> None:
    """In no part of the plan."""
    fast, slow = choose(paces, 0, WHOLE), choose(at_pace(paces, factor), 0, WHOLE)
    assert all(getattr(slow, name) <= getattr(fast, name) for name in Plan.__dataclass_fields__)


def test_each_rung_takes_less_time_than_the_one_before() -> None:
    """At the pace of two slow cores."""
    paces = (Pace(200, 60), Pace(80, 20))
    times = [seconds(rung, paces) for rung in LADDER]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("paces", "at_least"),
    [
        ((Pace(400, 120), Pace(150, 44)), Plan(12, 2, 2, 9, 1)),
        ((Pace(200, 60), Pace(80, 22)), Plan(6, 2, 2, 6, 0)),
        ((Pace(120, 25), Pace(60, 11)), Plan(6, 1, 2, 0, 0)),
        ((Pace(52, 44), Pace(13, 7)), Plan(6, 1, 2, 0, 0, models=1)),
    ],
    ids=["two cores alone", "one of them taken", "both taken, and slow", "beside seven others"],
)
def test_on_two_cores_each_machine_gets_a_plan_that_shows_something(paces: tuple[Pace, Pace], at_least: Plan) -> None:
    """The paces are measured ones; each stays within six minutes, and both models are tried."""
    plan = choose(paces, 10, WHOLE)
    assert all(getattr(plan, name) >= getattr(at_least, name) for name in Plan.__dataclass_fields__)
    assert seconds(plan, paces) + 10 <= LIMIT_S


@given(paces=both, spent=st.floats(0, 400), step=st.integers(1, 3))
def test_what_the_first_cycle_measures_stays_on_the_way(paces: tuple[Pace, Pace], spent: float, step: int) -> None:
    """Later steps are compared with it."""
    begun = LADDER[6]
    plan = choose(paces, spent, WHOLE, begun, STEPS[step:])
    assert replace(plan, conversations=0, warm_ups=0) == replace(begun, conversations=0, warm_ups=0)
    if "extended" not in STEPS[step:]:
        assert plan.conversations == begun.conversations


def test_without_a_pace_everything_is_measured() -> None:
    """Scripted models tell none."""
    assert choose((), 0, Plan(300, 4, 2, 18, 2)) == Plan(300, 4, 2, 18, 2)


def test_what_is_left_out_is_said_with_its_reason() -> None:
    """Each part, and nothing where nothing is."""
    paces = (Pace(200, 60), Pace(80, 20))
    pace, about, left = plan_told(Plan(8, 2, 1, 6, 0), WHOLE, MODELS, paces)
    assert "local/large reads 80 and writes 20 tokens/s" in pace
    assert "of each model 8 requests (2 asked again" in about
    assert "no warm-up" in about
    assert left.endswith(
        "6 minutes here: 4 requests, 1 candidate, 12 conversations, 2 requests asked again, the warm-up of small and large"
    )
    assert len(plan_told(WHOLE, WHOLE, MODELS, paces)) == 2
    assert plan_told(WHOLE, WHOLE, MODELS, ()) == []


def test_a_model_that_is_left_out_is_named() -> None:
    """The larger one, where even the smallest plan of both would take too long."""
    paces = (Pace(52, 44), Pace(13, 7))
    _, about, left = plan_told(LADDER[-1], WHOLE, MODELS, paces)
    assert "of small alone 6 requests" in about
    assert "6 minutes here: the model large, 6 requests, 18 conversations" in left


def test_a_change_on_the_way_says_which_way_it_went() -> None:
    """Slower: what goes. Faster: what comes."""
    less = Plan(12, 4, 2, 6, 0)
    assert "slower" in change_told(less, WHOLE, MODELS, 200, 100)
    assert "left out, to stay within 6 minutes: 12 conversations, the warm-up of" in change_told(less, WHOLE, MODELS, 200, 100)
    assert "measured too: 12 conversations, the warm-up of small and large" in change_told(WHOLE, less, MODELS, 100, 200)


@pytest.mark.parametrize("name", ["atomic", "extended"])
@given(data=st.data())
def test_a_part_keeps_prompts_of_both_sorts(name: str, data: st.DataObject) -> None:
    """So many prompts, each of the suite's own, spread over it; from two on, some need a call and some don't."""
    suite = load_suite(name)
    count = data.draw(st.integers(2, len(suite.prompts)))
    part = part_of(suite, count).prompts
    assert len(part) == count
    assert [p for p in suite.prompts if p in part] == list(part)
    assert {p.needs_call for p in part} == {True, False}


def test_a_part_of_a_suite_is_a_suite_of_its_own_and_is_put_back(tmp_path: Path) -> None:
    """Rules that rest on it are not taken for rules that rest on the whole."""
    with World(tmp_path, {"m": model()}).app() as app:
        whole = whole_plan(app, MODELS)
        before = app.settings
        with sized(app):
            use_plan(app, Plan(whole.prompts - 1, 1, 1, whole.conversations - 1, 0), whole)
            use_plan(app, Plan(whole.prompts - 1, 1, 1, whole.conversations - 1, 0), whole)
            spec = app.standing_spec("scripted/m", "atomic")
            assert spec.suite == f"quickstart-atomic-{whole.prompts - 1}"
            assert len(app.suite_for(spec).prompts) == whole.prompts - 1
            assert app.settings.loop.determinism_sample == 1
            assert app.settings.loop.n_runs == app.settings.policy.min_runs
        assert app.settings is before
        assert spec.suite_hash != app.standing_spec("scripted/m", "atomic").suite_hash
