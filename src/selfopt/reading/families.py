"""The families of models by name, and what prompts write as calls."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.extensions import Registry
from selfopt.records import CallFormat, ToolCall

from .family import SEPARATOR, Family, Marks
from .family_rows import ROWS

__all__ = ["FAMILIES", "NO_CALL", "ROWS", "SEPARATOR", "Family", "Marks", "family_of_template", "write_calls"]

NO_CALL = "none"

_PLAIN_JSON = Family(name="plain_json", title="JSON", reader="json", listed="several")
_PYTHONIC = Family(name="pythonic", title="a list of Python calls", reader="bracket", body="keywords", listed="always")
_PYTHON = Family(name="python", title="Python calls", reader="python_call", body="keywords")
# What prompts of the format `xml` show. Models of Hermes write line breaks within the marks.
_XML = Family(name="hermes", marks=("<tool_call>", "</tool_call>"))

FAMILIES: Registry[Family] = Registry(
    "selfopt.families", {family.name: family for family in (*ROWS, _PLAIN_JSON, _PYTHONIC, _PYTHON)}, Family
)
"""Every family by name."""

_FORMATS: dict[CallFormat, Family] = {"json": _PLAIN_JSON, "xml": _XML, "bracket": _PYTHONIC, "python_call": _PYTHON}


def write_calls(calls: Sequence[ToolCall], call_format: CallFormat) -> str:
    """Write calls as a prompt asks a model to. No calls are written as `none`."""
    return _FORMATS[call_format].write(calls) if calls else NO_CALL


def family_of_template(template: str) -> str:
    """The family whose marks a model's chat template writes; "" if none is known."""
    found = (row for row in ROWS if row.template and all(sign in template for sign in row.template))
    return next((row.name for row in found), "")
