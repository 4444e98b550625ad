"""The suite that is asked once, after a search: it shares nothing with what a search may see."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from selfopt.records import Prompt, Suite
from selfopt.suites import list_suites, load_suite
from selfopt.suites.warn.similar import grams, jaccard, normalised

OTHERS = [name for name in list_suites() if name != "atomic-150b"]
# Pairs of one suite may reach 0.7 before they count as near-duplicates; prompts of other suites stay far below.
MAX_ALIKE = 0.3
WORDS = 6
# Numbers that prompts write as words, and values that follow from the prompt without standing in it.
_WORDS = {
    "half": 0.5, "one": 1, "two": 2, "dos": 2, "three": 3, "drei": 3, "tre": 3, "tres": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_FOLLOWS = {
    ("pottery_studio-07", "batch_grams"),  # 2.5 kilos
    ("pottery_studio-09", "batch_grams"),  # five hundred grams
    ("pottery_studio-10", "hours"),  # an hour and a half
    ("tabletop_game-10", "points"),  # 11 taken off
    ("tailor-01", "time"),  # 4.15 pm
    ("tailor-10", "time"),  # half past ten
    ("aquarium-08", "time"),  # a quarter to four in the afternoon
}
_CODE = re.compile(r"\b[A-Z]{1,3}-?\d{2,}\b")


@pytest.fixture(scope="module")
def fresh() -> Suite:
    """The suite."""
    return load_suite("atomic-150b")


def texts(suite: Suite) -> list[str]:
    """All that users say in it."""
    return [m.content for p in suite.prompts for m in p.messages if m.role == "user"]


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    """Every run of WORDS words."""
    words = normalised(text).split()
    return {tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)}


def test_each_of_its_tool_sets_has_ten_prompts_and_three_to_six_tools(fresh: Suite) -> None:
    """Fifteen walks of life of the same weight, which intervals clustered by tool set rest on."""
    assert Counter(Counter(p.tool_set for p in fresh.prompts).values()) == {10: 15}
    assert all(3 <= len(tools) <= 6 for tools in fresh.tool_sets.values())


def test_every_tool_is_needed_by_a_prompt(fresh: Suite) -> None:
    """No tool is there for decoration only."""
    needed = {(p.tool_set, call.name) for p in fresh.prompts if p.expected != "any" for calls in p.expected for call in calls}
    offered = {(name, tool.name) for name, tools in fresh.tool_sets.items() for tool in tools}
    assert offered == needed


@pytest.mark.parametrize("name", OTHERS)
def test_no_tool_and_no_tool_set_is_called_as_one_of_another_suite(fresh: Suite, name: str) -> None:
    """What is offered is new to whoever was chosen on the other suite."""
    other = load_suite(name)
    assert not set(fresh.tool_sets) & set(other.tool_sets)
    tools, theirs = ({t.name for tools in s.tool_sets.values() for t in tools} for s in (fresh, other))
    assert not tools & theirs


@pytest.mark.parametrize("name", OTHERS)
def test_no_prompt_reads_like_one_of_another_suite(fresh: Suite, name: str) -> None:
    """Neither most characters, nor six words in a row, nor a code."""
    other = load_suite(name)
    mine, theirs = ([grams(normalised(text)) for text in texts(s)] for s in (fresh, other))
    assert max(jaccard(one, another) for one in mine for another in theirs) < MAX_ALIKE
    assert not set().union(*map(runs_of_words, texts(fresh))) & set().union(*map(runs_of_words, texts(other)))
    assert not {c for t in texts(fresh) for c in _CODE.findall(t)} & {c for t in texts(other) for c in _CODE.findall(t)}


def test_no_two_of_its_prompts_share_six_words_in_a_row(fresh: Suite) -> None:
    """Each is worded anew, so none is measured twice."""
    counted = Counter(run for text in texts(fresh) for run in runs_of_words(text))
    assert max(counted.values()) == 1


@pytest.mark.parametrize("kind", ["direct", "parameters in chatter", "two tools at once"])
def test_its_kinds_are_as_frequent_as_among_the_held_out_prompts_before(fresh: Suite, kind: str) -> None:
    """Figures of the two can be put beside each other."""
    before = Counter(p.kind for p in load_suite("atomic-300").select("heldout"))
    now = Counter(p.kind for p in fresh.prompts)
    assert abs(now[kind] - before[kind]) <= 2
    assert sum(before.values()) == sum(now.values())


def leaves(value: Any) -> Iterator[Any]:
    """The texts and numbers in an accepted value, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def said(value: Any, text: str) -> bool:
    """Whether the prompt holds the value: word for word, as a number word, or as a date or time in another form."""
    if isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            year, _, day = value.split("-")
            return value in text or (year in text and re.search(rf"\b{int(day)}(?:th)?\b", text) is not None)
        return (
            value in text or value.lstrip("0") in text or value.replace(":", ".") in text or normalised(value) in normalised(text)
        )
    numbers = {float(found.replace(",", "")) for found in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)}
    return float(value) in numbers | {float(_WORDS[word]) for word in normalised(text).split() if word in _WORDS}


def open_values(suite: Suite, prompt: Prompt) -> Iterator[tuple[str, list[Any]]]:
    """The arguments of the expected calls that have to be given and are no choice of a list, and their values."""
    schemas = {tool.name: tool.parameters.get("properties", {}) for tool in suite.tools_of(prompt)}
    for call in prompt.expected[0] if prompt.expected != "any" else ():
        for name, accepted in call.arguments.items():
            schema = schemas[call.name][name]
            if "" not in accepted and "enum" not in {*schema, *schema.get("items", {})}:
                yield name, accepted


def test_what_a_call_has_to_say_the_prompt_says(fresh: Suite) -> None:
    """No text, number, date or time has to be guessed; the few that follow from other words are listed."""
    unsaid = {
        (prompt.id, name)
        for prompt in fresh.prompts
        for name, accepted in open_values(fresh, prompt)
        if not any(all(said(leaf, prompt.messages[-1].content) for leaf in leaves(value)) for value in accepted)
        if not isinstance(accepted[0], bool)
    }
    assert unsaid == _FOLLOWS
