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


def test_what_is_written_to_standard_error_is_told_apart(own_process: Forker) -> None:
    """As an interpreter writes it."""
    done = own_process.run("tests.test_forker:failing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("ValueError\n")


def test_a_script_is_the_main_module_beside_its_own_files(own_process: Forker, tmp_path: Path) -> None:
    """With what was typed after it, and the exit code that it asks for."""
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    (tmp_path / "one.py").write_text("import sys\nfrom beside import WORD\nprint(__name__, sys.argv, WORD)\nsys.exit('no')\n")
    done = own_process.run("tests.forker:script", "one.py", "a b", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "__main__ ['one.py', 'a b'] beside\n", "no\n")


def test_the_command_line_runs_in_a_process_of_its_own(own_process: Forker) -> None:
    """With the exit codes of `python -m selfopt`."""
    assert own_process.run("tests.forker:command", "--version").returncode == 0
    done = own_process.run("tests.forker:command", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("selfopt: ")
