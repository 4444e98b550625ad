"""`selfopt suites validate NAME...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import console, emit, json_option, open_app, say, say_some
from .exit_codes import says

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.verbs.suites import SuiteCheck


@click.command("validate")
@click.argument("names", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Exit code 100 when there are warnings.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, names: tuple[str, ...], strict: bool, as_json: bool) -> int:
    """Check suites (names or files): errors make one unusable (exit code 1), warnings say why its figures may be worth less.

    docs/SUITES.md explains the codes of the warnings.
    """
    from selfopt.verbs.suites import check_suite

    app = open_app(ctx)
    found = {name: check_suite(app, name) for name in names}
    if as_json:
        emit(found)
    else:
        out = console()
        for name, check in found.items():
            _show(out, name, check)
    if any(check.errors for check in found.values()):
        return 1
    return says(not (strict and any(check.warnings for check in found.values())))


def _show(out: Console, name: str, check: SuiteCheck) -> None:
    counts = [_count(len(check.errors), "error"), _count(len(check.warnings), "warning")]
    say(out, f"{name}: {', '.join(c for c in counts if c) or 'ok'}")
    say_some(out, [f"error: {problem}" for problem in check.errors])
    say_some(out, [f"warning {warning.code}: {warning.message}" for warning in check.warnings])


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}" if n else ""
