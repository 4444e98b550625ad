"""Says what is wrong with a setting: where it is, what it holds and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.records import Record

from .endpoint import EndpointSettings
from .prices import PriceSettings

LONGEST_PATH = 200  # characters of a setting's name that a message shows
_ENTRIES: dict[str, type[Record]] = {"endpoints": EndpointSettings, "prices": PriceSettings}
_WORDS = {
    "missing": "is missing",
    "model_type": "must be a table; write [{path}]",
    "dict_type": "must be a table; write [{path}]",
    "tuple_type": 'must be a list, such as ["one", "two"]',
}


@dataclass(frozen=True, slots=True)
class Source:
    """A place that settings come from: a file, the environment or the flags.

    Attributes:
        label: What messages call it.
        trusted: It is the user's own, not a project's.
        values: Its settings, as a tree.
        folder: What its relative paths start from.
    """

    label: str
    trusted: bool
    values: dict[str, Any]
    folder: Path | None = None


def unknown_key(path: str, model: type[Record]) -> str:
    """Returns the message for a key that a table does not have.

    path: its dotted name, from the top.
    """
    path = _short_path(path)
    table, _, key = path.rpartition(".")
    near = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]}?" if near else ""
    where = f" in [{table}]" if table else ""
    return f"unknown setting {path if table else repr(path)}; allowed{where} are {', '.join(sorted(model.model_fields))}{hint}"


def explain(error: ValidationError, sources: Sequence[Source]) -> str:
    """Returns a message with the first problem and the source it comes from.

    It never shows keys or URLs.
    """
    first = error.errors()[0]
    location = first["loc"]
    path = _short_path(".".join(str(p) for p in location))
    where = next((s.label for s in reversed(sources) if _has(s.values, location)), None)
    where = where or next((s.label for s in reversed(sources) if _has(s.values, location[:-1])), "settings")
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden" and location[0] in _ENTRIES:
        return f"{where}: {unknown_key(path, _ENTRIES[str(location[0])])}{more}"
    words = _WORDS[first["type"]].format(path=path) if first["type"] in _WORDS else first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing" and path.endswith(".kind"):
        words += f"; allowed are {', '.join(ENDPOINT_KINDS.names())}"
    got = first.get("input")
    if first["type"] in ("model_type", "dict_type") and isinstance(got, str) and where == "environment":
        words += f", or a variable such as SELFOPT_{path.replace('.', '__').upper()}__NAME=VALUE"
    # Keys are not shown, and neither are URLs, which may hold a password.
    shown = (
        f" (got {_short(got)})"
        if isinstance(got, str | int | float) and "key" not in path and "url" not in path and path not in ("ledger", "blobs")
        else ""
    )
    return f"{where}: {path}: {words}{shown}{more}"


def _short_path(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _has(tree: Any, path: tuple[int | str, ...]) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True
