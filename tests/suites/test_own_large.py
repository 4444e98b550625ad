"""The large suites: what their splits, kinds and tool sets promise."""

from __future__ import annotations

from collections import Counter

import pytest

from selfopt.records import Suite
from selfopt.scoring import trivial_policies
from selfopt.suites import load_suite, validate_suite

SPLITS = {
    "atomic-150b": {"heldout": 150},
    "atomic-300": {"search": 140, "heldout": 150, "canary": 10},
    "extended-160": {"search": 55, "heldout": 100, "canary": 5},
}


@pytest.fixture(params=sorted(SPLITS))
def suite(request: pytest.FixtureRequest) -> Suite:
    """Each of them."""
    return load_suite(str(request.param))


def test_they_are_valid_samples_of_the_size_they_are_named_after(suite: Suite) -> None:
    """Decisions on them are about prompts like these."""
    assert validate_suite(suite) == []
    assert suite.scope == "sample"
    assert suite.name.removesuffix("b") == f"{suite.phase}-{len(suite.prompts)}"


def test_splits_have_their_sizes_and_share_no_tool_set_and_no_tool(suite: Suite) -> None:
    """What is held out are new tools."""
    assert Counter(p.split for p in suite.prompts) == SPLITS[suite.name]
    split_of = {p.tool_set: p.split for p in suite.prompts}
    assert all(p.split == split_of[p.tool_set] for p in suite.prompts)
    names = [tool.name for tools in suite.tool_sets.values() for tool in tools]
    assert len(set(names)) == len(names)
    assert all(3 <= len(tools) <= 10 for tools in suite.tool_sets.values())
    assert set(suite.tool_sets) == set(split_of)


def test_kinds_are_those_of_the_specifications_suites_and_balanced(suite: Suite) -> None:
    """As many of each as of any other, up to one."""
    specified = Counter(p.kind for p in load_suite(suite.phase).prompts)
    counted = Counter(p.kind for p in suite.prompts)
    assert set(counted) == set(specified)
    per_prompt = [counted[kind] / specified[kind] for kind in counted]
    assert max(per_prompt) - min(per_prompt) <= 1


@pytest.mark.parametrize(("name", "count"), [("atomic-300", 75), ("atomic-150b", 37)])
def test_a_quarter_of_the_single_requests_needs_nothing(name: str, count: int) -> None:
    """Exactly the three kinds that ask for no call."""
    silent = [p for p in load_suite(name).prompts if not p.needs_call]
    assert len(silent) == count
    assert {p.kind for p in silent} == {"question about the assistant", "needed detail missing", "code about a tool's topic"}


def test_every_prompt_says_why_its_answer_is_the_right_one_and_is_worded_once(suite: Suite) -> None:
    """A reason in one line; no final turn stands twice."""
    assert all(p.reason and "\n" not in p.reason for p in suite.prompts)
    last = [p.messages[-1].content for p in suite.prompts]
    assert len(set(last)) == len(last)


def test_policies_that_look_at_nothing_get_no_call_right(suite: Suite) -> None:
    """Neither silence nor the first tool without arguments."""
    for policy in trivial_policies(suite, suite.prompts):
        assert policy.call_accuracy == 0.0
