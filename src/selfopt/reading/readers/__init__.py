"""Readers find tool calls in a reply.

Each file reads one way of writing them. No reader ever raises.
"""

from __future__ import annotations

from selfopt.extensions import Registry

from .base import Reader

__all__ = ["READERS"]

_HERE, _BEFORE = "selfopt.reading.readers", "selfopt.reading.earlier"

READERS: Registry[Reader] = Registry(
    "selfopt.readers",
    {
        "native": f"{_BEFORE}.native:READER",
        "xml": f"{_BEFORE}.tags:READER",
        "json": f"{_BEFORE}.json_text:READER",
        "bracket": f"{_BEFORE}.bracket:READER",
        "python_call": f"{_BEFORE}.python_call:READER",
        "native@2": f"{_HERE}.native:READER",
        "marked": f"{_HERE}.marked:READER",
        "unmarked": f"{_HERE}.unmarked:READER",
    },
    Reader,
)
"""Every reader by name. The first five are those of the chain `all@1`, the others of `all@2`."""
