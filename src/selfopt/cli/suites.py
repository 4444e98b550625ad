"""`selfopt suites list | show`; the other verbs have files of their own."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app, say
from .suites_add import command as add_from_ledger
from .suites_import import group as import_
from .suites_new import command as new
from .suites_pull import pull
from .suites_validate import command as validate


@click.group("suites")
def command() -> None:
    """List, show, check and make suites."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """The built-in suites, and your own in the home's folder `suites`."""
    from selfopt.verbs.suites import suite_summaries

    rows = suite_summaries(open_app(ctx))
    if as_json:
        emit(rows)
        return
    out = console()
    for row in rows:
        if "problem" in row:
            say(out, f"{row['name']:27} not usable: {row['problem']}", hang=28)
        else:
            say(out, f"{row['name']:27} {row['phase']:9} {row['prompts']:4} prompts  {row['title']}", hang=52)


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """The prompts of suite NAME (or a file), and why they expect what."""
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
        for tool in tools:
            say(out, tool_text(tool), indent=4, hang=6)
    for prompt in suite.prompts:
        out.print()
        say(out, f"{prompt.id}  {prompt.kind}, split {prompt.split}, tools {prompt.tool_set}", style="bold")
        for message in prompt.messages:
            calls = "".join(f" [calls {call_text(call)}]" for call in message.tool_calls)
            say(out, f"{message.role}: {message.content}{calls}", indent=4, hang=6)
        for line in expected_text(prompt.expected):
            say(out, f"expected: {line}", indent=4, hang=6)
        if prompt.reason:
            say(out, prompt.reason, indent=4, hang=4, style="dim")


command.add_command(validate)
command.add_command(new)
command.add_command(add_from_ledger)
command.add_command(import_)
command.add_command(pull)
