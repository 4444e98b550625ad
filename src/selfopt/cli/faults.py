"""What a command that did not do its work says on its last line, and its exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from selfopt.errors import SelfoptError

from .exit_codes import INTERRUPTED

_BEFORE_THE_COMMAND = dict.fromkeys(("-v", "--verbose"), "selfopt -v COMMAND") | {"--home": "selfopt --home DIR COMMAND"}


def fault_of(error: BaseException) -> tuple[str, int]:
    """The line that tells of an error, and the exit code. Whatever is none of ours counts as a bug."""
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return "interrupted; the same command continues where it stopped", INTERRUPTED
    if isinstance(error, click.UsageError):
        return _usage(error), 2
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, SelfoptError):
        return str(error), error.exit_code
    if isinstance(error, OSError):  # a full disk or a missing permission, which the user can mend
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}; check space and permissions", 1
    what = f"{type(error).__name__}: {str(error)[:500]}"
    return f"unexpected {what}; this is a bug in selfopt: repeat with SELFOPT_TRACEBACK=1 and report what it prints", 1


def _usage(error: click.UsageError) -> str:
    """What is wrong with a command line, and where its help is."""
    if isinstance(error, click.NoSuchOption) and error.option_name in _BEFORE_THE_COMMAND:
        return f"{error.option_name} stands before the command: {_BEFORE_THE_COMMAND[error.option_name]}"
    unknown = getattr(click.exceptions, "NoSuchCommand", None)  # click has it since 8.4
    if unknown is not None and isinstance(error, unknown) and error.ctx is not None:
        message = no_such_command(error.command_name, error.possibilities or (), error.ctx.command_path)
    else:
        message = error.format_message().rstrip(".")
    if error.ctx is None or "--help" in message:
        return message
    return f"{message}{' See' if message.endswith('?') else '; see'} '{error.ctx.command_path} --help'"


def no_such_command(name: str, near: Sequence[str], group: str) -> str:
    """What is said of a command that does not exist. near: those that are spelt like it."""
    hint = f"did you mean {near[0]!r}?" if near else f"see '{group} --help'"
    return f"no such command {name!r}; {hint}"


def inert(line: str) -> str:
    """The line, changed so that a workflow of GitHub reads no command in it. Elsewhere as it is."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return line
    shown = line.replace("##[", "## [")
    return f"- {shown}" if shown.lstrip().startswith("::") else shown
