"""A process that has imported everything and forks a child for each attempt at a loop; run by test_kills.py.

Reads one JSON object per line: {"folder": ..., "kill": null | {"kind": ..., ...}}; answers how the child ended. A child that is
to be killed at a point kills itself there with SIGKILL; by time, it is killed from here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import selfopt.home.chain
import selfopt.home.files
from selfopt.ledger import SqliteLedger
from selfopt.ledger.storing import Storing
from selfopt.records import Record
from tests.loop.kit import World, model

COMMAND = ("scripted/m atomic native_api", "scripted/weak extended native_api", "scripted/big extended native_api")


def world(folder: Path) -> World:
    """One model that loads slowly and writes calls in an unread format, one too weak for conversations, one that is not."""
    return World(
        folder, {"m": model("fenced", load_ms=2000, initially_loaded=False), "weak": model(), "big": model(extended="native")}
    )


def die() -> None:
    """SIGKILL, here and now."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Killer:
    """Counts the points that are passed, and dies at the wanted one."""

    def __init__(self, kill: Mapping[str, Any] | None) -> None:
        self._kill = dict(kill or {})
        self.counts: Counter[str] = Counter()

    def passes(self, point: str) -> None:
        """A point is reached."""
        self.counts[point] += 1
        if self._kill.get("kind") == point and self.counts[point] == self._kill["n"]:
            die()

    def install(self) -> None:
        """Around commits of the ledger, renames of files, and in the middle of a write to the audit trail."""
        append, insert, replace = SqliteLedger.append, Storing._insert, os.replace
        write_all = selfopt.home.files.write_all

        async def watched_append(ledger: SqliteLedger, records: Sequence[Record]) -> None:
            self.passes("before commit")
            await append(ledger, records)
            self.passes("after commit")

        def watched_insert(storing: Storing, *rest: Any) -> Any:
            done = insert(storing, *rest)
            self.passes("inside commit")
            return done

        def watched_replace(source: Any, target: Any, **more: Any) -> None:
            self.passes("before rename")
            replace(source, target, **more)
            self.passes("after rename")

        def torn_write(descriptor: int, data: bytes) -> None:
            self.counts["torn write"] += 1
            if self._kill.get("kind") == "torn write" and self.counts["torn write"] == self._kill["n"]:
                write_all(descriptor, data[: len(data) // 2])
                die()
            write_all(descriptor, data)

        for owner, name, watched in (
            (SqliteLedger, "append", watched_append),
            (Storing, "_insert", watched_insert),
            (os, "replace", watched_replace),
            (selfopt.home.chain, "write_all", torn_write),
            (selfopt.home.files, "write_all", torn_write),
        ):
            assert hasattr(owner, name)
            setattr(owner, name, watched)


def attempt(folder: Path, kill: Mapping[str, Any] | None, writing: int) -> None:
    """The command: two cycles. Ends the process."""
    killer = Killer(kill)
    killer.install()
    code = 0
    try:
        cycles = asyncio.run(world(folder).loop(*COMMAND, cycles=2, on_step=lambda step: killer.passes(f"step {step}")))
        os.write(writing, json.dumps({"cycles": [c.number for c in cycles], "points": killer.counts}).encode())
    except BaseException:
        traceback.print_exc()
        code = 3
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serve attempts until standard input ends. One loop is run here first, so that no child has to make what all of them use."""
    with TemporaryDirectory() as folder:
        asyncio.run(world(Path(folder)).loop(*COMMAND, cycles=2))
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        kill = order["kill"]
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            attempt(Path(order["folder"]), kill, writing)
        os.close(writing)
        if kill is not None and kill["kind"] == "time":
            through, _, _ = select.select([reading], [], [], kill["ms"] / 1000)
            if not through:
                os.kill(pid, signal.SIGKILL)
        said = b""
        while chunk := os.read(reading, 65536):
            said += chunk
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        answer = {
            "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "said": json.loads(said) if said else None,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
