"""Tool calls between the marks of a family."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading.earlier.tagged import TAGGED
from selfopt.reading.earlier.tags import TagReader
from selfopt.reading.families import Family
from selfopt.records import ReplyContent, ToolDefinition

from .base import Found


class MarkedReader:
    """Reads calls between the marks of some families."""

    version = 1

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._by = TagReader(families)

    def of(self, family: Family) -> MarkedReader:
        """A reader of this family alone."""
        return MarkedReader((family,))

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        return self._by.read(content, tools)


READER = MarkedReader(TAGGED)
