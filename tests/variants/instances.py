"""`from_schema` of hypothesis-jsonschema, whose newest release (0.23.1) asks for the members of an
object in a way that hypothesis has replaced since. Tests that need it are skipped without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.internal.conjecture import utils

__all__ = ["from_schema"]

drawing: Any = pytest.importorskip("hypothesis_jsonschema._from_schema")


class _Many(utils.many):
    """A collection that is asked for one more element at a time."""

    steps: Iterator[None] | None = None

    def more(self) -> bool:
        """Whether there is one more element."""
        if self.steps is None:
            self.__enter__()
            self.steps = iter(self)
        if next(self.steps, self) is self:
            self.__exit__(None, None, None)
            return False
        return True


if not hasattr(utils.many, "more"):
    shim: Any = SimpleNamespace(many=_Many)
    drawing.cu = shim


@st.composite
def from_schema(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """An instance of a schema. Schemas of whose contradictions the library makes an error have none."""
    try:
        return draw(drawing.from_schema(schema))
    except InvalidArgument:
        return reject()
