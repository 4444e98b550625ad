"""The proposers, one a file.

Each says what to try next, given a baseline and the findings on it.
"""

from __future__ import annotations

from selfopt.extensions import Registry
from selfopt.records import Proposer

__all__ = ["PROPOSERS"]

PROPOSERS: Registry[Proposer] = Registry(
    "selfopt.proposers", {"catalogue": "selfopt.loop.proposers.catalogue:PROPOSER"}, Proposer
)
"""The proposers that the loop asks in turn: first ours, then installed ones."""
