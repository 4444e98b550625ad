"""Tool calls without the marks of a family: JSON, Python, elements, and a name before an object."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading.earlier.bracket import READER as _BRACKET
from selfopt.reading.earlier.json_text import READER as _JSON
from selfopt.reading.earlier.python_call import READER as _PYTHON
from selfopt.records import ReplyContent, ToolDefinition

from .base import NOTHING, Found


class UnmarkedReader:
    """Reads calls that no marks enclose."""

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        found = (reader.read(content, tools) for reader in (_JSON, _BRACKET, _PYTHON))
        return next((one for one in found if one.calls or one.says_none), NOTHING)


READER = UnmarkedReader()
