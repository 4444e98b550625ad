"""What must hold for every input. An oracle makes an input and says what is wrong with it; an input is plain JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from selfopt.reading import FAMILIES, Family, GrowingReply, read, read_calls
from selfopt.reading.thinking import ThinkingSplitter
from selfopt.records import ReplyContent, ToolCall, ToolDefinition
from tests.reading.test_families_data import TOOLS

from . import material
from .shrinking import Input, smaller_calls, smaller_parts, smaller_pieces, smaller_text

MS_PER_KB = 2.0
"""How much processor time a kilobyte of a reply may take."""
COSTLY_FROM = 4096  # characters; shorter texts take too little time to measure
_CHAIN = ("all@2",)
# The first reader of a chain may read a reply that is still being written.
_GROWING = (("all@2",), ("marked", "unmarked"), ("unmarked",), ("xml", "json"), ("json",), ("bracket", "python_call"))
_CUTS = 240  # characters of a text that is cut everywhere, since that takes the square of its length


@dataclass(frozen=True)
class Oracle:
    """What must hold.

    Attributes:
        make: makes an input.
        fault: says what is wrong with the answer to an input; "" if nothing is.
        smaller: gives inputs that are a little smaller, for a fault that is told.
        weight: how often its turn comes.
    """

    make: Callable[[Random], Input]
    fault: Callable[[Input], str]
    smaller: Callable[[Input], Iterator[Input]] = smaller_text
    weight: int = 1


def _guarded(check: Callable[[Input], str]) -> Callable[[Input], str]:
    """A check of which an exception is a fault."""

    def guarded(made: Input) -> str:
        try:
            return check(made)
        except Exception as error:  # whatever it is: nothing may be raised
            return f"raised {type(error).__name__}: {error}"

    return guarded


def _content(text: str) -> ReplyContent:
    return ReplyContent.model_construct(text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")


def _plain(calls: Any) -> list[list[Any]]:
    return [[call.name, dict(call.arguments)] for call in calls]


def same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1 but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


# ---- whole and in pieces -----------------------------------------------------------------------
def _split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkingSplitter()
    parts = [*map(splitter.feed, pieces), splitter.end()]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


def _thinking_fault(made: Input) -> str:
    text = made["text"]
    whole = _split([text])
    for cut in range(1, len(text)):
        pieces = _split([text[:cut], text[cut:]])
        if pieces != whole:
            return f"cut at {cut}: {pieces!r} instead of {whole!r}"
    letters = _split(list(text))
    return "" if letters == whole else f"letter by letter: {letters!r} instead of {whole!r}"


def _growing_fault(made: Input) -> str:
    text, chain = made["text"], made["chain"]
    whole = _plain(read_calls(chain, _content(text), TOOLS).tool_calls)
    growing = GrowingReply(chain, TOOLS, ())
    for letter in text:
        growing.add(letter, ())
        certain = _plain(growing.calls())
        if not same(certain, whole[: len(certain)]):
            return f"certain after {len(growing.text)} letters: {certain!r}; the whole gives {whole!r}"
        if not growing.goes_on:
            break
    return ""


# ---- written and read again --------------------------------------------------------------------
# Bodies whose strings stand between marks as they are, without an escape.
_BARE = ("parameters", "braces")


def _carries(family: Family, value: Any, tool: str, key: str) -> bool:
    """Whether an argument can be this value: without its own marks in it, and without line breaks that might be the format's."""
    if family.body not in _BARE:
        return True
    if isinstance(value, str):
        pairs = (family.parameter, family.marks, family.around, *getattr(family, "others", ()), (getattr(family, "quote", ""),))
        named = (mark.replace("{name}", tool).replace("{key}", key).partition("{")[0].strip() for pair in pairs for mark in pair)
        return value.strip("\n") == value and not any(mark and mark in value for mark in named)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_carries(family, one, tool, key) for one in inner)


def _make_calls(random: Random) -> Input:
    name = random.choice(sorted(FAMILIES.all()))
    family = FAMILIES.all()[name]
    tools, calls = [], []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        arguments, properties = {}, {}
        tool = f"{material.word(random)}_{material.word(random)}"
        for _ in range(random.randint(0, 3)):
            key = material.word(random)
            one, schema = material.value(random, 2, marks=0.1)
            while not _carries(family, one, tool, key):
                one, schema = material.value(random, 2, marks=0.02)
            arguments[key], properties[key] = one, schema
        tools.append({"name": tool, "parameters": {"type": "object", "properties": properties}})
        calls.append([tool, arguments])
    return {"family": name, "tools": tools, "calls": calls}


def _write_fault(made: Input) -> str:
    family = FAMILIES.all().get(made["family"])
    if family is None:
        return ""  # a row that is gone
    text = family.write([ToolCall(name=name, arguments=arguments) for name, arguments in made["calls"]])
    found = read(text, [ToolDefinition(**tool) for tool in made["tools"]])
    calls = _plain(found.tool_calls)
    return "" if same(calls, made["calls"]) else f"{text!r} is read as {calls!r}"


# ---- time --------------------------------------------------------------------------------------
def _make_costly(random: Random) -> Input:
    """Parts and how often each comes, so that a fault can be told in a line."""
    pieces = [
        (material.mixture(random, random.choice((1, 2, 5))), random.choice((1, 1, 3, 200, 1000)))
        for _ in range(random.randint(1, 4))
    ]
    if random.random() < 0.3:
        pieces.append((random.choice(material.written()), random.choice((1, 20, 60))))
    sizes = [len(text) * times for text, times in pieces]
    longest = sizes.index(max(sizes))
    text, times = pieces[longest]
    pieces[longest] = (text, times * (1 + COSTLY_FROM // sum(sizes)) * random.choice((1, 1, 4)))
    return {"pieces": [list(one) for one in pieces]}


def costly_text(made: Input) -> str:
    """The text of these pieces, at most 64 KB of it."""
    return "".join(text * times for text, times in made["pieces"])[:65_536]


def cost(made: Input) -> float:
    """Milliseconds of processor time that a kilobyte takes, the best of up to three times."""
    text = costly_text(made)
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        read(text, TOOLS)
        best = min(best, (time.process_time() - started) * 1000 / (len(text) / 1024))
        if best <= MS_PER_KB:
            break
    return best


def _cost_fault(made: Input) -> str:
    if len(costly_text(made)) < COSTLY_FROM:
        return ""
    found = cost(made)
    return "" if found <= MS_PER_KB else f"{found:.2f} ms a KB of {len(costly_text(made))} characters"


# ---- anything, and nothing ---------------------------------------------------------------------
def _raises_fault(made: Input) -> str:
    found = read(made["text"], TOOLS, thinking_opened=made["opened"])
    report = read_calls(_CHAIN, _content(made["text"]), TOOLS)
    json.dumps(_plain(found.tool_calls), allow_nan=False).encode("utf-8")
    report.model_dump_json().encode("utf-8")
    return "" if len(found.tool_calls) <= 64 else f"{len(found.tool_calls)} calls"


def _plain_fault(made: Input) -> str:
    text = made["between"].join(made["parts"])
    found = read(text, TOOLS)
    if found.tool_calls:
        return f"a call is read: {_plain(found.tool_calls)!r}"
    if found.unread is not None:
        return f"an unread call is seen: {found.unread}"
    return "" if found.text == text else f"the text changed: {found.text!r}"


def _make_pieces(random: Random) -> Input:
    return {"text": material.reply(random)[:_CUTS]}


def _make_growing(random: Random) -> Input:
    return {**_make_pieces(random), "chain": random.choice(_GROWING)}


def _make_plain(random: Random) -> Input:
    return {"parts": material.plain(random), "between": random.choice(("\n\n", "\n"))}


def _make_any(random: Random) -> Input:
    return {"text": material.reply(random), "opened": random.random() < 0.2}


ORACLES: dict[str, Oracle] = {
    "thinking in pieces": Oracle(_make_pieces, _guarded(_thinking_fault), weight=3),
    "calls in pieces": Oracle(_make_growing, _guarded(_growing_fault), weight=3),
    "written and read": Oracle(_make_calls, _guarded(_write_fault), smaller_calls, weight=6),
    "time": Oracle(_make_costly, _guarded(_cost_fault), smaller_pieces),
    "nothing is raised": Oracle(_make_any, _guarded(_raises_fault), weight=6),
    "no call": Oracle(_make_plain, _guarded(_plain_fault), smaller_parts, weight=6),
}
"""Every oracle by name."""
