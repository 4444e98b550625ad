"""What all readers share: what they report, limits, cleaning, and the names of tools."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from selfopt.reading.families import Family
from selfopt.reading.wire_names import own_names
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

TEXT_LIMIT = 262_144  # characters of a reply that are read; a tool call stands in the first few thousand
WORK_LIMIT = 1_048_576  # characters that failed readings may cost in all, so that time stays linear
DEPTH_LIMIT = 32  # nesting of values
CALL_LIMIT = 64  # calls taken from one reply

NO_CALL_WORDS = frozenset({"none", "no_tool", "no_call", "null"})
_FENCE = re.compile(r"^[ \t]{0,8}(?:```+|~~~+)[ \t]*([^\s`]{0,32})[^\n]{0,200}$", re.M)
_PREFIXES = ("functions.", "function.", "tools.", "default_api.")


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader saw in a reply.

    calls: in their order. form: how they are written, such as "fenced JSON".
    spans: where they stand in the text, as (start, end).
    says_none: the reply says that no tool is to be called.
    unread: a call stands there that cannot be read: what it is, in words. "" for none.
    """

    calls: Sequence[ToolCall] = ()
    form: str = ""
    spans: Sequence[tuple[int, int]] = ()
    says_none: bool = False
    unread: str = ""


# Most replies get one of these from each of four readers.
NOTHING = Found()
SAYS_NONE = Found(says_none=True)


@runtime_checkable
class Reader(Protocol):
    """Reads calls that are written in one way.

    version: raised with any change in what is read. A chain names a later version than the first
    as `name@version`, so that evidence says who read the replies.
    """

    @property
    def version(self) -> int:
        """1 for the first."""

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """What stands in the reply. Never raises, and takes bounded time, on any text."""


@runtime_checkable
class GrowingReader(Reader, Protocol):
    """A reader that also reads replies which are still being written."""

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """The calls with which any reply that begins with this one begins, as `read` reads it. content: the text so far, and
        native calls that have ended."""


@runtime_checkable
class ReadsFamilies(Reader, Protocol):
    """A reader that is told by a row of the table which marks to look for."""

    def of(self, family: Family) -> Reader:
        """A reader of this family alone."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The tools that a request offered, by name."""

    schemas: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, tools: Sequence[ToolDefinition]) -> Offered:
        """From definitions; of two with one name the first counts."""
        schemas: dict[str, Mapping[str, Any]] = {}
        for tool in tools:
            schemas.setdefault(tool.name, tool.parameters)
        return cls(schemas)

    def match(self, name: str) -> str | None:
        """The offered tool that a written name means: itself, itself behind a namespace such as `functions.`, or the name
        under which it is handed to servers."""
        name = name.strip()
        if name in self.schemas:
            return name
        for prefix in _PREFIXES:
            if name.startswith(prefix) and name[len(prefix) :] in self.schemas:
                return name[len(prefix) :]
        return own_names(tuple(self.schemas)).get(name)

    def properties(self, name: str) -> Mapping[str, Any]:
        """The properties of a tool's schema; empty when the schema has none that can be read."""
        properties = self.schemas.get(name, {}).get("properties")
        return properties if isinstance(properties, Mapping) else {}

    def is_no_call(self, name: str) -> bool:
        """Whether a name stands for "no tool" (and is not a tool of that name)."""
        return name.strip().lower() in NO_CALL_WORDS and self.match(name) is None


@dataclass(slots=True)
class Effort:
    """How much failed reading is still allowed in one reply."""

    left: int = WORK_LIMIT

    def spend(self, characters: int) -> bool:
        """Take off what a failed attempt read; False when nothing is left."""
        self.left -= max(characters, 1)
        return self.left > 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a reply, which starts at `start`: text (language None) or the inside of a code fence."""

    body: str
    language: str | None = None
    start: int = 0


def clean_text(text: str) -> str:
    """The part that is read, with lone surrogates replaced (what is stored must be valid UTF-8). Every place stays where it was."""
    read = text[:TEXT_LIMIT]
    return read if read.isascii() else read.encode("utf-8", "replace").decode("utf-8")


def segments(text: str) -> Iterator[Segment]:
    """The reply cut at its code fences; an unclosed fence runs to the end."""
    position, language, inside = 0, "", False
    for fence in _FENCE.finditer(text):
        body = text[position : fence.start()]
        if body.strip():
            yield Segment(body, language if inside else None, position)
        inside, language, position = not inside, fence.group(1).lower(), fence.end()
    if text[position:].strip():
        yield Segment(text[position:], language if inside else None, position)
