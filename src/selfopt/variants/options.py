"""The finer choices of a variant, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import VariantError
from selfopt.reading.chain import chain_of
from selfopt.records import Variant, remembered


class VariantOptions(BaseModel):
    """What `Variant.options` may hold.

    tool_style: how a tool is written in a prompt, as a call with argument names only (brief), a
    signature with types and descriptions, or compact JSON. layout: `system` puts tools and
    examples into the system prompt; `turn` repeats the tools in the user turn, and each example is a turn of its own with
    its own tools. choice: whether the first question of choose_then_fill and choose_then_answer lists the tools, or leaves them to the limit on the
    answer (`named`, for tools whose names say what they do: shorter, and a small model can't favour the first in a list);
    it needs layout `turn`. max_calls: how many calls one reply may hold under a constraint. lean: optional arguments are neither shown nor
    allowed. copy_text: in choose_then_fill under a grammar, a free text argument is a run of words of the conversation.
    agree: in choose_then_answer, calls of tools that were not chosen are left out. ground: leave out optional arguments, and calls with
    required ones, that nothing in the conversation backs (see `ground.ground_calls`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool_style: Literal["brief", "signature", "json"] = "json"
    layout: Literal["system", "turn"] = "system"
    choice: Literal["listed", "named"] = "listed"
    max_calls: int = Field(default=3, ge=1, le=8)
    ground: bool = False
    lean: bool = False
    copy_text: bool = False
    agree: bool = False


@remembered
def options_of(variant: Variant) -> VariantOptions:
    """The checked options of a variant, and its chain checked. VariantError names what is unknown or out of range."""
    try:
        chain_of(variant.parsers)
    except VariantError as error:
        raise VariantError(f"variant {variant.name!r}: {error}") from None
    try:
        options = VariantOptions.model_validate(variant.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        allowed = ", ".join(VariantOptions.model_fields)
        message = f"variant {variant.name!r}: option {where!r}: {first['msg']}; options are {allowed}"
        raise VariantError(message) from None
    if options.choice == "named" and (options.layout != "turn" or variant.steps == "single"):
        raise VariantError(f"variant {variant.name!r}: option 'choice: named' needs layout 'turn' and steps that choose first")
    if options.agree and variant.steps != "choose_then_answer":
        raise VariantError(f"variant {variant.name!r}: option 'agree' needs steps 'choose_then_answer'")
    return options
