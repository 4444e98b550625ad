"""Fills nunjucks templates that only insert values.

Understands `{{ name }}`, `{{ name.key }}`, `{{ name[0] }}`, and the filters dump, safe, trim, lower
and upper, and drops comments. Imports nothing else (blocks, other filters, the environment) and
executes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

from .left_out import NotImportedError

_PLACE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d{1,6}\])*")
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")
MAX_CHARACTERS = 1_000_000


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_FILTERS: dict[str, Callable[[Any], Any]] = {
    "dump": _json,
    "safe": lambda value: value,
    "trim": lambda value: _shown(value).strip(),
    "lower": lambda value: _shown(value).lower(),
    "upper": lambda value: _shown(value).upper(),
}


def render(text: str, values: Mapping[str, Any], where: str) -> str:
    """Fill the places in a text.

    Raises SuiteError for a place without a value, and NotImportedError for other template code.
    """
    text = _without_comments(text)
    if "{%" in text:
        raise NotImportedError(where, "'{%' begins code of a template, which is not executed; write the text out")
    end = text.rfind("}}") + 2 if "}}" in text else 0  # no place begins behind it, and searching for one there takes long
    filled = _PLACE.sub(lambda place: _shown(_value(place.group(1).strip(), values, where)), text[:end]) + text[end:]
    if len(filled) > MAX_CHARACTERS:
        raise SuiteError(f"{where}: {len(filled)} characters once filled, allowed are {MAX_CHARACTERS}; shorten it")
    return filled


def _without_comments(text: str) -> str:
    kept, place = [], 0
    while (start := text.find("{#", place)) >= 0 and (end := text.find("#}", start + 2)) >= 0:
        kept.append(text[place:start])
        place = end + 2
    return "".join(kept) + text[place:]


def render_values(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fill the places in texts that are values themselves, once, with the values as they are."""
    return {
        name: render(value, values, f"{where}: the var {printable(name)}") if isinstance(value, str) and "{{" in value else value
        for name, value in values.items()
    }


def render_data(data: Any, values: Mapping[str, Any], where: str) -> Any:
    """Fill the places in all texts of the data."""
    if isinstance(data, str):
        return render(data, values, where)
    if isinstance(data, list):
        return [render_data(item, values, where) for item in data]
    if isinstance(data, dict):
        return {key: render_data(value, values, where) for key, value in data.items()}
    return data


def _value(expression: str, values: Mapping[str, Any], where: str) -> Any:
    path, *filters = (part.strip() for part in expression.split("|"))
    shown = printable(expression[:80])
    if not _PATH.fullmatch(path) or any(name not in _FILTERS for name in filters):
        raise NotImportedError(where, f"{{{{ {shown} }}}} is more than a name with {', '.join(_FILTERS)}; write the text out")
    found: Any = values
    if path.startswith("env.") and "env" not in values:
        raise NotImportedError(
            where, f"{{{{ {shown} }}}} stands for a variable of the environment, which is not read; write the text out"
        )
    for name, index in _STEP.findall(path):
        try:
            found = found[name] if name else found[int(index)]
        except (KeyError, IndexError, TypeError):
            raise SuiteError(f"{where}: {{{{ {shown} }}}} has no value; add it to vars") from None
    for name in filters:
        found = _FILTERS[name](found)
    return found


def _shown(value: Any) -> str:
    """Write a value like promptfoo: text as it is, everything else as JSON."""
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            raise NotImportedError("vars", f"the value {printable(value[:80])!r} is a template itself; write the text out")
        return value
    return "" if value is None else _json(value)
