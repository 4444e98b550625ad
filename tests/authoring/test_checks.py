"""What was written is kept only where it is a prompt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.authoring.checks import NEAR, Checker, unsaid, without_assumed
from selfopt.authoring.drafts import Draft, DraftKind
from selfopt.records import ToolCall, ToolDefinition
from selfopt.suites.warn.similar import grams, jaccard, normalised

from .tools import CLOCK, LAMP, WEATHER, tool

VISIT = tool("visit", ("day",), day={"type": "string", "format": "date"}, guests={"type": "array", "items": {"type": "string"}})
TOOLS = (WEATHER, LAMP, CLOCK, VISIT)


def checker(*tools: ToolDefinition) -> Checker:
    """One that has kept nothing yet."""
    return Checker({tool.name: tool for tool in tools or TOOLS})


def draft(text: str, *calls: tuple[str, dict[str, Any]], kind: DraftKind = "direct", tool: str = "get_weather") -> Draft:
    """A request that needs these calls."""
    return Draft(kind, text, tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls), tool)


def test_a_request_that_says_what_it_needs_is_kept() -> None:
    """Its arguments get the types of the schema."""
    found = checker().checked(
        draft("Weather in Oslo for the next 3 days?", ("get_weather", {"city": "Oslo", "days": "3"})), TOOLS
    )
    assert isinstance(found, Draft)
    assert found.calls[0].arguments == {"city": "Oslo", "days": 3}


@pytest.mark.parametrize(
    ("text", "name", "arguments", "reason"),
    [
        ("Weather there?", "get_weather", {"city": "Oslo"}, "unsaid_argument"),
        ("Visit on the 3rd of May", "visit", {"day": "2027-05-03"}, "unsaid_argument"),
        ("Weather in Oslo?", "get_weather", {}, "bad_arguments"),
        ("Weather in Oslo?", "get_weather", {"town": "Oslo"}, "bad_arguments"),
        ("Weather in Oslo for 30 days?", "get_weather", {"city": "Oslo", "days": 30}, "bad_arguments"),
        ("Weather in Oslo?", "get_weather", {"city": ["Oslo"], "x": {}}, "bad_arguments"),
        ("Kitchen lamp to 20 percent", "set_lamp", {"room": "kitchen", "percent": 20}, "bad_arguments"),
        ("Weather in Oslo?", "get_climate", {"city": "Oslo"}, "unknown_tool"),
        ("Run get_weather for Oslo", "get_weather", {"city": "Oslo"}, "names_the_tool"),
    ],
)
def test_a_request_that_does_not_fit_its_call_is_dropped(text: str, name: str, arguments: dict[str, Any], reason: str) -> None:
    """Each for its own reason."""
    assert checker().checked(draft(text, (name, arguments)), TOOLS) == reason


def test_an_optional_argument_that_nobody_says_is_not_expected() -> None:
    """The request is kept without it. A list that is said in part is no such argument."""
    found = checker().checked(draft("Weather in Oslo?", ("get_weather", {"city": "Oslo", "days": 3})), TOOLS)
    assert isinstance(found, Draft)
    assert found.calls[0].arguments == {"city": "Oslo"}
    both = ("visit", {"day": "2027-05-03", "guests": ["Amara", "Jonas"]})
    assert checker().checked(draft("Visit with Amara on 2027-05-03", both, tool="visit"), TOOLS) == "unsaid_argument"


def test_what_a_request_does_not_say_is_told_with_its_value() -> None:
    """Only what is required, and of each call what it lacks."""
    one = draft(
        "Weather there, and the study.",
        ("get_weather", {"city": "Oslo", "days": 3}),
        ("set_lamp", {"room": "study", "percent": 20}),
    )
    assert unsaid(one, {tool.name: tool for tool in TOOLS}) == {"city": "Oslo", "percent": 20}
    assert unsaid(draft("On the 3rd of May", ("visit", {"day": "2027-05-03"})), {"visit": VISIT}) == {"day": "2027-05-03"}


def test_an_optional_one_that_nobody_says_is_assumed() -> None:
    """What is required stays, and so does what is said, and what is no number."""
    known = {one.name: one for one in (WEATHER, tool("dim", ("level",), level={"type": "integer"}))}
    assumed = ToolCall(name="get_weather", arguments={"city": "Oslo", "days": 1, "now": True})
    assert without_assumed(assumed, "Weather in Oslo?", known).arguments == {"city": "Oslo", "now": True}
    assert without_assumed(assumed, "Weather in Oslo for one day?", known) == assumed
    level = ToolCall(name="dim", arguments={"level": 1})
    assert without_assumed(level, "Dim it.", known) == level
    assert without_assumed(level, "Dim it.", {}) == level


@pytest.mark.parametrize("bound", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
def test_an_integer_of_any_length_is_held_against_a_bound(bound: str) -> None:
    """Also one that no float can hold."""
    pay = tool("pay", ("sum",), sum={"type": "integer", bound: 5.5})
    found = checker(pay).checked(draft(f"Pay {10**400}", ("pay", {"sum": 10**400}), tool="pay"), (pay,))
    assert (found == "bad_arguments") == bound.endswith("aximum")


def test_the_same_facts_are_one_family_however_they_are_written() -> None:
    """The first is a request and the others are paraphrases of it, also across replies."""
    mine = checker()
    texts = (
        "Weather in Oslo for 5 days?",
        "How will it be in Oslo, 5 days on?",
        "Tell me of Oslo and its next 5 days",
        "Oslo, 5 days",
    )
    found = [
        mine.checked(draft(text, ("get_weather", {"city": "Oslo", "days": days})), TOOLS)
        for text, days in zip(texts, (5, "5", 5.0, 5), strict=True)
    ]
    kept = [one for one in found if isinstance(one, Draft)]
    assert [one.kind for one in kept] == ["direct", *["paraphrase"] * 3]
    assert len({one.family for one in kept}) == 1
    other = mine.checked(draft("Weather in Oslo for 6 days, please", ("get_weather", {"city": "Oslo", "days": 6})), TOOLS)
    assert isinstance(other, Draft)
    assert (other.kind, other.family == kept[0].family) == ("direct", False)


def test_two_calls_are_one_family_in_either_order() -> None:
    """And numbers count by their value."""
    lamp = tool("dim", ("level",), level={"type": "number"})
    mine, tools = checker(WEATHER, lamp), (WEATHER, lamp)
    one, two = ("get_weather", {"city": "Oslo"}), ("dim", {"level": 5})
    first = mine.checked(draft("Weather in Oslo, and dim to 5.", one, two, kind="two at once"), tools)
    second = mine.checked(draft("Dim it to 5 and say how warm Oslo is.", ("dim", {"level": 5.0}), one, kind="two at once"), tools)
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert first.family == second.family
    assert first.kind == second.kind == "two at once"


def test_one_of_two_calls_that_does_not_fit_drops_both() -> None:
    """A prompt is right as a whole."""
    text = "Weather in Oslo, and the study to 20 percent."
    calls = (("get_weather", {"city": "Oslo"}), ("set_lamp", {"room": "bedroom", "percent": 20}))
    assert checker().checked(draft(text, *calls, kind="two at once"), TOOLS) == "unsaid_argument"


@pytest.mark.parametrize("kind", ["near miss", "needed detail missing"])
def test_what_says_all_that_a_tool_requires_is_no_near_miss(kind: DraftKind) -> None:
    """The values are choices, or those of other requests."""
    mine = checker()
    assert isinstance(mine.checked(draft("Weather in Oslo?", ("get_weather", {"city": "Oslo"})), TOOLS), Draft)
    assert mine.checked(draft("Oslo was lovely last summer, you know.", kind=kind), TOOLS) == "says_everything"
    assert isinstance(mine.checked(draft("Is it warm anywhere at this time of the year?", kind=kind), TOOLS), Draft)


def test_a_tool_that_requires_nothing_lacks_no_detail() -> None:
    """Such a request would need a call."""
    found = checker().checked(draft("What time is it there?", kind="needed detail missing", tool="read_clock"), TOOLS)
    assert found == "says_everything"


def test_repeats_are_dropped_whatever_their_case_and_signs() -> None:
    """And so is what hardly differs."""
    mine = checker()
    long = "Could you please tell me what the weather in Oslo will be like on the weekend"
    assert isinstance(mine.checked(draft(long, ("get_weather", {"city": "Oslo"})), TOOLS), Draft)
    assert mine.checked(draft(f"{long.upper()}?!", ("get_weather", {"city": "Oslo"})), TOOLS) == "duplicate"
    assert mine.checked(draft(f"{long}s", ("get_weather", {"city": "Oslo"})), TOOLS) == "near_duplicate"


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 200) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_drafts = st.builds(
    lambda text, name, arguments, kind: draft(text, *(((name, arguments),) if kind == "direct" else ()), kind=kind),
    st.text(min_size=1, max_size=40) | st.sampled_from(["Weather in Oslo?", "bedroom lamp to 20", "study 5 percent"]),
    st.sampled_from(["get_weather", "set_lamp", "read_clock", "nothing"]),
    st.dictionaries(
        st.sampled_from(["city", "days", "room", "percent", "x"]), _values | st.sampled_from(["Oslo", "study", 5]), max_size=3
    ),
    st.sampled_from(["direct", "near miss", "needed detail missing"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_drafts, max_size=8))
def test_what_is_kept_fits_and_nothing_raises(drafts: list[Draft]) -> None:
    """Whatever a writer writes: kept texts differ, and kept calls are of known tools with known arguments."""
    mine = checker()
    kept = [found for one in drafts if isinstance(found := mine.checked(one, TOOLS), Draft)]
    known = {tool.name: set(tool.parameters["properties"]) for tool in TOOLS}
    assert all(set(call.arguments) <= known[call.name] for one in kept for call in one.calls)
    told = [grams(normalised(one.text)) for one in kept]
    assert all(jaccard(a, b) < NEAR for place, a in enumerate(told) for b in told[:place])
