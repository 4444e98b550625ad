"""Finds the tool calls in a reply, whole or while it is being written, and keeps thinking apart.

`read` takes any text and tools. `read_calls` reads a reply by the chain that a variant names.
"""

from __future__ import annotations

from .chain import chain_of, needs_logprobs, read_calls
from .door import Reading, read
from .families import FAMILIES, Family
from .growing import GrowingReply, certain_calls
from .held import HeldText
from .readers import READERS
from .readers.base import Found, Reader
from .within import calls_within

__all__ = [
    "FAMILIES",
    "READERS",
    "Family",
    "Found",
    "GrowingReply",
    "HeldText",
    "Reader",
    "Reading",
    "calls_within",
    "certain_calls",
    "chain_of",
    "needs_logprobs",
    "read",
    "read_calls",
]
