"""One reply -> one outcome, and why."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import ExpectedCall, Fault, Message, Outcome, ParsedReply, Prompt, Suite, ToolCall, ToolDefinition
from selfopt.scoring.judge import SCORER_HASH, Scored, judge
from selfopt.suites import load_suite

from .test_values import JSON

WEATHER = ToolDefinition(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string"},
            "days": {"type": "integer", "default": 1},
        },
        "required": ["city"],
    },
)
RING = ToolDefinition(name="ring", parameters={"type": "object", "properties": {"times": {"type": "integer"}}})
TOOLS = (WEATHER, RING)


def a_prompt(expected: Any) -> Prompt:
    """A prompt with these expectations."""
    return Prompt(id="A1", kind="k", tool_set="t", messages=(Message(role="user", content="x"),), expected=expected)


def weather(**arguments: Any) -> ToolCall:
    """A call of the first tool."""
    return ToolCall(name="get_weather", arguments=arguments)


def ring(times: Any) -> ToolCall:
    """A call of the second tool."""
    return ToolCall(name="ring", arguments={"times": times})


def judged(prompt: Prompt, *calls: ToolCall, fault: Fault | None = None, unread: str | None = None) -> Scored:
    """The judgment of these calls."""
    return judge(prompt, TOOLS, ParsedReply(tool_calls=calls, unread=unread), fault)


OSLO = ExpectedCall(name="get_weather", arguments={"city": ["Oslo"], "unit": ["", "celsius"]})
THRICE = ExpectedCall(name="ring", arguments={"times": [3]})
NEEDS_ONE = a_prompt(((OSLO,),))
NEEDS_TWO = a_prompt(((OSLO, THRICE),))
NEEDS_NONE = a_prompt(((),))
EITHER = a_prompt(((OSLO,), (THRICE,)))
MAY_CALL = a_prompt(((), (THRICE,)))
ANY = a_prompt("any")
ANY_RING = a_prompt(((OSLO, ExpectedCall(name="ring", any_arguments=True)),))


@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        (NEEDS_ONE, [weather(city="oslo ")]),
        (NEEDS_ONE, [weather(city="Oslo", unit="Celsius")]),
        (NEEDS_ONE, [weather(city="Oslo", unit="")]),
        (NEEDS_ONE, [weather(city="Oslo", unit=None)]),
        (NEEDS_ONE, [weather(city="Oslo", days=1)]),
        (NEEDS_ONE, [weather(city="Oslo", days="1")]),
        (NEEDS_ONE, [weather(city="Oslo", days=None)]),
        (NEEDS_TWO, [weather(city="Oslo"), ring(3)]),
        (NEEDS_TWO, [ring("3"), weather(city="Oslo")]),
        (NEEDS_NONE, []),
        (EITHER, [ring(3)]),
        (MAY_CALL, []),
        (MAY_CALL, [ring(3)]),
        (ANY, [ring(99)]),
        (ANY, [ring(99), weather()]),
        (ANY_RING, [ring("x"), weather(city="Oslo")]),
        (ANY_RING, [ToolCall(name="ring"), weather(city="Oslo")]),
        (ANY_RING, [ToolCall(name="ring", arguments={"colour": 1}), weather(city="Oslo")]),
    ],
)
def test_a_right_reply_passes(prompt: Prompt, calls: list[ToolCall]) -> None:
    """In any order, with optional arguments left out, empty, null, or at the schema's default."""
    assert judged(prompt, *calls).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("prompt", "calls", "outcome", "why"),
    [
        (NEEDS_ONE, [weather(city="Paris")], "wrong", "get_weather: argument city is 'Paris', accepted: 'Oslo'"),
        (NEEDS_ONE, [weather()], "wrong", "get_weather: argument city is missing, accepted: 'Oslo'"),
        (NEEDS_ONE, [weather(city=None)], "wrong", "get_weather: argument city is null, accepted: 'Oslo'"),
        (
            NEEDS_ONE,
            [weather(city="Oslo", unit="kelvin")],
            "wrong",
            "get_weather: argument unit is 'kelvin', accepted: left out or 'celsius'",
        ),
        (NEEDS_ONE, [weather(city="Oslo", days=3)], "wrong", "get_weather: argument days was not asked for, got 3"),
        (NEEDS_ONE, [weather(city="Oslo", wind=True)], "wrong", "get_weather: argument wind is unknown to the tool, got true"),
        (NEEDS_ONE, [weather(city="Oslo", wind=None)], "wrong", "get_weather: argument wind is unknown to the tool, got null"),
        (NEEDS_ONE, [ring(3)], "wrong", "called ring; accepted: get_weather"),
        (NEEDS_ONE, [ToolCall(name="sing")], "wrong", "called sing, which is not offered; accepted: get_weather"),
        (NEEDS_ONE, [weather(city="Oslo")] * 2, "wrong", "called get_weather, get_weather; accepted: get_weather"),
        (NEEDS_TWO, [ring(3)], "wrong", "called ring; accepted: get_weather + ring"),
        (NEEDS_TWO, [ring(4), weather(city="Oslo")], "wrong", "ring: argument times is 4, accepted: 3"),
        (EITHER, [ring(3), weather(city="Oslo")], "wrong", "called ring, get_weather; accepted: get_weather or ring"),
        (MAY_CALL, [ring(4)], "wrong", "ring: argument times is 4, accepted: 3"),
        (ANY, [ToolCall(name="sing")], "wrong", "called sing, which is not offered"),
        (NEEDS_NONE, [ring(3)], "uncalled_for", "called ring although nothing should be called"),
        (NEEDS_ONE, [], "missed", "no tool call; accepted: get_weather"),
        (EITHER, [], "missed", "no tool call; accepted: get_weather or ring"),
        (ANY, [], "missed", "no tool call; accepted: any call"),
    ],
)
def test_a_reply_that_is_not_right_says_why(prompt: Prompt, calls: list[ToolCall], outcome: str, why: str) -> None:
    """One plain line that names tool, argument, what was got and what is accepted."""
    assert judged(prompt, *calls) == Scored(Outcome(outcome), why)


@pytest.mark.parametrize("fault", ["timeout", "loading", "error"])
@pytest.mark.parametrize("prompt", [NEEDS_ONE, NEEDS_NONE])
def test_faults_are_their_own_outcome_whatever_was_parsed(fault: Fault, prompt: Prompt) -> None:
    """No whole reply was read, so nothing of it counts."""
    assert judged(prompt, fault=fault).outcome == fault
    assert judged(prompt, weather(city="Oslo"), fault=fault).outcome == fault


@pytest.mark.parametrize(
    ("prompt", "calls", "unread", "outcome"),
    [
        (NEEDS_ONE, [], None, "truncated"),
        (NEEDS_NONE, [], None, "truncated"),
        (NEEDS_ONE, [], "native", "truncated"),
        (NEEDS_ONE, [], "json", "unparsed"),
        (NEEDS_ONE, [weather(city="Oslo")], None, "pass"),
        (NEEDS_ONE, [weather(city="Paris")], None, "wrong"),
        (NEEDS_NONE, [ring(3)], None, "uncalled_for"),
    ],
)
def test_a_cut_reply_is_judged_by_the_complete_calls_in_it(
    prompt: Prompt, calls: list[ToolCall], unread: str | None, outcome: str
) -> None:
    """Only without any complete call is it truncated; a native call is broken by the cut."""
    assert judged(prompt, *calls, fault="truncated", unread=unread).outcome == outcome


@pytest.mark.parametrize(
    ("prompt", "calls", "outcome"),
    [
        (NEEDS_ONE, [], "unparsed"),
        (NEEDS_NONE, [], "unparsed"),
        (ANY, [], "unparsed"),
        (NEEDS_ONE, [weather(city="Oslo")], "pass"),
        (NEEDS_TWO, [weather(city="Oslo")], "unparsed"),
        (NEEDS_NONE, [ring(3)], "uncalled_for"),
    ],
)
def test_an_unread_call_is_unparsed_unless_the_read_ones_settle_it(prompt: Prompt, calls: list[ToolCall], outcome: str) -> None:
    """On a prompt that needs none it counts against restraint."""
    judgment = judged(prompt, *calls, unread="xml\x1b[0m")
    assert judgment.outcome == outcome
    assert judgment.why.isprintable()


def test_two_calls_of_one_tool_are_paired_so_that_both_fit() -> None:
    """A greedy pairing would give the first call to the expectation that the second one needs."""
    broad = ExpectedCall(name="ring", arguments={"times": [1, 2]})
    narrow = ExpectedCall(name="ring", arguments={"times": [1]})
    prompt = a_prompt(((broad, narrow),))
    assert judged(prompt, ring(1), ring(2)).outcome is Outcome.PASS
    assert judged(prompt, ring(2), ring(1)).outcome is Outcome.PASS
    assert judged(prompt, ring(2), ring(2)).outcome is Outcome.WRONG


def test_of_two_calls_of_one_tool_the_one_that_does_not_fit_is_told() -> None:
    """What fits is paired off first."""
    prompt = a_prompt(
        ((ExpectedCall(name="ring", arguments={"times": [1, 2]}), ExpectedCall(name="ring", arguments={"times": [1]})),)
    )
    assert judged(prompt, ring(2), ring(2)).why == "ring: argument times is 2, accepted: 1"


def test_what_is_accepted_in_any_order_is_said_so() -> None:
    """And long lists of accepted values are cut."""
    prompt = a_prompt(((ExpectedCall(name="ring", arguments={"times": [{"any_order": [1, 2]}, 3, 4, 5, 6]}),),))
    assert judged(prompt, ring([1])).why == "ring: argument times is [1], accepted: [1, 2] in any order or 3 or 4 or 5 and 1 more"


def test_tools_may_be_any_sequence_and_prompts_are_not_mixed_up() -> None:
    """What is precomputed belongs to one prompt and one tuple of tools."""
    assert judge(NEEDS_ONE, list(TOOLS), ParsedReply(tool_calls=(weather(city="Oslo"),)), None).outcome is Outcome.PASS
    for n in range(5000):
        prompt = a_prompt(((ExpectedCall(name="ring", arguments={"times": [n]}),),))
        assert judged(prompt, ring(n)).outcome is Outcome.PASS


def test_the_scorer_has_a_stable_hash() -> None:
    """Changed rules need a new "rules" number; this test is the reminder."""
    assert re.fullmatch(r"scorer-[0-9a-f]{24}", SCORER_HASH)


BUILT_IN = [(suite, prompt) for suite in map(load_suite, ("atomic", "extended")) for prompt in suite.prompts]


def right_replies(expected: tuple[ExpectedCall, ...]) -> list[tuple[ToolCall, ...]]:
    """Every accepted value of every argument once, with the others at their first value."""

    def plain(value: Any) -> Any:
        return value["any_order"][::-1] if isinstance(value, dict) else value

    def call(item: ExpectedCall, index: int) -> ToolCall:
        chosen = {k: v[min(index, len(v) - 1)] for k, v in item.arguments.items()}
        return ToolCall(name=item.name, arguments={k: plain(v) for k, v in chosen.items() if v != ""})

    most = max((len(v) for item in expected for v in item.arguments.values()), default=1)
    return [tuple(call(item, index) for item in expected) for index in range(most)]


@pytest.mark.parametrize(("suite", "prompt"), BUILT_IN, ids=[p.id for _, p in BUILT_IN])
def test_every_built_in_expectation_can_be_met_in_any_order(suite: Suite, prompt: Prompt) -> None:
    """A model that answers as the suite accepts gets the prompt, and only that prompt's silence where none is needed."""
    tools = suite.tools_of(prompt)
    assert prompt.expected != "any"
    for expected in prompt.expected:
        for calls in right_replies(expected):
            for order in itertools.permutations(calls):
                assert judge(prompt, tools, ParsedReply(tool_calls=order), None).outcome is Outcome.PASS
    silent = judge(prompt, tools, ParsedReply(), None).outcome
    assert silent is (Outcome.MISSED if prompt.needs_call else Outcome.PASS)


CALLS = st.builds(
    ToolCall,
    name=st.sampled_from(["get_weather", "ring", "sing"]) | st.text(max_size=5),
    arguments=st.dictionaries(
        st.sampled_from(["city", "unit", "days", "times", "x"]), JSON | st.just("Oslo") | st.just(3), max_size=4
    ),
)
PROMPTS = st.sampled_from([NEEDS_ONE, NEEDS_TWO, NEEDS_NONE, EITHER, MAY_CALL, ANY, a_prompt(())])
FAULTS: list[Fault | None] = [None, "truncated", "timeout", "loading", "error"]


@given(PROMPTS, st.lists(CALLS, max_size=4), st.none() | st.text(max_size=5), st.sampled_from(FAULTS))
def test_any_reply_gets_one_outcome_and_one_printable_line(
    prompt: Prompt, calls: list[ToolCall], unread: str | None, fault: Fault | None
) -> None:
    """Never raises."""
    judgment = judged(prompt, *calls, unread=unread, fault=fault)
    assert isinstance(judgment.outcome, Outcome)
    assert judgment.why
    assert judgment.why.isprintable()
    assert len(judgment.why) <= 400


@given(PROMPTS, st.lists(CALLS | st.sampled_from([ring(3), weather(city="Oslo")]), min_size=1, max_size=4), st.randoms())
def test_the_order_of_calls_does_not_change_the_outcome(prompt: Prompt, calls: list[ToolCall], random: Any) -> None:
    """Sets are order-free."""
    shuffled = list(calls)
    random.shuffle(shuffled)
    assert judged(prompt, *calls).outcome is judged(prompt, *shuffled).outcome


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=4), st.lists(st.integers(1, 4), max_size=4)
)
def test_a_set_is_met_exactly_when_some_pairing_meets_it(accepted: list[list[int]], given_times: list[int]) -> None:
    """The judge agrees with trying every permutation."""
    prompt = a_prompt((tuple(ExpectedCall(name="ring", arguments={"times": values}) for values in accepted),))
    brute = len(accepted) == len(given_times) and any(
        all(t in a for t, a in zip(perm, accepted, strict=True)) for perm in itertools.permutations(given_times)
    )
    assert (judged(prompt, *map(ring, given_times)).outcome is Outcome.PASS) is brute


def test_hostile_replies_are_judged_quickly() -> None:
    """Ten thousand calls, ten thousand levels, ten megabytes, escapes in names."""
    deep: Any = "x"
    for _ in range(10_000):
        deep = {"a": [deep]}
    hostile = [
        tuple(ring(n) for n in range(10_000)),
        (weather(city=deep),),
        (weather(city="O" * 10_000_000),),
        (weather(city="Oslo", **{f"x{n}": n for n in range(100_000)}),),
        (ToolCall(name="\x1b]0;owned\x07" * 10_000),),
        (weather(**{"\u202ecity" * 1000: 10**5000}),),
    ]
    started = time.process_time()
    for calls, prompt in itertools.product(hostile, (NEEDS_ONE, NEEDS_TWO, NEEDS_NONE, ANY)):
        judgment = judged(prompt, *calls)
        assert judgment.why.isprintable()
        assert len(judgment.why) <= 400
    assert time.process_time() - started < 2.0


def test_any_arguments_are_of_that_tool_only() -> None:
    """Another tool, the tool twice, or another call with wrong arguments is wrong; the reason names what is."""
    assert judged(ANY_RING, ring(1), ring(2)).outcome is Outcome.WRONG
    assert judged(ANY_RING, ring(1)).outcome is Outcome.WRONG
    wrong = judged(ANY_RING, ring(1), weather(city="Rome"))
    assert wrong.outcome is Outcome.WRONG
    assert "city" in wrong.why
