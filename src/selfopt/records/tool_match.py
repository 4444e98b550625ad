"""Which requests a rule is about, by the tools that they offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from .base import Record, canonical_json, content_hash
from .chat import ToolDefinition

MAX_PATTERN = 200
"""The most characters of a pattern of tool names."""

Precedence = tuple[bool, bool, int, bool]


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """The tools that a request offers, as far as rules look at them.

    Attributes:
        names: of all tools, as offered. "" stands for a tool without a name that can be read.
        tool_set: their content name (`tool_set_name`); "" where it is not known.
    """

    names: tuple[str, ...]
    tool_set: str = ""


NO_TOOLS = ToolOffer(())


def tool_set_name(tools: Iterable[ToolDefinition]) -> str:
    """The content name of a set of tools: a hash of their names and parameters, in any order.

    Descriptions of the tools don't count, and neither does what a client sends beside. A tool without
    parameters is one with an empty object of them.
    """
    empty = {"type": "object", "properties": {}}
    parts = ({"name": tool.name, "parameters": tool.parameters or empty} for tool in tools)
    return content_hash("tools", sorted(parts, key=lambda part: (part["name"], canonical_json(part))))


def offer_of(tools: Iterable[ToolDefinition]) -> ToolOffer:
    """The offer of these tools, with its content name."""
    offered = tuple(tools)
    return ToolOffer(tuple(tool.name for tool in offered), tool_set_name(offered)) if offered else NO_TOOLS


class ToolMatch(Record):
    """Which requests a rule is about, by the tools that they offer. What is None or empty matches all.

    A request without tools matches none, whatever stands here.

    Attributes:
        tool_set: the content name of the set of tools offered (`tool_set_name`).
        names: a pattern, such as `calendar_*`, that every name of an offered tool matches. `*` stands
            for any text; everything else stands for itself.
        least, most: how many tools may be offered.
    """

    tool_set: str | None = Field(default=None, pattern=r"^tools-[0-9a-f]{24}$")
    names: str = Field(default="", max_length=MAX_PATTERN)
    least: int | None = Field(default=None, ge=1)
    most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.tool_set is None and not self.names and self.least is None and self.most is None:
            raise ValueError("it names no tools; give a tool_set, names, least or most, or leave `when` out")
        if not self.names.isprintable():
            raise ValueError("a pattern of tool names has printable characters only; correct it")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"at least {self.least} and at most {self.most} tools is impossible; exchange the two")
        return self

    @property
    def key(self) -> str:
        """Its content as one text: two are equal if and only if their keys are."""
        return canonical_json(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def precedence(self) -> Precedence:
        """How specific it is. The greater comes first.

        A tool set comes before a pattern, a pattern with more characters other than `*` before one
        with fewer, and a number of tools before none.
        """
        counted = self.least is not None or self.most is not None
        return self.tool_set is not None, bool(self.names), len(self.names.replace("*", "")), counted

    def matches(self, offer: ToolOffer) -> bool:
        """Whether a request with these tools is one that it is about."""
        n = len(offer.names)
        return (
            n > 0
            and (self.tool_set is None or self.tool_set == offer.tool_set)
            and (self.least is None or n >= self.least)
            and (self.most is None or n <= self.most)
            and (not self.names or all(matches_pattern(self.names, name) for name in offer.names))
        )

    def meets(self, other: ToolMatch) -> bool:
        """Whether some request may match both. Never False where one does."""
        return (
            (self.tool_set is None or other.tool_set is None or self.tool_set == other.tool_set)
            and (self.least or 1) <= (other.most or self.least or 1)
            and (other.least or 1) <= (self.most or other.least or 1)
            and (not self.names or not other.names or patterns_meet(self.names, other.names))
        )

    def covers(self, other: ToolMatch) -> bool:
        """Whether every request that matches the other also matches this. Never True where one does not."""
        return (
            self.tool_set in (None, other.tool_set)
            and (self.least or 1) <= (other.least or 1)
            and (self.most is None or (other.most is not None and other.most <= self.most))
            # No `*` of the other can stand for a character of this one, so it is read as a name.
            and (not self.names or (bool(other.names) and matches_pattern(self.names, other.names)))
        )


def matches_pattern(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which `*` stands for any text. Takes time as the name is long."""
    first, *between = pattern.split("*")
    if not between:
        return pattern == name
    last = between.pop()
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in between:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def patterns_meet(one: str, other: str) -> bool:
    """Whether some name fits both patterns."""
    if "*" not in one:
        return matches_pattern(other, one)
    if "*" not in other:
        return matches_pattern(one, other)
    # What stands between the first and the last `*` of each can always follow one after another.
    heads, tails = (
        (one.split("*", maxsplit=1)[0], other.split("*", maxsplit=1)[0]),
        (one.rsplit("*", maxsplit=1)[-1], other.rsplit("*", maxsplit=1)[-1]),
    )
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )
