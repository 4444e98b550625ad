"""`selfopt variants list | parts | show | diff | render`."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from .common import HEADING, CommandGroup, answer, block, console, emit, json_option, open_app, say


@click.group("variants", cls=CommandGroup)
def command() -> None:
    """List, show, compare and render variants.

    NAME is one of the list, or a point: parts in quotes, such as "tools=signatures backing=strict".
    """


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """List the variants of the catalogue and of your own file."""
    from selfopt.verbs.variants import list_variants

    variants = list_variants(open_app(ctx))
    rows = [{key: getattr(v, key) for key in ("name", "title", "variant_hash", "parsers")} for v in variants.values()]
    width = max(map(len, variants))
    lines = (f"{variant.name:{width}}  {variant.title}" for variant in variants.values())
    answer(rows, lines, as_json=as_json, hang=width + 2)


@command.command("parts")
@json_option
def parts(as_json: bool) -> None:
    """List the parts of points and their choices.

    The first choice is the default. (+2): a prompt may take up to two requests more.
    """
    from selfopt.verbs.variants import list_parts

    rows = [
        {
            "name": part.name,
            "title": part.title,
            "reads": part.reads,
            "phases": sorted(part.phases),
            "choices": [
                {
                    "name": c.name,
                    "title": c.title,
                    "needs": sorted(c.needs),
                    "requests": c.requests,
                    "phases": sorted(c.phases & part.phases),
                }
                for c in part.choices
            ],
        }
        for part in list_parts()
    ]
    lines = (
        line
        for part in list_parts()
        for line in (
            f"{part.name}: {part.title}{', judged on stored replies' if part.reads else ''}{_only(part.phases)}",
            *(
                f"  {c.name:20}{c.title}{_more(c.requests)}{_only(c.phases) if c.phases < part.phases else ''}"
                for c in part.choices
            ),
        )
    )
    answer(rows, lines, as_json=as_json, hang=22)


def _more(requests: int) -> str:
    return f" (+{requests})" if requests else ""


def _only(phases: Collection[str]) -> str:
    return "" if len(phases) > 1 else f"; only {' '.join(phases)}"


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """Show the whole content of variant NAME."""
    from selfopt.verbs.variants import one_variant
    from selfopt.words.calls import variant_lines

    variant = one_variant(open_app(ctx), name)
    answer(variant, variant_lines(variant), as_json=as_json, hang=4)


@command.command("diff")
@click.argument("one", metavar="NAME")
@click.argument("other", metavar="NAME")
@json_option
@click.pass_context
def diff(ctx: click.Context, /, one: str, other: str, as_json: bool) -> None:
    """Show in which fields two variants differ."""
    from selfopt.verbs.variants import diff_variants

    found = diff_variants(open_app(ctx), one, other)
    lines = (f"{each.field}: {_shown(each.one)} -> {_shown(each.other)}" for each in found)
    same = "They have the same content."
    answer(found, lines if found else (same,), as_json=as_json, hang=4)


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def _known(ctx: click.Context, _: click.Parameter, name: str) -> str:
    """Refuses an unknown variant before anything else is asked for."""
    from selfopt.verbs.variants import one_variant

    if not ctx.resilient_parsing:
        one_variant(open_app(ctx), name)
    return name


@command.command("render")
@click.argument("name", is_eager=True, callback=_known)
@click.argument("prompt")
@click.option("--tools", "tools_file", type=click.Path(path_type=Path), required=True, help="JSON file with a list of tools.")
@json_option
@click.pass_context
def render(ctx: click.Context, /, name: str, prompt: str, tools_file: Path, as_json: bool) -> None:
    """Show what variant NAME would send for PROMPT, without sending it.

    That is its messages, how tokens are drawn, the limit on the reply, and what this limit leaves freer than the
    tools' schemas.
    """
    from selfopt.verbs.variants import render_variant
    from selfopt.words.calls import sampling_text
    from selfopt.words.limits import left_free_lines

    steps = render_variant(open_app(ctx), name, tools_file, prompt)
    if as_json:
        emit(steps)
        return
    out = console()
    for step in steps:
        say(out, f"-- step {step['step']}", style=HEADING)
        for message in step["messages"]:
            say(out, f"[{message.role}]", style="bold")
            block(out, message.content)
        say(out, f"native tools: {', '.join(t.name for t in step['tools']) or 'none'}")
        say(out, f"sampling: {sampling_text(step['sampling'])}")
        if step["constraint"] is not None:
            found = step["constraint"]
            title = f"output limited by a {found.kind.replace('_', ' ')}"
            block(out, found.grammar or json.dumps(found.json_schema, ensure_ascii=False, indent=1), title=title)
    for heading, lines in (
        ("tools in words", steps[0]["signatures"]),
        ("left free by the limit", left_free_lines(steps[0]["left_free"])),
    ):
        if lines:
            say(out, f"-- {heading}", style=HEADING)
            block(out, "\n".join(lines))
