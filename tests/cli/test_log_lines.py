"""What a server logs is written in a thread, within bounds."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from pathlib import Path

import pytest

from selfopt.cli.log_lines import LinesInThread, LogLines


def test_lines_that_nobody_reads_are_dropped_and_counted() -> None:
    """Whoever writes them waits for nobody; the count comes once there is room."""
    entered, go_on = threading.Event(), threading.Event()
    got: list[str] = []

    def slow(lines: str) -> None:
        entered.set()
        go_on.wait(120)
        got.append(lines)

    log = LinesInThread(slow, limit=3)
    log.put("first")
    assert entered.wait(120)
    for number in range(5):
        log.put(f"later {number}")
    go_on.set()
    log.close(120)
    assert "".join(got).splitlines() == [
        "first",
        "later 0",
        "later 1",
        "later 2",
        "2 lines of the log were dropped: nobody read them in time",
    ]
    assert not log._thread.is_alive()


def test_a_write_that_never_ends_does_not_keep_the_process() -> None:
    """Closing gives up, and the thread is none that the process waits for."""
    entered, never = threading.Event(), threading.Event()

    def stuck(lines: str) -> None:
        entered.set()
        never.wait(120)

    log = LinesInThread(stuck)
    log.put("x")
    assert entered.wait(120)
    log.close(0)
    assert log._thread.daemon
    never.set()
    log._thread.join(120)


def test_a_write_that_fails_loses_its_lines_and_no_others() -> None:
    """Later lines are written."""
    got: list[str] = []

    def broken(lines: str) -> None:
        if "bad" in lines:
            raise BrokenPipeError
        got.append(lines)

    for line in ("bad", "good"):
        log = LinesInThread(broken)
        log.put(line)
        log.close(120)
    LinesInThread(broken).close()
    assert got == ["good\n"]


def test_a_server_writes_what_other_packages_log_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And warnings of Python: a line each, JSON, bounded; afterwards logging is what it was."""
    before = list(logging.getLogger().handlers)
    log = LogLines()
    log.as_json = True
    with (tmp_path / "stderr").open("w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        log.attach(logging.INFO)
        log.for_server()
        try:
            logging.getLogger("selfopt.gateway").info("ours\n%s", "x" * 20_000)
            logging.getLogger("asyncio").error("theirs", exc_info=ValueError("why\x1b"))
            logging.getLogger("asyncio").info("not wanted")
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                logging.captureWarnings(True)
                warnings.warn("old", DeprecationWarning, stacklevel=1)
        finally:
            log.detach()
    told = [json.loads(line) for line in (tmp_path / "stderr").read_text("utf-8").splitlines()]
    assert [one["logger"] for one in told] == ["selfopt.gateway", "asyncio", "py.warnings"]
    assert told[0]["message"].startswith("ours?x")
    assert len(told[0]["message"]) == 8_000
    assert told[1]["message"] == "theirs: ValueError: why?"
    assert "old" in told[2]["message"]
    assert logging.getLogger().handlers == before
