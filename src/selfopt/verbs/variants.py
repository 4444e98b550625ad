"""`variants`: lists and renders the built-in variants and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfopt.records import Message, ReplyContent, Variant
from selfopt.variants import options_of, render
from selfopt.variants.present import describe_tools
from selfopt.variants.render import lean_tools
from selfopt.variants.rendering import left_free
from selfopt.wiring.app import App

from .tools import Tools, given_tools


def list_variants(app: App) -> Mapping[str, Variant]:
    """Return all variants by name."""
    return app.variants


def one_variant(app: App, name: str) -> Variant:
    """Return a variant by name. VariantError lists the known ones."""
    return app.variant(name)


def render_variant(app: App, variant: str, tools: Tools, prompt: str) -> list[dict[str, Any]]:
    """Return the requests that a variant makes of a prompt, without sending them.

    A variant that chooses first is shown with the request for the arguments of the first tool.
    Where the prompt tells of tools in words, `signatures` has these; `left_free` has what a limit
    on the arguments leaves freer than the tools' schemas.
    """
    chosen, offered = app.variant(variant), given_tools(tools)
    steps = render(chosen, (Message(role="user", content=prompt),), offered)
    shown = [next(steps)]
    if chosen.steps == "choose_then_fill" and offered:
        shown.append(steps.send(ReplyContent(text=offered[0].name)))
    steps.close()
    options = options_of(chosen)
    told = (chosen.tools == "system_prompt" or chosen.steps != "single") and options.tool_style != "json"
    words = describe_tools(lean_tools(offered) if options.lean else offered, options.tool_style).splitlines() if told else []
    return [
        {
            "step": step.step,
            "messages": step.messages,
            "tools": step.tools,
            "constraint": step.constraint,
            "sampling": step.sampling,
            "signatures": words,
            "left_free": left_free(chosen, offered),
        }
        for step in shown
    ]
