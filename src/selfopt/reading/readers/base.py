"""What all readers share: their result, limits, cleaned text, and the names of tools."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from selfopt.reading.families import Family
from selfopt.reading.wire_names import own_names
from selfopt.records import Correction, ReplyContent, ToolCall, ToolDefinition, remembered

TEXT_LIMIT = 262_144  # characters of a reply that are read; calls are usually among the first few thousand
WORK_LIMIT = 1_048_576  # characters that failed attempts may read in all, so that time stays linear
DEPTH_LIMIT = 32  # levels of nesting in a value
CALL_LIMIT = 64  # calls taken from one reply

NO_CALL_WORDS = frozenset({"none", "no_tool", "no_call", "null"})
_FENCE = re.compile(r"^[ \t]{0,8}(?:```+|~~~+)[ \t]*([^\s`]{0,32})[^\n]{0,200}$", re.M)
_PREFIXES = ("functions.", "function.", "tools.", "default_api.")


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader found in a reply.

    Attributes:
        calls: the calls in order.
        form: how they are written, such as "fenced JSON".
        spans: where they are in the text, as (start, end).
        says_none: whether the reply says that no tool should be called.
        unread: a description of a call that can't be read; "" if there is none.
        family: the family that writes them so; "" where the reader knows none.
        supplied: whether the last call has no end in the text, which the reader supplied.
        corrections: what the reader changed in the calls.
    """

    calls: Sequence[ToolCall] = ()
    form: str = ""
    spans: Sequence[tuple[int, int]] = ()
    says_none: bool = False
    unread: str = ""
    family: str = ""
    supplied: bool = False
    corrections: tuple[Correction, ...] = ()

    def without_last(self) -> Found:
        """The same without its last call, which has no end."""
        return replace(self, calls=self.calls[:-1], spans=self.spans[:-1], supplied=False)


# Shared, since most readers return one of these for most replies.
NOTHING = Found()
SAYS_NONE = Found(says_none=True)


@runtime_checkable
class Reader(Protocol):
    """Reads calls that are written in one way."""

    @property
    def version(self) -> int:
        """Starts at 1 and rises with every change in what is read.

        A chain names a later version as `name@version`, so that evidence says who read the replies.
        """

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """Find the calls in a reply. Never raises, and takes bounded time on any text."""


@runtime_checkable
class GrowingReader(Reader, Protocol):
    """A reader that also reads replies which are still being written."""

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """The calls that `read` will find first, however the reply goes on.

        Args:
            content: the text so far, and the native calls that are complete.
            tools: the tools that were offered.
        """


@runtime_checkable
class ReadsFamilies(Reader, Protocol):
    """A reader that takes the marks to look for from a row of the family table."""

    def of(self, family: Family) -> Reader:
        """A reader of this family alone."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The tools that a request offered, by name."""

    schemas: Mapping[str, Mapping[str, Any]]

    @staticmethod
    def of(tools: Sequence[ToolDefinition]) -> Offered:
        """Take tools from their definitions. Of two with the same name the first counts."""
        return _offered(tools)

    def match(self, name: str) -> str | None:
        """Find the offered tool that a written name means; None if there is none.

        Understands the tool's own name, the name behind a namespace such as `functions.`, and the
        wire name.
        """
        name = name.strip()
        if name in self.schemas:
            return name
        for prefix in _PREFIXES:
            if name.startswith(prefix) and name[len(prefix) :] in self.schemas:
                return name[len(prefix) :]
        return own_names(tuple(self.schemas)).get(name)

    def properties(self, name: str) -> Mapping[str, Any]:
        """The properties in a tool's schema; empty if it has none that can be read."""
        properties = self.schemas.get(name, {}).get("properties")
        return properties if isinstance(properties, Mapping) else {}

    def is_no_call(self, name: str) -> bool:
        """Whether a name means "no tool" and no offered tool is called so."""
        return name.strip().lower() in NO_CALL_WORDS and self.match(name) is None


@remembered
def _offered(tools: Sequence[ToolDefinition]) -> Offered:
    schemas: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        schemas.setdefault(tool.name, tool.parameters)
    return Offered(schemas)


@dataclass(slots=True)
class Effort:
    """How many characters failed attempts may still read in one reply."""

    left: int = WORK_LIMIT

    def spend(self, characters: int) -> bool:
        """Count a failed attempt. Returns whether any effort is left."""
        self.left -= max(characters, 1)
        return self.left > 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a reply: text (`language` is None) or the inside of a code fence.

    `start` is its place.
    """

    body: str
    language: str | None = None
    start: int = 0


def clean_text(text: str) -> str:
    """The part of a text that is read, with lone surrogates replaced so that it is valid UTF-8.

    Positions stay.
    """
    read = text[:TEXT_LIMIT]
    return read if read.isascii() else read.encode("utf-8", "replace").decode("utf-8")


def segments(text: str) -> Iterator[Segment]:
    """Cut a reply at its code fences. An unclosed fence runs to the end."""
    position, language, inside = 0, "", False
    for fence in _FENCE.finditer(text):
        body = text[position : fence.start()]
        if body.strip():
            yield Segment(body, language if inside else None, position)
        inside, language, position = not inside, fence.group(1).lower(), fence.end()
    if text[position:].strip():
        yield Segment(text[position:], language if inside else None, position)
