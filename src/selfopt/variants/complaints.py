"""What is wrong with the calls of a reply, before anybody runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.reading.fit import fitted
from selfopt.reading.schema import Fitter, arguments_of, properties_of, required_of, resolved
from selfopt.reading.strict import strictly_backed
from selfopt.records import Message, ToolCall, ToolDefinition

ComplaintKind = Literal["unread", "unknown_tool", "missing", "unfit", "unsaid"]
"""A call that can't be read; a tool that is not offered; a required argument that is missing; a value
that the schema refuses; a value that nobody said.
"""
_MISFITS: tuple[ComplaintKind, ...] = ("unknown_tool", "missing", "unfit")
_LONGEST = 80  # characters of a name in a complaint


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a reply.

    Attributes:
        tool: the tool of the call; "" if the call can't be read.
        argument: the argument that is meant; None where no single one is.
    """

    kind: ComplaintKind
    tool: str = ""
    argument: str | None = None

    def text(self) -> str:
        """The complaint in one sentence, for the model."""
        tool, argument = _short(self.tool), _short(self.argument or "")
        match self.kind:
            case "unread":
                return "This is not a valid call."
            case "unknown_tool":
                return f"There is no tool {tool}."
            case "missing":
                return f"The call of {tool} lacks the required {argument}."
            case "unfit":
                return f"The value of {argument} in the call of {tool} is not one that it takes."
            case "unsaid":
                return f"I never said what {argument} in the call of {tool} holds."


def complaint_about(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Complaint | None:
    """The first thing that is wrong with calls; None if there is nothing.

    What fitting the calls to their tools mends is not complained about.

    Args:
        calls: as they were read.
        messages: the conversation.
        tools: all tools that the client offers.
    """
    by_name = {tool.name: tool for tool in reversed(tools)}
    for call in fitted(calls, messages, tools)[0]:
        tool = by_name.get(call.name)
        if tool is None:
            return Complaint("unknown_tool", call.name)
        wrong = _misfit(call, tool.parameters)
        if wrong is not None:
            return wrong
        _, dropped = strictly_backed([call], messages, tools)
        if dropped:
            return Complaint("unsaid", call.name, dropped[0].argument)
    return None


def is_misfit(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> bool:
    """Whether the first complaint about calls is one that holds whatever was meant: of a tool, or of a value that does not fit.

    Args as of `complaint_about`.
    """
    by_name = {tool.name: tool for tool in reversed(tools)}
    if all(call.name in by_name and _fits_unmended(call, by_name[call.name].parameters) for call in calls):
        return False
    wrong = complaint_about(calls, messages, tools)
    return wrong is not None and wrong.kind in _MISFITS


def _fits_unmended(call: ToolCall, root: Mapping[str, object]) -> bool:
    """Whether nothing is wrong with a call as it came, and fitting it can only leave out what is not required.

    Of a list it may leave out items, and the others may fit no more where they then stand.
    """
    named = call.arguments.keys() <= properties_of(arguments_of(root)).keys()
    return named and not any(isinstance(value, list) for value in call.arguments.values()) and _misfit(call, root) is None


def _misfit(call: ToolCall, root: Mapping[str, object]) -> Complaint | None:
    schema, fitter = arguments_of(root), Fitter(root)
    parts = properties_of(schema)
    for key in required_of(schema):
        if key not in call.arguments and "default" not in resolved(parts.get(key), root):
            return Complaint("missing", call.name, key)
    unfit = next((key for key, value in call.arguments.items() if key in parts and not fitter.fits(value, parts[key])), None)
    return None if unfit is None else Complaint("unfit", call.name, unfit)


def _short(name: str) -> str:
    """A name on one line."""
    return " ".join(name[:_LONGEST].split())
