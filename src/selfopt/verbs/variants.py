"""`variants`: lists and renders the built-in variants and the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfopt.records import LogProbs, Message, ReplyContent, ToolDefinition, Variant
from selfopt.records.trial import EMBED_STEP
from selfopt.variants import RenderedStep, options_of, render
from selfopt.variants.present import describe_tools
from selfopt.variants.render import lean_tools
from selfopt.variants.rendering import left_free
from selfopt.wiring.app import App

from .tools import Tools, given_tools

if TYPE_CHECKING:
    from selfopt.variants.part import VariantPart

__all__ = ["VariantDifference", "VariantPart", "diff_variants", "list_parts", "list_variants", "one_variant", "render_variant"]


@dataclass(frozen=True, slots=True)
class VariantDifference:
    """A field in which two variants differ.

    Attributes:
        field: its name, such as `options.lean`.
        one: its value in the first variant; None where it is not set.
        other: its value in the second variant.
    """

    field: str
    one: Any
    other: Any


def list_variants(app: App) -> Mapping[str, Variant]:
    """Return all variants by name."""
    return app.variants


def one_variant(app: App, name: str) -> Variant:
    """Return a variant by name or point. VariantError lists the known ones."""
    return app.variant(name)


def list_parts() -> Sequence[VariantPart]:
    """Return the parts that points are put together from, each with its choices."""
    from selfopt.variants.space import PARTS

    return PARTS


def diff_variants(app: App, one: str, other: str) -> list[VariantDifference]:
    """Return what differs between two variants, apart from their names and titles."""
    contents = [_content(app.variant(name)) for name in (one, other)]
    fields = dict.fromkeys(field for content in contents for field in content)
    values = [(field, contents[0].get(field), contents[1].get(field)) for field in fields]
    return [VariantDifference(*each) for each in values if each[1] != each[2]]


def _content(variant: Variant) -> dict[str, Any]:
    fields = variant.model_dump(mode="json", exclude={"name", "title"}, exclude_none=True)
    for nested in ("options", "sampling"):
        fields |= {f"{nested}.{key}": value for key, value in fields.pop(nested).items()}
    return fields


def _for_a_call(step: RenderedStep, offered: Sequence[ToolDefinition]) -> ReplyContent:
    """A reply to a question that comes first, of a model that is sure of a call, and not without content."""
    words = ("yes",) if step.step.startswith("decide") else ("{", (step.tools or offered)[0].name)
    values = (-5.0 if step.blank else 0.0,) * len(words)
    sure = LogProbs(
        tokens=words, logprobs=values, top_tokens=tuple((word,) for word in words), top_logprobs=tuple((one,) for one in values)
    )
    return ReplyContent(text="".join(words), logprobs=sure)


def render_variant(app: App, variant: str, tools: Tools, prompt: str) -> list[dict[str, Any]]:
    """Return the requests that a variant makes of a prompt, without sending them.

    A variant that chooses first is shown with the request for the arguments of the first tool, and
    one that decides or picks first with all that follows where a call is needed: of the first tool. Where
    an embedding model says which tools are shown, its texts come first, and then the request with the tools
    that words would choose.
    Where the prompt tells of tools in words, `signatures` has these; `left_free` has what a limit
    on the arguments leaves freer than the tools' schemas.
    """
    chosen, offered = app.variant(variant), given_tools(tools)
    steps = render(chosen, (Message(role="user", content=prompt),), offered, embeds=True)
    shown = [next(steps)]
    if shown[0].step == EMBED_STEP:
        shown.append(steps.send(ReplyContent()))
    if chosen.steps == "choose_then_fill" and offered:
        shown.append(steps.send(ReplyContent(text=offered[0].name)))
    while shown[-1].logprobs is not None:
        shown.append(steps.send(_for_a_call(shown[-1], offered)))
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
