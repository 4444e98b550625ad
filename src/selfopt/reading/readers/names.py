"""Names of tools as models write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.reading.wire_names import own_names
from selfopt.records import ToolDefinition, remembered

from .base import NO_CALL_WORDS

_NO_CALL = NO_CALL_WORDS | {
    *("directly_answer", "directly-answer", "no_function", "no_function_call", "final_answer", "n/a"),
    "__conversational_response",
}
_LONGEST = 256
_ODD_LIMIT = 32
_REMEMBERED = 256
_WORD = re.compile(r"[^\W\d][\w.\-/:]*")
_PREFIX = re.compile(r"(?:functions?|tools?|default_api|tool_calls?|api|multi_tool_use)[.:/](?=.)")
# What other marks and fields leave behind a name.
_AFTER = re.compile(r"(?:<[|/｜a-zA-Z].*|\[(?:ARGS|CALL_ID)\].*|[\r\n].*|:[0-9]{1,6}|[(){}:,;>]++|\.call|[\"'`]++)\Z", re.S)
# An id of a call that holds the tool's name, as clients and models change it: `functions_city_weather_1`.
_IN_ID = re.compile(r"(?:functions?[._:\-]?)?+(.{1,256}?)(?:[._:\-]?[0-9]{1,6})?\Z")
_QUOTES = "\"'`“”‘’ \t\r\n"
_PLAIN = re.compile(r"[\W_]+")


class Names:
    """The tools that a request offered, by the names that models write.

    Attributes:
        schemas: the parameters of each tool by its name. Of two tools with one name the first counts.
        odd: the names that no program could use, such as those with spaces; the longest first.
    """

    def __init__(self, tools: Sequence[ToolDefinition]) -> None:
        self.schemas: dict[str, Mapping[str, Any]] = {}
        for tool in tools:
            self.schemas.setdefault(tool.name, tool.parameters)
        self._wire = own_names(tuple(self.schemas))
        self._loose: dict[str, str | None] = {}
        for name in self.schemas:
            plain = _loosely(name)
            self._loose[plain] = None if plain in self._loose else name
        self._longest = 2 * max(map(len, self.schemas), default=0) + 16
        self._found: dict[str, str | None] = {}
        odd = sorted((name for name in self.schemas if not _WORD.fullmatch(name)), key=len, reverse=True)
        self.odd = tuple(odd[:_ODD_LIMIT])

    @staticmethod
    def of(tools: Sequence[ToolDefinition]) -> Names:
        """The names of these tools."""
        return _names(tools)

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' own names."""
        return tuple(self.schemas)

    def match(self, written: str) -> str | None:
        """Find the offered tool that a written name means; None if there is none.

        Understands the tool's own name and its wire name; a namespace before it and an index, marks
        or quotes around it; and other case, if exactly one tool fits.
        """
        if written in self.schemas:
            return written
        written = written[:_LONGEST].strip(_QUOTES)
        if written in self._found:
            return self._found.get(written)
        found = self._match(written)
        if len(self._found) < _REMEMBERED:
            self._found[written] = found
        return found

    def _match(self, written: str) -> str | None:
        for _ in range(4):
            found = self._known(written)
            if found is not None:
                return found
            prefix = _PREFIX.match(written)
            shorter = (written[prefix.end() :] if prefix else _AFTER.sub("", written)).strip(_QUOTES)
            if shorter == written:
                break
            written = shorter
        return self._loose.get(_loosely(written)) if 0 < len(written) <= self._longest else None

    def match_id(self, written: str) -> str | None:
        """Find the offered tool that a name or the id of a call means; None if there is none."""
        found = self.match(written)
        within = _IN_ID.match(written.strip(_QUOTES)) if found is None else None
        return self.match(within.group(1)) if within is not None else found

    def of_server(self, server: str, written: str) -> str | None:
        """Find the tool of an MCP server, whose name clients put before the tool's."""
        return self.match(written) or self.match(f"mcp__{server.strip()}__{written.strip()}")

    def may_stand_in(self, text: str) -> bool:
        """Whether any tool is named in a text, however it is spelled."""
        plain = _loosely(text)
        return any(name in plain for name in (*self._loose, *map(_loosely, self._wire)))

    def schema(self, name: str) -> Mapping[str, Any]:
        """The parameters of an offered tool; empty for any other."""
        return self.schemas.get(name, {})

    def properties(self, name: str) -> Mapping[str, Any]:
        """The properties in a tool's parameters; empty if it has none that can be read."""
        properties = self.schema(name).get("properties")
        return properties if isinstance(properties, Mapping) else {}

    def is_no_call(self, name: str) -> bool:
        """Whether a name means "no tool" and no offered tool is called so."""
        return name.strip(_QUOTES).lower() in _NO_CALL and self.match(name) is None

    def _known(self, written: str) -> str | None:
        return written if written in self.schemas else self._wire.get(written)


def _loosely(name: str) -> str:
    return _PLAIN.sub("", name).lower()


@remembered
def _names(tools: Sequence[ToolDefinition]) -> Names:
    return Names(tools)
