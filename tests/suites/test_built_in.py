"""The two suites of the specification that come with the package."""

from __future__ import annotations

import time

import pytest

from selfopt.records import Suite
from selfopt.suites import list_suites, load_suite, validate_suite


@pytest.fixture(params=["atomic", "extended"])
def suite(request: pytest.FixtureRequest) -> Suite:
    """Each built-in suite."""
    return load_suite(str(request.param))


def test_the_suites_are_listed() -> None:
    """The built-in names are known without opening a file."""
    assert list_suites() == ["atomic", "atomic-150b", "atomic-300", "extended", "extended-160"]


def test_the_suites_are_valid_whole_work_of_the_phase_they_are_named_after(suite: Suite) -> None:
    """Nothing about them is a problem, and decisions on them are exact."""
    assert validate_suite(suite) == []
    assert suite.scope == "whole"
    assert suite.phase == suite.name


@pytest.mark.parametrize(("name", "first", "last"), [("atomic", 1, 12), ("extended", 13, 30)])
def test_prompts_are_numbered_through(name: str, first: int, last: int) -> None:
    """P1 to P12 are single requests, P13 to P30 conversations."""
    assert [p.id for p in load_suite(name).prompts] == [f"P{n}" for n in range(first, last + 1)]


def test_prompts_that_need_nothing_are_known() -> None:
    """Restraint is measured on exactly these."""
    without = [p.id for name in ("atomic", "extended") for p in load_suite(name).prompts if not p.needs_call]
    assert without == ["P5", "P6", "P9", "P15", "P16", "P18", "P28", "P29"]


def test_atomic_prompts_are_one_user_turn_and_extended_ones_have_history() -> None:
    """The phases differ in what a variant has to render."""
    assert all([m.role for m in p.messages] == ["user"] for p in load_suite("atomic").prompts)
    assert all(len(p.messages) >= 3 for p in load_suite("extended").prompts)
    roles = {m.role for p in load_suite("extended").prompts for m in p.messages}
    assert roles == {"user", "assistant", "tool"}


def test_every_prompt_says_why_it_is_there(suite: Suite) -> None:
    """Kind and a one-line reason."""
    assert all(p.kind and p.reason and "\n" not in p.reason for p in suite.prompts)


def test_both_suites_offer_the_same_three_tools() -> None:
    """A model is judged on the same tools in both phases."""
    atomic, extended = (load_suite(n) for n in ("atomic", "extended"))
    assert atomic.tool_sets == extended.tool_sets
    assert [t.name for t in atomic.tool_sets["office"]] == ["get_weather", "search_files", "schedule_meeting"]


def test_no_wording_is_used_twice() -> None:
    """Final turns differ, so that no prompt is measured under two ids."""
    last = [p.messages[-1].content for name in list_suites() for p in load_suite(name).prompts]
    assert len(set(last)) == len(last)


def test_a_suite_loads_fast() -> None:
    """Well under 100 ms of processor time once the modules are there."""
    load_suite("atomic")
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        load_suite("extended")
        best = min(best, time.process_time() - started)
    assert best < 0.1
