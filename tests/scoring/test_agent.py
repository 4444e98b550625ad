"""The figures by which models are compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import ExpectedCall, Message, Outcome, ParsedReply, Prompt, ToolCall
from selfopt.scoring import agent_counts, agent_score, argument_accuracy, call_accuracy, foreign_share, restraint


def prompt(expected: Any) -> Prompt:
    """One that accepts these sets of tools."""
    sets = expected if expected == "any" else tuple(tuple(ExpectedCall(name=n) for n in names) for names in expected)
    return Prompt(id="p", kind="k", tool_set="t", messages=(Message(role="user", content="x"),), expected=sets)


def reply(*names: str) -> ParsedReply:
    """A reply that calls these."""
    return ParsedReply(tool_calls=tuple(ToolCall(name=n) for n in names))


def test_right_tools_with_wrong_arguments_lower_argument_accuracy_alone() -> None:
    """The tool was right; nothing foreign was touched."""
    counts = agent_counts(prompt([["a.b", "c"]]), Outcome.WRONG, reply("c", "a_b"))
    assert (call_accuracy(counts), argument_accuracy(counts), foreign_share(counts)) == (0.0, 0.0, 0.0)
    assert argument_accuracy(agent_counts(prompt([["a"]]), Outcome.WRONG, reply("a", "a"))) is None


def test_a_tool_that_no_accepted_set_names_is_foreign() -> None:
    """Any call where nothing may be called is."""
    assert foreign_share(agent_counts(prompt([["a"], ["b"]]), Outcome.WRONG, reply("b", "z"))) == 1.0
    assert foreign_share(agent_counts(prompt([["a"], ["b"]]), Outcome.PASS, reply("b"))) == 0.0
    assert foreign_share(agent_counts(prompt([[]]), Outcome.UNCALLED_FOR, reply("a"))) == 1.0
    assert foreign_share(agent_counts(prompt("any"), Outcome.PASS, reply("a"))) == 0.0


def test_the_score_of_the_formula_and_of_suites_without_one_sort() -> None:
    """0.4 call accuracy + 0.3 restraint + 0.3 (1 - foreign); weights are spread where a part is missing."""
    rows = [
        agent_counts(prompt([["a"]]), Outcome.PASS, reply("a")),
        agent_counts(prompt([["a"]]), Outcome.WRONG, reply("z")),
        agent_counts(prompt([[]]), Outcome.PASS, reply()),
    ]
    total = [sum(column) for column in zip(*rows, strict=True)]
    assert restraint(total) == 1.0
    assert agent_score(total) == pytest.approx(0.4 * 0.5 + 0.3 * 1 + 0.3 * (1 - 1 / 3))
    assert agent_score(rows[0]) == 1.0
    assert agent_score([0.0] * 7) is None


@given(
    st.lists(st.tuples(st.sampled_from([[["a"]], [[]], [["a", "b"]]]), st.lists(st.sampled_from("abz"), max_size=3)), min_size=1)
)
def test_every_figure_is_a_share(cases: list[tuple[Any, list[str]]]) -> None:
    """Whatever is called, all figures stay within 0 and 1."""
    rows = []
    for expected, names in cases:
        passed = any(sorted(names) == sorted(s) for s in expected)
        outcome = Outcome.PASS if passed else Outcome.WRONG
        rows.append(agent_counts(prompt(expected), outcome, reply(*names)))
    total = [sum(column) for column in zip(*rows, strict=True)]
    for figure in (agent_score, call_accuracy, restraint, foreign_share, argument_accuracy):
        value = figure(total)
        assert value is None or 0 <= value <= 1
