"""`selfopt variants list | show | render`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import block, console, emit, json_option, open_app, say


@click.group("variants")
def command() -> None:
    """List, show and render variants."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """Every variant of the catalogue and of your own file."""
    from selfopt.verbs.variants import list_variants

    variants = list_variants(open_app(ctx))
    if as_json:
        emit(
            [{"name": v.name, "title": v.title, "variant_hash": v.variant_hash, "parsers": v.parsers} for v in variants.values()]
        )
        return
    out = console()
    width = max(map(len, variants))
    for variant in variants.values():
        say(out, f"{variant.name:{width}}  {variant.title}", hang=width + 2)


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """The whole content of variant NAME."""
    from selfopt.verbs.variants import one_variant
    from selfopt.words.calls import variant_lines

    variant = one_variant(open_app(ctx), name)
    if as_json:
        emit(variant)
        return
    out = console()
    for line in variant_lines(variant):
        say(out, line, hang=4)


@command.command("render")
@click.argument("name")
@click.argument("prompt")
@click.option("--tools", "tools_file", type=click.Path(path_type=Path), required=True, help="JSON file with a list of tools.")
@json_option
@click.pass_context
def render(ctx: click.Context, /, name: str, prompt: str, tools_file: Path, as_json: bool) -> None:
    """What variant NAME would send for PROMPT; nobody is asked."""
    from selfopt.verbs.variants import render_variant

    steps = render_variant(open_app(ctx), name, tools_file, prompt)
    if as_json:
        emit(steps)
        return
    out = console()
    for step in steps:
        say(out, f"-- step {step['step']}", style="bold blue")
        for message in step["messages"]:
            say(out, f"[{message.role}]", style="bold")
            block(out, message.content)
        say(out, f"native tools: {', '.join(t.name for t in step['tools']) or 'none'}")
        if step["constraint"] is not None:
            say(out, f"-- output limited by a {step['constraint'].kind.replace('_', ' ')}", style="bold blue")
            block(out, step["constraint"].grammar or str(step["constraint"].json_schema))
