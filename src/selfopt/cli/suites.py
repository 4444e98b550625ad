"""`selfopt suites list | show | validate`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app


@click.group("suites")
def command() -> None:
    """List, show and validate suites."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Built-in suites."""
    from selfopt.app import suite_summaries

    rows = suite_summaries()
    if as_json:
        emit(rows)
        return
    for row in rows:
        print(f"{row['name']:12} {row['phase']:9} {row['prompts']:4} prompts  scope {row['scope']}  {row['title']}")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """The prompts of suite NAME (or a file), with what is expected and why."""
    from selfopt.app import suite_document
    from selfopt.report import safe_terminal

    document = suite_document(open_app(ctx), name)
    if as_json:
        emit(document)
        return
    out = console()
    out.print(f"{document['name']} ({document['phase']}, scope {document['scope']})", style="bold", markup=False)
    for prompt in document["prompts"]:
        out.print(safe_terminal(f"{prompt['id']}  {prompt['kind']}: {prompt['messages'][-1]['content']}"), markup=False)
        out.print(safe_terminal(f"     expected {prompt['expected']}  ({prompt['reason']})"), markup=False)


@command.command("validate")
@click.argument("names", nargs=-1, required=True)
@json_option
@click.pass_context
def validate(ctx: click.Context, /, names: tuple[str, ...], as_json: bool) -> int:
    """Check suites (names or files). Exit code 2 for a file that cannot be loaded, 1 for problems."""
    from selfopt.app import suite_problems

    app = open_app(ctx)
    found = {name: suite_problems(app, name) for name in names}
    if as_json:
        emit(found)
    else:
        for name, problems in found.items():
            print(f"{name}: {'ok' if not problems else f'{len(problems)} problem(s)'}")
            for problem in problems:
                print(f"  {problem}")
    return 1 if any(found.values()) else 0
