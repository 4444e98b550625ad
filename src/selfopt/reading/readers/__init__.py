"""Readers: reply -> tool calls, one way of writing a file. None of them raises, on any input."""

from __future__ import annotations

from selfopt.extensions import Registry

from .base import Reader

__all__ = ["READERS"]

READERS: Registry[Reader] = Registry(
    "selfopt.readers",
    {
        "native": "selfopt.reading.readers.native:READER",
        "xml": "selfopt.reading.readers.tags:READER",
        "json": "selfopt.reading.readers.json_text:READER",
        "bracket": "selfopt.reading.readers.bracket:READER",
        "python_call": "selfopt.reading.readers.python_call:READER",
    },
    Reader,
)
"""Every reader by name. Ours come in the order in which ways of writing are told apart: the more one says of itself, the
earlier it is asked."""
