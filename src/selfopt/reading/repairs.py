"""Repairs: what a chain may do to the calls that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .earlier.fit import fit_calls as fit_calls_1

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


REPAIRS: Mapping[str, Repair] = {"fit": _fit_1, "fit@2": _fit_2, "ground@2": _ground_2}
"""Every repair by name. `fit` is the first version, which reports nothing."""
