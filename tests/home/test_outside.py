"""What runs outside of the loop sees none, and its result comes back."""

from __future__ import annotations

import asyncio

import pytest

from selfopt.home.outside import outside_loop


async def test_no_loop_is_seen_although_one_runs() -> None:
    """So `asyncio.run` works in there."""

    async def seen() -> bool:
        return asyncio.get_running_loop() is not outer

    outer = asyncio.get_running_loop()
    assert outside_loop(lambda: asyncio.run(seen()))


async def test_what_is_raised_comes_back() -> None:
    """As it was raised."""

    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        outside_loop(fails)
