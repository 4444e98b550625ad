"""Processes that are forked for one command each."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .forker import Forker, forker


def shown(word: str) -> int:
    """Prints what it was given and where it is."""
    print(word, os.getcwd(), os.environ["SHOWN"], os.getpid())
    return 7


def killed() -> None:
    """Dies in the middle of a line."""
    print("begun", end="", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def failing() -> None:
    """Raises, which is told on standard error."""
    raise ValueError


@pytest.fixture(scope="module")
def own_process() -> Iterator[Forker]:
    with forker("tests.test_forker") as opened:
        yield opened


def test_a_call_has_its_own_folder_environment_and_process(own_process: Forker, tmp_path: Path) -> None:
    """And its exit code comes back with what it printed."""
    said = [own_process.call("tests.test_forker:shown", "a b", cwd=tmp_path, environ={"SHOWN": "x"}) for _ in range(2)]
    assert [code for code, _ in said] == [7, 7]
    words = [printed.rsplit(" ", 1) for _, printed in said]
    assert [front for front, _ in words] == [f"a b {os.path.realpath(tmp_path)} x"] * 2
    assert len({pid for _, pid in words}) == 2


def test_a_kill_is_told_and_the_next_call_is_not_touched_by_it(own_process: Forker) -> None:
    """What was printed before is there."""
    assert own_process.call("tests.test_forker:killed") == (-signal.SIGKILL, "begun")
    assert own_process.call("tests.test_forker:failing") == (1, "")
