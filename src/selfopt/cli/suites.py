"""`selfopt suites`. Its commands `import` and `pull` are in suites_import.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from .common import (
    CommandGroup,
    answer,
    console,
    counted,
    emit,
    json_option,
    open_app,
    run_with_app,
    say,
    say_each,
    say_some,
    short_id,
)
from .exit_codes import says
from .suites_import import PATH, PHASES, import_, pull, tell_made, tools_options


@click.group("suites", cls=CommandGroup)
def command() -> None:
    """List, show, check and make suites."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """List the built-in suites and your own.

    Your own are in the home's folder `suites`.
    """
    from selfopt.verbs.suites import suite_summaries

    rows = suite_summaries(open_app(ctx))
    if as_json:
        emit(rows)
        return
    for row in rows:
        if "problem" in row:
            say(console(), f"{row['name']:27} not usable: {row['problem']}", hang=28)
        else:
            sort = "synthetic prompts" if "synthetic" in row else "prompts"
            say(console(), f"{row['name']:27} {row['phase']:9} {row['prompts']:4} {sort}  {row['title']}", hang=52)


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """Show the prompts of a suite.

    That is what each asks, what it expects and why. NAME may be a file.
    """
    from selfopt.verbs.suites import one_suite, suite_document
    from selfopt.words.calls import call_text, expected_text, tool_text

    app = open_app(ctx)
    if as_json:
        emit(suite_document(app, name))
        return
    out = console()
    suite = one_suite(app, name)
    say(out, f"{suite.name} ({suite.phase}, scope {suite.scope}): {suite.title}", style="bold")
    for tool_set, tools in suite.tool_sets.items():
        out.print()
        say(out, f"tools {tool_set}", style="bold")
        say_each(out, map(tool_text, tools), indent=4, hang=6)
    for prompt in suite.prompts:
        out.print()
        say(out, f"{prompt.id}  {prompt.kind}, split {prompt.split}, tools {prompt.tool_set}", style="bold")
        for message in prompt.messages:
            calls = "".join(f" [calls {call_text(call)}]" for call in message.tool_calls)
            say(out, f"{message.role}: {message.content}{calls}", indent=4, hang=6)
        say_each(out, (f"expected: {line}" for line in expected_text(prompt.expected)), indent=4, hang=6)
        if prompt.reason:
            say(out, prompt.reason, indent=4, hang=4, style="dim")


@command.command("export")
@click.argument("name")
@click.argument("out", type=PATH, metavar="DIR|FILE")
@click.option("--format", "form", type=click.Choice(["hf", "jsonl"]), help="Default: jsonl for a FILE.jsonl, else hf.")
@click.option("--replace", is_flag=True, help="Replace what is there.")
@json_option
@click.pass_context
def export(
    ctx: click.Context, /, name: str, out: Path, form: Literal["hf", "jsonl"] | None, replace: bool, as_json: bool
) -> None:
    """Write a suite for other programs. NAME may be a file.

    hf is a folder that `datasets.load_dataset` reads, with a file for each split. jsonl is one file, which
    `suites import jsonl` reads again.
    """
    from selfopt.verbs.suites import export_suite

    chosen = form or ("jsonl" if out.suffix == ".jsonl" else "hf")
    written = export_suite(open_app(ctx), name, chosen, out, replace=replace)
    answer(written, (f"written: {path}" for path in written), as_json=as_json)


@command.command("validate")
@click.argument("names", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Exit code 100 when there are warnings.")
@json_option
@click.pass_context
def validate(ctx: click.Context, /, names: tuple[str, ...], strict: bool, as_json: bool) -> int:
    """Check suites (names or files). Errors make a suite unusable (exit code 1); warnings say why
    its figures may be worth less.

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
            counts = {"error": len(check.errors), "warning": len(check.warnings)}
            say(out, f"{name}: {', '.join(counted(n, noun) for noun, n in counts.items() if n) or 'ok'}")
            say_some(out, [f"error: {problem}" for problem in check.errors])
            say_some(out, [f"warning {warning.code}: {warning.message}" for warning in check.warnings])
    if any(check.errors for check in found.values()):
        return 1
    return says(not (strict and any(check.warnings for check in found.values())))


@command.command("new")
@click.argument("name")
@click.option("--phase", type=PHASES, default="atomic", show_default=True, help="Kind of work.")
@click.option("--to", type=PATH, help="Write this .yaml file instead of one in the home's folder `suites`.")
@tools_options
@json_option
@click.pass_context
def new(
    ctx: click.Context,
    /,
    name: str,
    phase: Literal["atomic", "extended"],
    to: Path | None,
    tools: str | None,
    tools_timeout_s: float | None,
    as_json: bool,
) -> None:
    """Write a valid, commented suite NAME to begin with. Nothing is ever overwritten.

    With --tools it offers these tools instead of the example's.
    """
    from selfopt.verbs.making import new_suite

    tell_made(run_with_app(ctx, lambda app: new_suite(app, name, phase, tools, to, tools_timeout_s)), as_json=as_json)


@command.command("add-from-ledger")
@click.argument("trials", nargs=-1, required=True, metavar="TRIAL...")
@click.option(
    "--to", required=True, metavar="FILE|NAME", help="The suite to add to: a file (made when it is not there), or one of yours."
)
@click.option("--suite", help="The file of the trials' suite, if the settings do not name it.")
@json_option
@click.pass_context
def add_from_ledger(ctx: click.Context, /, trials: tuple[str, ...], to: str, suite: str | None, as_json: bool) -> None:
    """Turn failed trials into prompts for review. All are added or none. The file keeps its
    comments and layout.

    A prompt expects what its suite expects, or what the model called if the suite is not at hand.
    Its reason begins with "review:".
    """
    from selfopt.verbs.reviewing import add_from_ledger as added_from_ledger

    added = added_from_ledger(open_app(ctx), trials, to, suite)
    lines = [f"trial {short_id(trial_id)} is prompt {prompt_id}" for trial_id, prompt_id in added.prompts.items()]
    lines.append(f"{'written to' if added.created else 'added to'} {added.path}")
    answer(added, [*lines, f"  review them:  selfopt suites show {added.path}"], as_json=as_json)


command.add_command(import_)
command.add_command(pull)
