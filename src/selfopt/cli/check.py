"""`selfopt check [FILE]`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    LiveLine,
    answer,
    cap_options,
    console,
    counted,
    draw,
    emit,
    executor_option,
    json_option,
    limits_of,
    no_commands,
    open_app,
    progress_option,
    run_with_app,
    say,
    short_id,
)
from .exit_codes import says
from .faults import fault_of

if TYPE_CHECKING:
    from selfopt.records import Check
    from selfopt.verbs.check_outputs import CheckOutputs
    from selfopt.verbs.opening import App


DEFAULT_FILE = "selfopt.check.yaml"


class _Check(click.Command):
    """Tells of a cap that is no number, too, in the reports that were asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError:
            # What was not reached yet is a mark of click's, not None.
            named = {name: value for name, value in ctx.params.items() if isinstance(value, Path)}
            file = named.get("file") or Path(DEFAULT_FILE)
            with _told_without_verdict(file, named.get("junit"), named.get("markdown"), to_stderr=True):
                raise


@click.command("check", cls=_Check)
@click.argument("file", required=False, default=DEFAULT_FILE, is_eager=True, type=click.Path(path_type=Path))
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Measure what FILE describes, often enough to be compared with, and write it as a recorded state. It passes or fails nothing.",
)
@click.option(
    "--new", is_flag=True, help="Write a commented FILE to start with, for the models and suites at hand. Nothing is asked."
)
@click.option("--list", "listed", is_flag=True, help="List the checks that are over, the newest first. FILE is not read.")
@click.option("--runs", metavar="N", type=click.IntRange(7, 1000), help="With --record: how many complete runs [all it takes].")
@click.option(
    "--junit",
    metavar="FILE",
    is_eager=True,
    type=click.Path(path_type=Path),
    help="Also write JUnit XML, for a build's test report.",
)
@click.option(
    "--markdown", metavar="FILE", is_eager=True, type=click.Path(path_type=Path), help="Also write a summary for a pull request."
)
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on with an interrupted check.")
@cap_options
@executor_option
@progress_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path,
    junit: Path | None,
    markdown: Path | None,
    record: Path | None,
    runs: int | None,
    fresh: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Check a model and variant against what FILE asks for, and say whether the build passes.

    FILE is YAML: a suite, a model, a variant or the rule in force, and a baseline, thresholds or
    prompts that must pass. It asks only as often as it takes to be sure. Exit code 100 when the
    check fails, or is undecided and the file counts that as a failure.

    In a step of GitHub's workflows it also writes annotations, and adds to the step's summary.

    \b
    selfopt check --new
    selfopt check
    selfopt check --junit selfopt.xml --markdown selfopt.md
    selfopt check --record state.json
    """
    new, listed, settings = flags.pop("new"), flags.pop("listed"), limits_of(flags)
    given = {"--fresh": fresh, "--junit": junit, "--markdown": markdown, "--runs": runs}
    _require_one_way(ctx, {"--new": new, "--list": listed, "--record": record}, given)
    if new or listed:
        return _new(ctx, file, settings, as_json=as_json) if new else _list(ctx, as_json=as_json)
    with LiveLine(enabled=not as_json) as live:
        if record is not None:
            return _record(ctx, file, record, runs, settings, live, as_json=as_json)

        async def checked(app: App) -> tuple[Check, tuple[str, ...]]:
            from selfopt.verbs.check_outputs import write_check_outputs
            from selfopt.verbs.checking import CheckRequest, run_check

            found = await run_check(app, CheckRequest(file, fresh), live)
            return found, write_check_outputs(app, found, outputs)

        with _told_without_verdict(file, junit, markdown, to_stderr=as_json) as outputs:
            outputs.require(file)
            outputs.clear()
            check, annotations = run_with_app(ctx, checked, settings)
        live.clear()
    if as_json:
        for line in annotations:
            click.echo(line, err=True)
        emit(check)
        return says(check.passes)
    from selfopt.report.check_page import check_page

    out = console()
    for line in annotations:
        click.echo(line)
    with no_commands():
        draw(out, check_page(check, width=out.width))
    return says(check.passes)


def _require_one_way(ctx: click.Context, ways: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises a UsageError for options that mean nothing together. ways: what it does in place of checking."""
    chosen = [name for name, value in ways.items() if value]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)}: choose one", ctx)
    way = chosen[0] if chosen else ""
    fitting = {"": ("--fresh", "--junit", "--markdown"), "--record": ("--fresh", "--runs")}.get(way, ())
    wrong = next((name for name, value in given.items() if value not in (None, False) and name not in fitting), None)
    if wrong == "--runs":
        raise click.UsageError("--runs is for --record", ctx)
    if wrong is not None:
        raise click.UsageError(f"{way} comes to no verdict, so there is nothing for {wrong}", ctx)


@contextmanager
def _told_without_verdict(file: Path, junit: Path | None, markdown: Path | None, *, to_stderr: bool) -> Iterator[CheckOutputs]:
    """Says in the reports why the block came to no verdict, if it does not end well. Then the error goes on."""
    from selfopt.verbs.check_outputs import CheckOutputs, write_unjudged

    outputs = CheckOutputs(junit, markdown)
    try:
        yield outputs
    except (Exception, KeyboardInterrupt) as error:
        for line in write_unjudged(outputs, os.environ, file, *fault_of(error)):
            click.echo(line, err=to_stderr)
        raise


def _record(
    ctx: click.Context, file: Path, record: Path, runs: int | None, settings: dict[str, Any], live: LiveLine, *, as_json: bool
) -> int:
    from selfopt.home import counted
    from selfopt.verbs.check_recording import record_state

    state = run_with_app(ctx, lambda app: record_state(app, file, record, live, runs=runs), settings)
    live.clear()
    if as_json:
        emit(state)
        return 0
    how_often = "exact" if state.exact else f"{len(state.rows[0].outcomes)} runs"
    prompts = counted(len(state.rows), "prompt")
    say(console(), f"written: {record} ({state.model} {state.variant}, {prompts}, {how_often}, {state.evaluation_id})")
    return 0


def _new(ctx: click.Context, file: Path, settings: dict[str, Any], *, as_json: bool) -> int:
    from selfopt.verbs.check_starting import new_check_file

    made = run_with_app(ctx, lambda app: new_check_file(app, file), settings)
    argument = "" if str(file) == DEFAULT_FILE else f" {file}"
    lines = [f"written: {file} (suite {made.suite}, model {made.model}, variant {made.variant})"]
    if not made.model_found:
        lines.append(f"  no model was found here: put the name of yours into {file}")
    lines += [f"  check it:    selfopt check{argument}", f"  record it:   selfopt check{argument} --record state.json"]
    answer(made, lines, as_json=as_json)
    return 0


def _list(ctx: click.Context, *, as_json: bool) -> int:
    from selfopt.verbs.check_listing import finished_checks

    checks = finished_checks(open_app(ctx))
    lines = (
        f"{one.at[:16].replace('T', ' ')}  {short_id(one.check_id)}  {one.verdict:9} {one.model} {one.variant}, {one.suite}"
        f"{f', before: {one.before}' if one.before else ''} ({counted(one.trials, 'trial')})"
        for one in checks
    )
    answer(checks, lines, as_json=as_json, hang=18, empty="no check is over in this home; selfopt check makes one")
    return 0
