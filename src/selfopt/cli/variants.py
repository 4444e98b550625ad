"""`selfopt variants list | show | render`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import console, emit, json_option, open_app


@click.group("variants")
def command() -> None:
    """List, show and render variants."""


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """Every variant of the catalogue and of your own file."""
    variants = open_app(ctx).variants
    if as_json:
        emit(
            [{"name": v.name, "title": v.title, "variant_hash": v.variant_hash, "parsers": v.parsers} for v in variants.values()]
        )
        return
    for variant in variants.values():
        print(f"{variant.name:22} {variant.title}")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """The whole content of variant NAME."""
    variant = open_app(ctx).variant(name)
    if as_json:
        emit(variant)
        return
    out = console()
    for field, value in variant.model_dump(mode="json").items():
        if value not in ("", (), [], {}, None):
            out.print(f"{field}: {value}", markup=False)
    out.print(f"variant_hash: {variant.variant_hash}", markup=False)


@command.command("render")
@click.argument("name")
@click.argument("prompt")
@click.option("--tools", "tools_file", type=click.Path(path_type=Path), required=True, help="JSON file with a list of tools.")
@json_option
@click.pass_context
def render(ctx: click.Context, /, name: str, prompt: str, tools_file: Path, as_json: bool) -> None:
    """What variant NAME would send for PROMPT; nobody is asked."""
    from selfopt.app import load_tools, render_variant
    from selfopt.report import safe_terminal

    steps = render_variant(open_app(ctx), name, load_tools(tools_file), prompt)
    if as_json:
        emit(steps)
        return
    out = console()
    for step in steps:
        out.print(f"-- step {step['step']}", style="cyan", markup=False)
        for message in step["messages"]:
            out.print(f"[{message.role}]", style="bold", markup=False)
            out.print(safe_terminal(message.content, limit=20_000), markup=False, soft_wrap=True)
        out.print(f"native tools: {', '.join(t.name for t in step['tools']) or 'none'}", markup=False)
        if step["constraint"] is not None:
            out.print(
                safe_terminal(step["constraint"].grammar or str(step["constraint"].json_schema), limit=20_000),
                markup=False,
                soft_wrap=True,
            )
