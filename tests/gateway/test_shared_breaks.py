"""An endpoint that one worker leaves alone is left alone by all of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from selfopt.errors import EndpointError
from selfopt.gateway.gates import LONGEST_PROBE_S, EndpointGate
from selfopt.gateway.shared_breaks import SharedBreaks
from tests.looptime import pass_time

from .kit import gateway_world, until


def test_a_break_is_seen_by_all_and_ends_by_itself() -> None:
    """Also when nobody ends it, since the worker that began it may be gone."""
    now = 100.0
    breaks = SharedBreaks(lambda: now)
    mine, theirs, other = breaks.of("up"), breaks.of("up"), breaks.of("other")
    mine.begin(30)
    assert (theirs.left_s, other.left_s) == (30, 0)
    now = 129.5
    assert theirs.left_s == 0.5
    now = 131
    assert theirs.left_s == 0
    mine.begin(30)
    other.end()
    assert theirs.left_s == 30
    theirs.end()
    assert mine.left_s == 0


def test_a_forked_process_sees_a_break() -> None:
    """And ends it."""
    breaks = SharedBreaks()
    breaks.of("up").begin(3600)
    pid = os.fork()
    if not pid:
        seen = breaks.of("up").left_s > 3000
        breaks.of("up").end()
        os._exit(0 if seen else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert breaks.of("up").left_s == 0


@pytest.mark.own_time
async def test_a_worker_follows_the_break_of_another_until_its_probe_finds_the_server(tmp_path: Path) -> None:
    """It refuses at once, without a fault of its own, and asks again when the other one says so."""
    there = False

    async def probe() -> bool:
        return there

    async with gateway_world(tmp_path, options={"breaker_faults": 2, "breaker_s": 30}) as world:
        options, loop = world.gateway.parts.chat.options, asyncio.get_running_loop()
        breaks = SharedBreaks(loop.time)
        mine, theirs = (EndpointGate("up", 4, options, probe, breaks.of("up")) for _ in range(2))
        for _ in range(2):
            mine.failed("up/m", EndpointError("gone", kind="connect"))
        assert (mine.state, theirs.state) == ("open", "open")
        with pytest.raises(EndpointError, match="endpoint up is down; try again in 35 s"):
            theirs.check("up/m")
        pass_time(30)  # the probe finds nothing, so all wait twice as long
        await until(lambda: theirs._shared is not None and theirs._shared.left_s > 30 + LONGEST_PROBE_S)
        there = True
        pass_time(60)
        await until(lambda: mine.state == "closed")
        theirs.check("up/m")
        assert theirs.state == "closed"
        mine.close()
