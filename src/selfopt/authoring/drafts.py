"""What is written before it is checked, and the limits of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from selfopt.errors import SelfoptError, SuiteError
from selfopt.home import counted
from selfopt.records import ToolCall, ToolDefinition, canonical_json
from selfopt.suites.check import printable, tool_problems

MAX_TOOLS = 64
"""More tools than that take a writer hours, and no small model is offered so many."""
MAX_TOOL_CHARS = 16_000
SET_SIZE = 8
"""How many tools are offered together at most."""

DraftKind = Literal["direct", "paraphrase", "two at once", "near miss", "needed detail missing", "tool not offered"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that somebody wrote, with the calls that it needs.

    Attributes:
        text: what the user says.
        calls: the calls that are right; empty: none is.
        tool: the tool that it is about; the first of two.
        family: what drafts of the same facts share; they stay in one split. Empty until it is checked.
    """

    kind: DraftKind
    text: str
    calls: tuple[ToolCall, ...]
    tool: str
    family: str = ""


@dataclass(frozen=True, slots=True)
class UsableTools:
    """The tools that prompts can be made for, and why not for the others, by name."""

    tools: tuple[ToolDefinition, ...]
    left_out: dict[str, str]


def usable_tools(tools: Sequence[ToolDefinition]) -> UsableTools:
    """Take the tools that prompts can be made for.

    Raises:
        SuiteError: there are none, or more than MAX_TOOLS.
        SelfoptError: none of them can be used.
    """
    if not tools:
        raise SuiteError("--tools holds no tool; give at least one")
    if len(tools) > MAX_TOOLS:
        raise SuiteError(
            f"--tools holds {counted(len(tools), 'tool')}, allowed are {MAX_TOOLS}; give those that one model is offered"
        )
    left_out: dict[str, str] = {}
    for tool in tools:
        if (size := len(canonical_json(tool.model_dump(mode="json")))) > MAX_TOOL_CHARS:
            left_out[tool.name] = f"has {size} characters, allowed are {MAX_TOOL_CHARS}"
        elif problem := next(iter(tool_problems(tool)), None):
            left_out[tool.name] = problem
    kept = tuple(tool for tool in tools if tool.name not in left_out)
    if not kept:
        name, why = next(iter(left_out.items()))
        raise SelfoptError(f"no prompt can be made for any tool: {printable(name)}: {why}")
    return UsableTools(kept, left_out)


def sets_of(tools: Sequence[ToolDefinition]) -> tuple[tuple[ToolDefinition, ...], ...]:
    """Put tools into sets that are offered together: neighbours, at most SET_SIZE, as equal in size as can be."""
    count = -(-len(tools) // SET_SIZE)
    edges = [len(tools) * place // count for place in range(count + 1)]
    return tuple(tuple(tools[low:high]) for low, high in pairwise(edges))
