"""Makes an input with a fault smaller while the fault stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = 10.0  # of processor time for one input
Input = dict[str, Any]


def shrunk(made: Input, smaller: Callable[[Input], Iterator[Input]], faulty: Callable[[Input], bool]) -> Input:
    """The smallest input that was found in a while and still has a fault.

    Args:
        made: the input with a fault.
        smaller: candidates that are a little smaller than an input, the boldest first.
        faulty: whether an input has a fault.
    """
    until = time.process_time() + SECONDS
    goes_on = True
    while goes_on:
        goes_on = False
        for candidate in smaller(made):
            if time.process_time() > until:
                return made
            if faulty(candidate):
                made, goes_on = candidate, True
                break
    return made


def smaller_text(made: Input) -> Iterator[Input]:
    """The same with less text."""
    for text in _shorter(made["text"]):
        yield {**made, "text": text}


def smaller_parts(made: Input) -> Iterator[Input]:
    """The same with fewer parts. A piece of a part may hold a call where the part holds none."""
    for parts in _shorter(made["parts"]):
        yield {**made, "parts": parts}


def smaller_pieces(made: Input) -> Iterator[Input]:
    """The same with fewer pieces, shorter ones, or less of them."""
    pieces = made["pieces"]
    for place, (text, times) in enumerate(pieces):
        around = pieces[:place], pieces[place + 1 :]
        yield {"pieces": [*around[0], *around[1]]}
        for less in _shorter(text):
            yield {"pieces": [*around[0], [less, times], *around[1]]}
        if times > 1:
            yield {"pieces": [*around[0], [text, times // 2], *around[1]]}


def smaller_calls(made: Input) -> Iterator[Input]:
    """The same with fewer calls, fewer arguments, or smaller values of the same type."""
    calls, tools = made["calls"], made["tools"]
    if len(calls) > 1:
        for place in range(len(calls)):
            yield {**made, "calls": calls[:place] + calls[place + 1 :], "tools": tools[:place] + tools[place + 1 :]}
    for place, (name, arguments) in enumerate(calls):
        for key, value in arguments.items():
            fewer = {k: v for k, v in arguments.items() if k != key}
            yield {**made, "calls": _with(calls, place, [name, fewer]), "tools": _with(tools, place, _without(tools[place], key))}
            for less in _lesser(value):
                yield {**made, "calls": _with(calls, place, [name, {**arguments, key: less}])}


def _with(items: list[Any], place: int, item: Any) -> list[Any]:
    return [*items[:place], item, *items[place + 1 :]]


def _without(tool: Input, key: str) -> Input:
    properties = {k: v for k, v in tool["parameters"]["properties"].items() if k != key}
    return {**tool, "parameters": {**tool["parameters"], "properties": properties}}


def _lesser(value: Any) -> Iterator[Any]:
    if isinstance(value, str | list):
        yield from _shorter(value)
    if isinstance(value, list):
        for place, item in enumerate(value):
            for less in _lesser(item):
                yield [*value[:place], less, *value[place + 1 :]]
    elif isinstance(value, dict):
        for key, item in value.items():
            yield {k: v for k, v in value.items() if k != key}
            for less in _lesser(item):
                yield {**value, key: less}


def _shorter(value: Any) -> Iterator[Any]:
    size = len(value)
    while size:
        for start in range(0, len(value), size):
            yield value[:start] + value[start + size :]
        size //= 2
