"""Follows the references of a JSON Schema, within the schema only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_STEPS = 32


def target_of(root: Any, reference: Any) -> Any:
    """What `#/$defs/Name`, another JSON pointer or `#anchor` refers to.

    None if it leads nowhere or out of the schema.
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return _anchored(root, pointer)
    at = root
    for step in pointer.split("/")[1:][:_STEPS]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping):
            at = at.get(key)
        elif isinstance(at, list) and key.isascii() and key.isdigit() and len(key) < 5 and int(key) < len(at):
            at = at[int(key)]
        else:
            return None
    return at


def _anchored(root: Any, anchor: str) -> Any:
    """The definition with this anchor."""
    for word in ("$defs", "definitions"):
        definitions = root.get(word) if isinstance(root, Mapping) else None
        for schema in definitions.values() if isinstance(definitions, Mapping) else ():
            if isinstance(schema, Mapping) and schema.get("$anchor") == anchor:
                return schema
    return None


def definition_name(reference: str) -> str:
    """The name of what a reference refers to, as people call it; "" for the whole schema."""
    return unquote(reference.rpartition("/")[2]).replace("~1", "/").replace("~0", "~").removeprefix("#")
