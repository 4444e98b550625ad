"""The sentence about latencies that were measured in several ways."""

from __future__ import annotations

from collections.abc import Sequence


def mixed_text(concurrencies: Sequence[int]) -> str:
    """What to think of latencies from runs with these numbers of requests at once."""
    told = " and ".join(map(str, concurrencies))
    return f"the latencies mix runs of {told} requests at once, and are none of either; --fresh measures anew"
