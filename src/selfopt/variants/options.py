"""The finer choices of a variant, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import VariantError
from selfopt.records import Variant

__all__ = ["VariantOptions", "options_of"]


class VariantOptions(BaseModel):
    """What `Variant.options` may hold.

    tool_style: how a tool is written in a prompt, as a call with argument names only (brief), a
    signature with types and descriptions, or compact JSON. layout: `system` puts tools and
    examples into the system prompt; `turn` repeats the tools in the user turn, and each example is a turn of its own with
    its own tools. max_calls: how many calls one reply may hold under a constraint. ground: leave out
    optional arguments, and calls with required ones, that nothing in the conversation backs (see `ground.ground_calls`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool_style: Literal["brief", "signature", "json"] = "json"
    layout: Literal["system", "turn"] = "system"
    max_calls: int = Field(default=3, ge=1, le=8)
    ground: bool = False


def options_of(variant: Variant) -> VariantOptions:
    """The checked options of a variant. VariantError names what is unknown or out of range."""
    try:
        return VariantOptions.model_validate(variant.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        allowed = ", ".join(VariantOptions.model_fields)
        message = f"variant {variant.name!r}: option {where!r}: {first['msg']}; options are {allowed}"
        raise VariantError(message) from None
