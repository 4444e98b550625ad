"""Readers find tool calls in a reply.

Each file reads one way of writing them. No reader ever raises.
"""

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
"""Every reader by name, in the order in which they are asked.

The most distinctive way of writing comes first.
"""
