"""Repairs: what a chain may do to the calls that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .conversions import key_of
from .earlier.fit import fit_calls as fit_calls_1
from .surety import surety_of

Repaired = tuple[Sequence[ToolCall], Sequence[Correction]]


class Repair(Protocol):
    """Changes calls after they were read. Never raises."""

    def __call__(self, calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition], /) -> Repaired:
        """Returns the calls that are left, and what was changed in them."""


def _fit_1(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    return fit_calls_1(calls, messages, tools), ()


# The tables of words that these need are only loaded for who repairs.
def _fit_2(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .fit import fitted

    return fitted(calls, messages, tools)


def _ground_2(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .ground import grounded

    return grounded(calls, messages, tools)


def _offered(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    """Drop the calls of tools that are not offered: nobody could carry them out."""
    names = {tool.name for tool in tools}
    dropped = [Correction(kind="not_offered", tool=call.name) for call in calls if call.name not in names]
    return [call for call in calls if call.name in names], dropped


def _once(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    """Keep the first of identical calls: a small model sometimes can't stop writing the same one."""
    first: dict[tuple[str, str], ToolCall] = {}
    dropped: list[Correction] = []
    for call in calls:
        if first.setdefault((call.name, key_of(call.arguments)), call) is not call:
            dropped.append(Correction(kind="written_twice", tool=call.name))
    return list(first.values()), dropped


def _as_said(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .as_said import as_said

    return as_said(calls, messages, tools)


def _strict(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .strict import strictly_backed

    return strictly_backed(calls, messages, tools)


def _heard(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .heard import heard

    return heard(calls, messages, tools)


def _repeat(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .made_before import without_repeats

    return without_repeats(calls, messages, tools, ever=False)


def _repeat_ever(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Repaired:
    from .made_before import without_repeats

    return without_repeats(calls, messages, tools, ever=True)


REPAIRS: Mapping[str, Repair] = {
    "fit": _fit_1,
    "fit@2": _fit_2,
    "offered": _offered,
    "once": _once,
    "as_said": _as_said,
    "ground@2": _ground_2,
    "strict": _strict,
    "heard": _heard,
    "repeat": _repeat,
    "repeat_ever": _repeat_ever,
}
"""Every repair by name. `fit` is the first version, which reports nothing."""
DROPPING = frozenset({"ground@2", "offered", "once", "strict", "heard", "repeat", "repeat_ever"})
"""The repairs that may drop a call. So may every threshold (see `surety`)."""


def is_repair(name: str) -> bool:
    """Whether an entry of a chain changes or drops calls, and reads none. VariantError for a threshold
    that is not spelled right.
    """
    return name in REPAIRS or surety_of(name) is not None
