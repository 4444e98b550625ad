"""How many examples a property is tried on."""

from __future__ import annotations

import os

LONG = os.environ.get("EXAMPLES") == "long"
"""Whether to try all of them, which takes minutes more."""
LEAST = 50


def some_of(most: int) -> int:
    """A third of them, but not fewer than fifty; all with EXAMPLES=long."""
    return most if LONG else min(most, max(LEAST, most // 3))
