"""Processes of their own for commands that are killed, without what each interpreter takes to import everything.

`python -m tests.forker MODULE ...` imports the modules, reads one JSON object per line (an `Order` as a dictionary), forks a child for
it, and answers with how the child ended. A child is a process like any other: it has its own environment, folder, standard output and
arguments, it can be killed at any point, and it ends as an interpreter ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]


class Forker:
    """Runs functions of the suite in processes of their own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._printed, self._errors = folder / "printed", folder / "errors"

    def call(
        self, function: str, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Call `module:function` with arguments, and wait for the end of its process.

        Returns its exit code, or minus the number of the signal that ended it, and what it printed.
        """
        code = self._ended(function, arguments, cwd, environ, None)
        return code, self._printed.read_text("utf-8")

    def run(
        self, function: str, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, with what it wrote to standard error, as `subprocess.run` tells it."""
        code = self._ended(function, arguments, cwd, environ, self._errors)
        return subprocess.CompletedProcess(arguments, code, self._printed.read_text("utf-8"), self._errors.read_text("utf-8"))

    def _ended(
        self,
        function: str,
        arguments: tuple[str, ...],
        cwd: Path | None,
        environ: Mapping[str, str] | None,
        errors: Path | None,
    ) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "function": function,
            "arguments": arguments,
            "cwd": str(cwd or ROOT),
            "environ": dict(os.environ if environ is None else environ),
            "printed": str(self._printed),
            "errors": errors and str(errors),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code: int = json.loads(self._process.stdout.readline())
        return code


def command(*arguments: str) -> int:
    """The command line, as `python -m selfopt` runs it."""
    from selfopt.cli.main import run

    return run(arguments)


def script(path: str, *arguments: str) -> None:
    """A script, as `python PATH` runs it."""
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    runpy.run_path(path, run_name="__main__")


@contextmanager
def forker(*modules: str, through: Sequence[str] = ()) -> Iterator[Forker]:
    """A process that has imported these modules. through: the words of a program that starts it."""
    command = [*through, sys.executable, "-m", "tests.forker", *modules]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with TemporaryDirectory() as folder:
            yield Forker(process, Path(folder))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(120)


def obey(order: dict[str, Any]) -> int:
    """In the child: put everything in its place and call the function. Returns its exit code."""
    for descriptor, path in ((0, os.devnull), (1, order["printed"]), *([(2, order["errors"])] if order["errors"] else [])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["cwd"])
    module, name = order["function"].split(":")
    sys.argv = [module, *order["arguments"]]
    code = getattr(importlib.import_module(module), name)(*order["arguments"])
    return code if isinstance(code, int) else 0


def main(modules: list[str]) -> int:
    """Serve orders until standard input ends; in a child, what came of its order."""
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # a child's collections then neither look through what was imported nor copy its pages
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            return obey(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
