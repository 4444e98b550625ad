"""What is wrong with a setting, in words: where it stands, what was got, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.records import Record

from .tree import EndpointSettings, PriceSettings

LONGEST_PATH = 200  # characters of a setting's name that a message shows
_ENTRIES: dict[str, type[Record]] = {"endpoints": EndpointSettings, "prices": PriceSettings}


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from. trusted: the user's own, not a project's. folder: what its relative paths start from."""

    label: str
    trusted: bool
    values: dict[str, Any]
    folder: Path | None = None


def unknown_key(path: str, model: type[Record]) -> str:
    """The message for a key that a table does not have. path: dotted, from the top."""
    path = _short_path(path)
    table, _, key = path.rpartition(".")
    near = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]}?" if near else ""
    where = f" in [{table}]" if table else ""
    return f"unknown setting {path if table else repr(path)}; allowed{where} are {', '.join(sorted(model.model_fields))}{hint}"


def explain(error: ValidationError, sources: Sequence[Source]) -> str:
    """The first problem, named with the source that it comes from. Values of keys are never shown."""
    first = error.errors()[0]
    location = first["loc"]
    path = _short_path(".".join(str(p) for p in location))
    where = next((s.label for s in reversed(sources) if _has(s.values, location)), None)
    where = where or next((s.label for s in reversed(sources) if _has(s.values, location[:-1])), "settings")
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden" and location[0] in _ENTRIES:
        return f"{where}: {unknown_key(path, _ENTRIES[str(location[0])])}{more}"
    words = _WORDS.get(first["type"])
    got = first.get("input")
    shown = f" (got {_short(got)})" if isinstance(got, str | int | float | bool) and not _is_private(path) else ""
    return f"{where}: {path}: {words(path) if words else str(first['msg']).removeprefix('Value error, ')}{shown}{more}"


def _is_private(path: str) -> bool:
    """Keys, and URLs, which may hold a password."""
    return "key" in path or "url" in path


def _short_path(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _missing(path: str) -> str:
    allowed = f"; allowed are {', '.join(ENDPOINT_KINDS.names())}" if path.endswith(".kind") else ""
    return f"is missing{allowed}"


def _table(path: str) -> str:
    return f"must be a table; write [{path}]"


def _list(path: str) -> str:
    return 'must be a list, such as ["one", "two"]'


_WORDS: Mapping[str, Callable[[str], str]] = {
    "missing": _missing,
    "model_type": _table,
    "dict_type": _table,
    "tuple_type": _list,
}


def _has(tree: Any, path: tuple[int | str, ...]) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True
