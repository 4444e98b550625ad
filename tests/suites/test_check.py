"""What makes a suite of the right shape unusable."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import Suite
from selfopt.suites import validate_suite
from selfopt.suites.check import printable

RING: dict[str, Any] = {
    "name": "ring",
    "parameters": {
        "type": "object",
        "properties": {
            "times": {"type": "integer"},
            "bell": {"type": "string", "enum": ["small", "large"]},
            "guests": {"type": "array", "items": {"type": "string"}},
            "pause": {"type": "integer", "default": 2},
        },
        "required": ["times"],
    },
}
ASK = {"role": "user", "content": "Ring three times."}
CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "name": "ring", "arguments": {"times": 1}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "ring", "content": "done"}


def problems(tools: list[Any] | None = None, **prompt: Any) -> list[str]:
    """The problems of a suite with one prompt that was changed so."""
    base: dict[str, Any] = {
        "id": "A1",
        "kind": "direct",
        "tool_set": "bells",
        "messages": [ASK],
        "expected": [[{"name": "ring", "arguments": {"times": [3]}}]],
    }
    data = {"name": "mine", "phase": "atomic", "tool_sets": {"bells": [RING] if tools is None else tools}}
    return validate_suite(Suite.model_validate({**data, "prompts": [{**base, **prompt}]}))


def expecting(**arguments: Any) -> list[str]:
    """The problems when these arguments are accepted."""
    return problems(expected=[[{"name": "ring", "arguments": arguments}]])


@pytest.mark.parametrize(
    "prompt",
    [
        {},
        {"expected": "any"},
        {"expected": [[]]},
        {"expected": [[], [{"name": "ring", "arguments": {"times": ["", 3]}}]]},
        {"messages": [{"role": "system", "content": "Be brief."}, ASK, CALL, RESULT]},
        {"messages": [ASK, CALL, RESULT, {"role": "assistant", "content": "Done."}, ASK]},
    ],
)
def test_a_usable_prompt_has_no_problem(prompt: dict[str, Any]) -> None:
    """Any, none, mixed sets, a system message, a tool result at the end."""
    assert problems(**prompt) == []


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ({"id": "a b"}, "the id is not allowed"),
        ({"tool_set": "drums"}, "tool set 'drums' is not defined; defined are 'bells'"),
        ({"messages": []}, "the last one has to be from the user"),
        ({"messages": [ASK, {"role": "assistant", "content": "x"}]}, "the last one has to be from the user"),
        ({"messages": [{"role": "user", "content": " "}]}, "neither text nor tool calls"),
        ({"messages": [ASK, {"role": "system", "content": "x"}, ASK]}, "a system message may only come first"),
        ({"messages": [ASK, RESULT]}, "a tool result answers call 'c1', but no call just before it has this id"),
        ({"messages": [ASK, CALL, RESULT, RESULT]}, "messages[3]: a tool result answers call 'c1'"),
        ({"messages": [ASK, CALL, ASK]}, "tool calls without a result before it: 'c1'"),
        ({"messages": [ASK, CALL, RESULT, CALL, RESULT]}, "needs an id that no other call has"),
        ({"messages": [ASK, CALL]}, "ends with tool calls that have no result"),
        ({"messages": [{**CALL, "role": "user"}]}, "only the assistant calls tools"),
        (
            {"messages": [ASK, {"role": "assistant", "tool_calls": [{"id": "c1", "name": "sing"}]}, RESULT]},
            "calls 'sing', which is not in the tool set; offered are 'ring'",
        ),
        ({"expected": []}, "no accepted set"),
        ({"expected": [[]] * 65}, "65 accepted sets"),
        ({"expected": [[{"name": "ring", "arguments": {"times": [1]}}] * 33]}, "33 calls, allowed are 32"),
        ({"expected": [[{"name": "sing"}]]}, "'sing' is not in the tool set; offered are 'ring'"),
    ],
)
def test_an_unusable_prompt_is_named_with_the_reason(prompt: dict[str, Any], said: str) -> None:
    """Each problem starts with the prompt and says what to do."""
    found = problems(**prompt)
    assert any(said in p for p in found), found
    assert all(p.startswith("prompt ") and "; " in p for p in found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"times": [3], "speed": [1]}, "argument 'speed' is not in the tool's schema; known are 'times', 'bell', 'guests'"),
        ({"times": []}, "argument 'times' has no accepted value"),
        ({"times": [""]}, 'only "" (left out) is accepted'),
        ({}, "required argument 'times' has no accepted values"),
        ({"times": ["often"]}, "accepted value 'often' is not of type integer"),
        ({"times": [3.5]}, "accepted value 3.5 is not of type integer"),
        ({"times": [True]}, "accepted value True is not of type integer"),
        ({"times": [3], "bell": ["huge"]}, "accepted value 'huge' is not in the schema's enum ('small', 'large')"),
        ({"times": [3], "guests": ["Ann"]}, "accepted value 'Ann' is not of type array"),
        ({"times": [3], "guests": [{"any_order": "Ann"}]}, "any_order without a list"),
        ({"times": [3], "guests": [["Ann", 3]]}, "accepted value 3 is not of type string"),
        ({"times": [3], "guests": [["Ann"] * 65]}, "a list of 65, allowed are 64"),
    ],
)
def test_an_expectation_that_no_reply_can_meet_is_a_problem(arguments: dict[str, Any], said: str) -> None:
    """It would count against every model."""
    assert any(said in p for p in expecting(**arguments)), expecting(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"times": ["3", 3.0]},
        {"times": [3], "bell": ["", "Small"]},
        {"times": [3], "guests": [{"any_order": ["Ann", "Bo"]}, ["Ann"]]},
    ],
)
def test_what_the_scorer_reads_leniently_is_no_problem(arguments: dict[str, Any]) -> None:
    """Numeric text for numbers, another case for an enum, lists in any order."""
    assert expecting(**arguments) == []


def test_a_required_argument_with_a_default_may_stay_unnamed() -> None:
    """The scorer takes the default for it."""
    schema = {"type": "object", "properties": {"pause": {"type": "integer", "default": 2}}, "required": ["pause"]}
    assert problems([{"name": "ring", "parameters": schema}], expected=[[{"name": "ring"}]]) == []


def test_a_tool_that_takes_any_argument_takes_expected_ones() -> None:
    """additionalProperties opens the schema."""
    tool = {"name": "ring", "parameters": {"type": "object", "properties": {}, "additionalProperties": True}}
    assert problems([tool]) == []


@pytest.mark.parametrize("name", ["n" * 128, "notes/list", "math.gcd", "get-it"])
def test_every_name_that_mcp_allows_is_a_tools_name(name: str) -> None:
    """Where a server of models refuses it, it is sent under another."""
    assert not [problem for problem in problems([{"name": name}]) if "tool name" in problem]


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([], "tool set 'bells': holds no tool"),
        ([RING, RING], "tool 'ring' is defined 2 times"),
        ([{"name": "ring it"}], "tool name 'ring it' is not allowed"),
        ([{"name": "n" * 129}], "use up to 128 letters, digits, '_', '-', '.', '/'"),
        ([{"name": "ring", "parameters": {"type": "string"}}], "parameters has to be a JSON Schema with type: object"),
        ([{"name": "ring", "parameters": {"type": "object", "properties": {"times": 3}}}], "every property needs a mapping"),
        ([{"name": "ring", "parameters": {"type": "object", "required": ["x"]}}], "required may only name properties"),
        ([{"name": "ring", "parameters": {"type": "object", "required": 3}}], "required may only name properties"),
    ],
)
def test_an_unusable_tool_is_named_with_the_reason(tools: list[Any], said: str) -> None:
    """Tools are checked once, where they are defined."""
    assert any(said in p for p in problems(tools)), problems(tools)


def test_a_suite_needs_prompts_with_ids_of_their_own() -> None:
    """An empty suite and a repeated id are problems."""
    empty = Suite(name="mine", phase="atomic", tool_sets={}, prompts=())
    assert validate_suite(empty) == ["prompts: there are none; add at least one"]
    one = {"id": "A1", "kind": "k", "tool_set": "bells", "messages": [ASK], "expected": [[]]}
    twice = Suite.model_validate({"name": "m", "phase": "atomic", "tool_sets": {"bells": [RING]}, "prompts": [one, one]})
    assert any("the id is used 2 times" in p for p in validate_suite(twice))


def test_a_deep_accepted_value_is_a_problem_not_a_crash() -> None:
    """Suites can be built without the bounded reader."""
    deep: Any = "x"
    schema: dict[str, Any] = {}
    for _ in range(100):
        deep, schema = [deep], {"type": "array", "items": schema}
    tool = {"name": "ring", "parameters": {"type": "object", "properties": {"deep": schema}}}
    found = problems([tool], expected=[[{"name": "ring", "arguments": {"deep": [deep]}}]])
    assert any("nested deeper than 40" in p for p in found)


def test_shown_text_is_one_bounded_line() -> None:
    """Control and bidirectional characters are escaped."""
    assert printable("a\n\x1b[31m\u202e") == "a\\x0a\\x1b[31m\\x202e"
    assert len(printable("x" * 10_000)) == 203


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"type": "object", "properties": {"times": {"type": "strng"}}},
            "times: type 'strng' is no type of JSON Schema; use string,",
        ),
        ({"type": "object", "properties": {"a": {"type": ["string", "date"]}}}, "a: type 'date'"),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "float"}}}}, "a[]: type 'float'"),
        ({"type": "object", "properties": {"a": {"properties": {"b": {"type": 3}}}}}, "a.b: type 3"),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "any"}]}}}, "a: type 'any'"),
    ],
)
def test_a_type_that_is_none_is_a_problem(parameters: dict[str, Any], said: str) -> None:
    """At any depth of a tool's parameters; the types that there are are told."""
    found = problems([{"name": "ring", "parameters": parameters}], expected=[[]])
    assert len(found) == 1, found
    assert said in found[0]


def with_splits(scope: str, *splits: str) -> list[str]:
    """The problems of a suite with one prompt in each of these splits, all of one tool set."""
    prompts = [
        {"id": f"A{n}", "kind": "direct", "tool_set": "bells", "split": split, "messages": [ASK], "expected": [[]]}
        for n, split in enumerate(splits)
    ]
    data = {"name": "mine", "phase": "atomic", "scope": scope, "tool_sets": {"bells": [RING]}, "prompts": prompts}
    return validate_suite(Suite.model_validate(data))


def test_splits_of_a_sample_that_share_a_tool_set_are_a_problem() -> None:
    """Held out means new tools; without a held-out split, or where the suite is the whole work, nothing is promised."""
    (found,) = with_splits("sample", "search", "heldout", "canary", "search")
    assert "tool set 'bells': is used in the splits search and heldout and canary" in found
    assert "; " in found
    assert with_splits("whole", "search", "heldout") == []
    assert with_splits("sample", "search", "canary") == []
    assert with_splits("sample", "heldout", "heldout") == []


def test_any_arguments_leave_nothing_to_be_named() -> None:
    """Required arguments need no values then; both at once is a contradiction."""
    assert problems(expected=[[{"name": "ring", "any_arguments": True}]]) == []
    (found,) = problems(expected=[[{"name": "ring", "any_arguments": True, "arguments": {"times": [3]}}]])
    assert "remove either" in found
