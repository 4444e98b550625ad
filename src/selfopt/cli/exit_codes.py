"""The exit codes of all commands.

A command returns 0 when the verb did its work, and 100 when it was asked for a verdict and that is
no.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selfopt.errors import GateFailed, SelfoptError, UsageError

if TYPE_CHECKING:
    from selfopt.verbs.failing import Failure


F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130
EXIT_CODES = {
    0: "the verb did its work",
    SelfoptError.exit_code: "an error occurred, or a cap stopped the measurement before its end",
    UsageError.exit_code: "the command line or a file asks for something impossible",
    GateFailed.exit_code: "the verb was asked for a verdict, and that is no: `decide` promotes no candidate; `check` fails, or is undecided and its file counts that as a failure; records are not what was "
    "written (`audit verify`, `audit trace`, `show`, `report`, `doctor`); `suites validate --strict` has warnings; something happened "
    "that `--fail-on` names (`loop`, `compare`, `decide`, `run`)",
    INTERRUPTED: "interrupted; the same command continues",
}


def says(verdict: bool) -> int:
    """Returns the exit code of a verb that was asked for a verdict."""
    return 0 if verdict else GateFailed.exit_code


def fail_on(*kinds: str, help: str) -> Callable[[F], F]:
    """Adds the option `--fail-on`, which takes these kinds: repeated, or separated by commas.

    help: when it exits with 100.
    """

    def checked(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
        wanted = [word.strip() for text in value for word in text.split(",")]
        for word in wanted:
            if word not in kinds:
                raise click.BadParameter(f"{ctx.command_path} cannot fail on {word!r}; write {' or '.join(kinds)}", ctx, param)
        return tuple(dict.fromkeys(wanted))

    return click.option("--fail-on", multiple=True, metavar="|".join(kinds), callback=checked, help=f"Exit code 100 {help}")


def failed(wanted: Sequence[str], found: Iterable[Failure]) -> int:
    """Returns 100 and prints why, if something happened that `--fail-on` names.

    Returns 0 otherwise.
    """
    mine = [failure for failure in found if failure.kind in wanted]
    if mine:
        from selfopt.home import escape_control

        more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
        print(f"selfopt: --fail-on {mine[0].kind}: {escape_control(mine[0].why, 500)}{more}", file=sys.stderr, flush=True)
    return says(not mine)
