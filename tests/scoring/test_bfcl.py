"""Calls judged as the Berkeley Function Calling Leaderboard's checker judges them. The cases are our own, in its form."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import ExpectedCall, Fault, Message, Outcome, ParsedReply, Prompt, ToolCall, ToolDefinition
from selfopt.scoring import Scored, scorer_of
from selfopt.scoring.judge import SCORER_HASH

from .test_values import JSON

NUMBERS = {"type": "array", "items": {"type": "number"}}
FERRY = ToolDefinition(
    name="ferry.book",
    parameters={
        "type": "object",
        "properties": {
            "port": {"type": "string"},
            "people": {"type": "integer"},
            "weight": {"type": "number", "format": "float"},
            "return": {"type": "boolean"},
            "stops": {"type": "array", "items": {"type": "string"}},
            "legs": NUMBERS,
            "point": {**NUMBERS, "format": "tuple"},
            "car": {"type": "object", "properties": {"kind": {"type": "string"}, "length": {"type": "number"}}},
            "crew": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "note": {"description": "of any type"},
        },
        "required": ["port"],
    },
)
WAVE = ToolDefinition(name="wave", parameters={"type": "object", "properties": {"times": {"type": "integer"}}, "required": []})
TOOLS = (FERRY, WAVE)
HOW = scorer_of("bfcl")


def a_prompt(expected: Any) -> Prompt:
    """A prompt with these expectations."""
    return Prompt(id="A1", kind="k", tool_set="t", messages=(Message(role="user", content="x"),), expected=expected)


def judged(prompt: Prompt, *calls: ToolCall, fault: Fault | None = None, unread: str | None = None) -> Scored:
    """The judgment of these calls."""
    return HOW.judge(prompt, TOOLS, ParsedReply(tool_calls=calls, unread=unread), fault)


def takes(accepted: list[Any], name: str, given_value: Any) -> bool:
    """Whether a value is right for an argument beside the port."""
    prompt = a_prompt(((ExpectedCall(name="ferry.book", arguments={"port": ["Oslo"], name: accepted}),),))
    call = ToolCall.model_construct(name="ferry.book", arguments={"port": "Oslo", name: given_value}, id=None)
    return HOW.judge(prompt, TOOLS, ParsedReply.model_construct(tool_calls=(call,)), None).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("name", "accepted", "right", "wrong"),
    [
        (
            "port",
            ["Oslo", "New York, NY"],
            ["oslo", "O-s.l/o", "NEW YORK NY", "new_york^*ny"],
            ["Oslo!", "Bergen", 1, None, ["Oslo"]],
        ),
        ("port", ["it's"], ['IT"S'], ["its"]),
        ("people", [2], [2], [2.0, "2", True, 3, [2]]),
        ("people", [1], [1], [True]),
        ("weight", [1.5, 2.0], [1.5, 2, 2.0], ["2", True, 3]),
        ("return", [True], [True], [1, "true", False]),
        ("stops", [["Ask", "Bø"]], [["ask", "B.ø"]], [["Bø", "Ask"], ["Ask"], ["Ask", "Bø", "C"], "Ask", [1, 2], []]),
        ("stops", [["Ask"], ["Bø"]], [["Ask"], ["bø"]], [["Ask", "Bø"]]),
        ("legs", [[1.0, 2.0]], [[1.0, 2.0]], [[1, 2], ["1", "2"], (1.0, 2.0)]),
        ("legs", [[1, 2]], [[1, 2], [1.0, 2.0]], [["1", "2"]]),
        ("point", [[1.0, 2.0]], [[1.0, 2.0], (1.0, 2.0)], [(2.0, 1.0), (1, 2)]),
        (
            "car",
            [{"kind": ["Van", "bus"], "length": [4.5, ""]}],
            [{"kind": "van", "length": 4.5}, {"kind": "BUS"}],
            [{}, {"length": 4.5}, {"kind": "van", "x": 1}, {"kind": "van", "length": "4.5"}, "van", [{"kind": "van"}]],
        ),
        (
            "crew",
            [[{"name": ["Ann"]}, {"name": ["Bo"]}]],
            [[{"name": "ann"}, {"name": "bo"}]],
            [[{"name": "Bo"}, {"name": "Ann"}], [{"name": "Ann"}], [], ["Ann", "Bo"]],
        ),
        ("note", ["a, b"], ["A B"], [1]),
        ("note", [3], [3], ["3"]),
        ("people", [None], [None], [0, "none"]),
        ("stops", ["data['x']"], ["data['x']"], ['data["x"]']),
        ("port", [""], ["", " ", "."], ["x"]),
        ("stops", [["Ask"], ""], [["Ask"], []], [[""], ["x"]]),
        ("crew", [[{"name": ["Ann"]}], ""], [[], [{"name": "Ann"}]], [["Ann"], [{}]]),
        ("car", [""], [], [{}, ""]),
        ("people", [], [], [1, None]),
    ],
)
def test_values_are_compared_as_the_checker_does(name: str, accepted: list[Any], right: list[Any], wrong: list[Any]) -> None:
    """What is right and what is wrong for each declared type, oddities included."""
    for value in right:
        assert takes(accepted, name, value), value
    for value in wrong:
        assert not takes(accepted, name, value), value


BOOK = ExpectedCall(name="ferry.book", arguments={"port": ["Oslo"], "people": [2, ""], "weight": [1.0]})
ONE = a_prompt(((BOOK,),))


@pytest.mark.parametrize(
    ("arguments", "outcome", "words"),
    [
        ({"port": "Oslo", "weight": 1}, Outcome.PASS, "as accepted"),
        ({"port": "Oslo", "weight": 1, "people": 2}, Outcome.PASS, "as accepted"),
        ({"port": "Oslo"}, Outcome.WRONG, "argument weight is missing, accepted: 1.0"),
        ({"weight": 1}, Outcome.WRONG, "argument port is missing"),
        ({"port": "Oslo", "weight": 1, "return": False}, Outcome.WRONG, "argument return was not asked for, got false"),
        ({"port": "Oslo", "weight": 1, "sails": 4}, Outcome.WRONG, "argument sails is unknown to the tool"),
        ({"port": "Oslo", "weight": 1, "people": 3}, Outcome.WRONG, "argument people is 3, accepted: 2 or left out"),
    ],
)
def test_optional_arguments_may_be_left_out_and_others_may_not_come(arguments: Any, outcome: Outcome, words: str) -> None:
    """ "" among the accepted values makes an argument optional; what is not listed must not be given."""
    judgment = judged(ONE, ToolCall(name="ferry.book", arguments=arguments))
    assert (judgment.outcome, words in judgment.why) == (outcome, True), judgment


def test_a_required_argument_has_to_be_given_even_where_the_answer_lists_it_as_optional() -> None:
    """The tool's schema is looked at first."""
    prompt = a_prompt(((ExpectedCall(name="ferry.book", arguments={"port": ["Oslo", ""]}),),))
    assert judged(prompt, ToolCall(name="ferry.book")).outcome is Outcome.WRONG
    assert judged(prompt, ToolCall(name="ferry.book", arguments={"port": "Oslo"})).outcome is Outcome.PASS


def test_names_are_compared_as_they_are() -> None:
    """A dot is no underscore here; adapters that cannot send dots map them back before anything is judged."""
    for name in ("ferry_book", "Ferry.book", "book", "wave"):
        assert judged(ONE, ToolCall(name=name, arguments={"port": "Oslo", "weight": 1})).outcome is Outcome.WRONG


def wave(times: Any) -> ToolCall:
    """A call of the second tool."""
    return ToolCall(name="wave", arguments={"times": times})


def test_parallel_calls_may_come_in_any_order_and_each_counts_once() -> None:
    """Each expected call needs one of its own."""
    prompt = a_prompt(
        ((ExpectedCall(name="wave", arguments={"times": [1]}), ExpectedCall(name="wave", arguments={"times": [2]})),)
    )
    assert judged(prompt, wave(2), wave(1)).outcome is Outcome.PASS
    for calls in ([wave(1)], [wave(1), wave(1)], [wave(1), wave(2), wave(2)]):
        assert judged(prompt, *calls).outcome is Outcome.WRONG


def test_parallel_calls_are_taken_first_come_first_served() -> None:
    """As the checker does it: a call that the first expectation takes is gone for the second, even if it alone fits that."""
    either = ExpectedCall(name="wave", arguments={"times": [1, 2]})
    prompt = a_prompt(((either, ExpectedCall(name="wave", arguments={"times": [1]})),))
    assert judged(prompt, wave(2), wave(1)).outcome is Outcome.PASS
    assert judged(prompt, wave(1), wave(2)).outcome is Outcome.WRONG


def test_irrelevance_wants_silence_and_relevance_any_call_at_all() -> None:
    """Relevance does not ask whether the called tool was offered."""
    nothing, anything = a_prompt(((),)), a_prompt("any")
    assert judged(nothing).outcome is Outcome.PASS
    assert judged(nothing, wave(1)).outcome is Outcome.UNCALLED_FOR
    assert judged(anything).outcome is Outcome.MISSED
    assert judged(anything, ToolCall(name="unheard_of")).outcome is Outcome.PASS


def test_faults_and_unread_replies_are_told_as_in_every_suite() -> None:
    """Only the comparison of calls differs."""
    assert judged(ONE, fault="timeout").outcome is Outcome.TIMEOUT
    assert judged(ONE, fault="truncated").outcome is Outcome.TRUNCATED
    assert judged(ONE, unread="json").outcome is Outcome.UNPARSED
    assert judged(ONE).outcome is Outcome.MISSED


def test_its_verdicts_have_a_hash_of_their_own_and_those_of_standard_suites_keep_theirs() -> None:
    """A golden hash: stored verdicts on standard suites stay valid."""
    assert scorer_of("standard").scorer_hash == SCORER_HASH == "scorer-aadf5bc263ab9c154c6b162a"
    assert HOW.scorer_hash != SCORER_HASH


@given(st.dictionaries(st.sampled_from(list(FERRY.parameters["properties"])) | st.text(max_size=3), JSON, max_size=5))
def test_no_reply_breaks_it(arguments: dict[str, Any]) -> None:
    """Whatever stands in the arguments, there is an outcome and one printable line."""
    everything: dict[str, list[Any]] = {
        name: ["x", [], {"a": [1]}, [{"a": ["b"]}], 1, None] for name in FERRY.parameters["properties"]
    }
    prompt = a_prompt(((ExpectedCall(name="ferry.book", arguments=everything), ExpectedCall(name="wave")),))
    judgment = judged(prompt, ToolCall(name="ferry.book", arguments=arguments), ToolCall(name="wave"))
    assert judgment.outcome in (Outcome.PASS, Outcome.WRONG)
    assert judgment.why.isprintable()


def test_a_huge_reply_costs_no_more_than_reading_it() -> None:
    """Numbers beyond a float, deep lists, long texts, many calls."""
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    started = time.process_time()
    for value in (10**400, deep, "x" * 1_000_000, [1.0] * 200_000, {str(n): n for n in range(50_000)}):
        for name in FERRY.parameters["properties"]:
            assert not takes([[1.0], {"a": [1]}, "y", 2.5], name, value)
    assert judged(ONE, *[wave(1)] * 10_000).outcome is Outcome.WRONG
    assert time.process_time() - started < 5
