"""The options of a variant, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import VariantError
from selfopt.reading.chain import chain_of, needs_logprobs
from selfopt.records import ChainName, Variant, remembered


class VariantOptions(BaseModel):
    """What `Variant.options` may hold.

    Attributes:
        tool_style: how a prompt shows a tool: with the names of its arguments (`brief`), with their
            types and descriptions (`signature`), or as compact JSON.
        layout: `system` puts tools and examples into the system prompt. `turn` repeats the tools in
            the user turn, and each example is a turn with tools of its own.
        choice: whether the first question of choose_then_fill and choose_then_answer lists the
            tools. With `named` only the constraint on the answer has their names: the prompt is
            shorter, and a small model can't favour the first of a list. Needs layout `turn`.
        max_calls: how many calls a constraint allows in one reply.
        ground: whether to remove what the conversation does not back (see `ground.ground_calls`).
        lean: whether optional arguments are neither shown nor allowed.
        copy_text: whether a free text argument has to be a run of words from the conversation.
            Applies to choose_then_fill under a grammar.
        agree: whether choose_then_answer removes calls of tools that were not chosen.
        digest: what `state_digest` tells: with `talk` also everything that the user said, and what the
            model answered last.
        turns: whether the model sees the conversation, or its part from the user's last request on.
        results: how the model is shown a tool's result that is JSON: as it came, as lines of keys
            and values, or without the fields that hold nothing. Calls are read against the whole.
        after_result: `answer`: where the conversation ends with a tool's result, the model is told to
            answer, and to call a tool only for what is still missing. Not where a call is demanded.
        keep_tools: how many tools are shown: those that have most in common with the request,
            and those that the conversation has called. A call of another tool that the client
            offers counts all the same. None: all.
        tools_by: what chooses these tools: the words of the request, its meaning, as an embedding
            model sees it, or both together.
        embedding: full name of that model. The settings fill it in, and name no other.
        examples_by: which worked examples are shown. `set`: those of the variant. `similarity`:
            three of these, the most similar to the request last. `own_tools`: in their place, those
            made from the tools of the request (see `own_examples`).
        decide: ask first whether a call is needed, and call nothing where the log odds of yes, less
            those for a request without content, are below this many nats. Not where a call is
            demanded. None: don't ask.
        pick: ask first which tool is needed, or none, and show only the likeliest ones, of which one
            has to be called. Call nothing where the log probability of none is greater than that of
            the likeliest tool by more than this many nats, each less that for a request without
            content. Not where a call is demanded. None: don't ask.
        votes: 3: ask with the tools in up to three orders, and take what most replies call.
        retry: whether a reply with a call that can't be right is shown again, once, with what is
            wrong with it. The second reply counts.
        more: whether it is asked, after a reply with one call to a request that may ask for
            several things, which calls are missing.
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
    digest: Literal["state", "talk"] = "state"
    turns: Literal["all", "latest"] = "all"
    results: Literal["whole", "lines", "filled"] = "whole"
    after_result: Literal["nothing", "answer"] = "nothing"
    keep_tools: int | None = Field(default=None, ge=1, le=64)
    tools_by: Literal["words", "meaning", "both"] = "words"
    embedding: str = Field(default="", max_length=300)
    examples_by: Literal["set", "similarity", "own_tools"] = "set"
    decide: float | None = Field(default=None, ge=-20, le=20)
    pick: float | None = Field(default=None, ge=-20, le=20)
    votes: Literal[1, 3] = 1
    retry: bool = False
    more: bool = False

    @property
    def embeds(self) -> bool:
        """Whether an embedding model is asked."""
        return self.tools_by != "words"

    @property
    def asks_again(self) -> bool:
        """Whether further requests may change what a reply calls."""
        return self.votes > 1 or self.retry or self.more

    @property
    def asks_first(self) -> bool:
        """Whether a question that is answered by log probabilities comes first."""
        return self.decide is not None or self.pick is not None


def options_of(variant: Variant) -> VariantOptions:
    """Check the options and the chain of a variant.

    Raises VariantError for what is unknown or out of range.
    """
    # Not by the variant itself: its examples may be made from the tools of one request.
    return _checked(variant.name, variant.parsers, variant.steps, variant.options, bool(variant.examples))


@remembered
def _checked(
    name: str, parsers: tuple[ChainName, ...], steps: str, given: Mapping[str, Any], has_examples: bool
) -> VariantOptions:
    try:
        chain_of(parsers)
    except VariantError as error:
        raise VariantError(f"variant {name!r}: {error}") from None
    try:
        options = VariantOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        allowed = ", ".join(VariantOptions.model_fields)
        message = f"variant {name!r}: option {where!r}: {first['msg']}; options are {allowed}"
        raise VariantError(message) from None
    if options.choice == "named" and (options.layout != "turn" or steps == "single"):
        raise VariantError(f"variant {name!r}: option 'choice: named' needs layout 'turn' and steps that choose first")
    if options.agree and steps != "choose_then_answer":
        raise VariantError(f"variant {name!r}: option 'agree' needs steps 'choose_then_answer'")
    if steps != "single" and (options.asks_again or options.asks_first):
        raise VariantError(f"variant {name!r}: options 'decide', 'pick', 'votes', 'retry' and 'more' need steps 'single'")
    if options.decide is not None and options.pick is not None:
        raise VariantError(f"variant {name!r}: option 'pick' excludes 'decide'; it asks whether a call is needed, too")
    if options.votes > 1 and (options.retry or options.more):
        raise VariantError(f"variant {name!r}: option 'votes' excludes 'retry' and 'more'")
    if options.embeds and options.keep_tools is None:
        raise VariantError(
            f"variant {name!r}: option 'tools_by: {options.tools_by}' needs 'keep_tools', the number of tools to choose"
        )
    if options.examples_by == "similarity" and not has_examples:
        raise VariantError(f"variant {name!r}: option 'examples_by: similarity' needs `examples` to choose from")
    return options


def rests_on_logprobs(variant: Variant) -> bool:
    """Whether what a variant promises rests on log probabilities: it decides by them, or withholds calls."""
    return needs_logprobs(variant.parsers) or options_of(variant).asks_first


def embedded_by(variant: Variant, embedding: str | None) -> Variant:
    """The variant with the embedding model that the settings name, where it needs one and names none itself."""
    options = options_of(variant)
    if embedding is None or not options.embeds or options.embedding:
        return variant
    return variant.model_copy(update={"options": {**variant.options, "embedding": embedding}})


def require_embedding(variant: Variant, embedding: str | None) -> None:
    """VariantError unless the embedding model that a variant needs is that of the settings."""
    options = options_of(variant)
    if not options.embeds or (embedding is not None and options.embedding == embedding):
        return
    if embedding is None:
        what = "chooses tools by their meaning, and the settings name no embedding model"
    else:
        what = f"names the embedding model {options.embedding[:100]!r}, and the settings name {embedding!r}"
    raise VariantError(
        f'variant {variant.name!r} {what}; set embedding = "provider/name" in [models] of your own settings, or take tools_by=words'
    )
