"""`variants`: lists and renders the built-in variants and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfopt.records import Message, Variant
from selfopt.variants import render
from selfopt.wiring.app import App

from .tools import Tools, given_tools


def list_variants(app: App) -> Mapping[str, Variant]:
    """Return all variants by name."""
    return app.variants


def one_variant(app: App, name: str) -> Variant:
    """Return a variant by name. VariantError lists the known ones."""
    return app.variant(name)


def render_variant(app: App, variant: str, tools: Tools, prompt: str) -> list[dict[str, Any]]:
    """Return the first request that a variant makes of a prompt, without sending it."""
    chosen = app.variant(variant)
    steps = render(chosen, (Message(role="user", content=prompt),), given_tools(tools))
    first = next(steps)
    steps.close()
    return [
        {
            "step": first.step,
            "messages": first.messages,
            "tools": first.tools,
            "constraint": first.constraint,
            "sampling": first.sampling,
        }
    ]
