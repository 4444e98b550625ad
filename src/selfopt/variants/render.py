"""Renders the requests of a trial, step by step, from a variant, a conversation and its tools.

`render` is pure: for the same replies it yields the same steps and returns the same content. So a
stored trial can be replayed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from selfopt.reading.chain import chain_of
from selfopt.reading.earlier.ground import ground_calls
from selfopt.reading.earlier.literals import decode_object
from selfopt.reading.families import NO_CALL, SEPARATOR
from selfopt.reading.keeping import reply_keeping, reply_of
from selfopt.reading.wire_names import with_wire_names
from selfopt.records import Constraint, LogProbs, Message, ReplyContent, ToolCall, ToolDefinition, Variant, as_kind_of, remembered

from .call_schema import arguments_schema, calls_schema, choice_schema
from .grammar import arguments_grammar, calls_grammar, choice_grammar
from .layout import choice_text, fill_messages, native_messages, text_messages
from .options import VariantOptions, options_of
from .shown import Conversation, as_shown
from .step import RenderedStep, Request, Steps

if TYPE_CHECKING:
    from .pick import Picked

_SIMILAR = 3  # examples that are chosen by similarity
_FIRST_QUESTION = frozenset({"choice", "agree", "examples_by"})  # options that only the first question of two heeds


def render(
    variant: Variant,
    messages: Sequence[Message],
    tools: Sequence[ToolDefinition],
    *,
    required: bool = False,
    embeds: bool = False,
) -> Steps:
    """Yield the steps of a trial. The caller sends back the content of each reply.

    Args:
        variant: the variant.
        messages: the conversation.
        tools: the tools that are offered.
        required: whether the caller demands a call. A constraint then excludes "none", and a server
            that gets the tools is told.
        embeds: whether the caller can answer the step of an embedding model. Without one, words say
            which tools are shown.

    Returns:
        The content that the parsers read.

    Raises:
        VariantError: the options of the variant are impossible.
    """
    options = options_of(variant)
    offered = as_kind_of(tools, lean_tools(tools)) if options.lean else tools
    tools = yield from _tools_shown(options, messages, offered, embeds)
    shown = as_shown(messages, options, required=required)
    picked = None
    if options.pick is not None and not required:
        picked = yield from _picked(Request(variant, messages, shown, tools, offered), options, options.pick)
        if picked is not None and not picked.tools:
            return picked.none
        if picked is not None:
            tools, required = picked.tools, True
    asked = _answering(variant) if required and variant.steps == "choose_then_answer" else variant
    asked = _with_examples(asked, messages, tools)
    opening = _opening(asked, options, shown, tools, offered, required)
    if variant.steps == "choose_then_fill":
        return (yield from _choose_then_fill(asked, options, opening, Conversation(messages, shown), tools))
    chosen: list[str] | None = None
    if variant.steps == "choose_then_answer" and not required:
        choice = yield opening
        chosen = _chosen(choice.text, [tool.name for tool in tools], options.max_calls)
        if chosen == []:
            return choice
        answering = _answering(variant)
        opening = _opening(answering, options_of(answering), shown, tools, offered, required)
    if options.asks_again or options.decide is not None:
        request = Request(asked, messages, shown, tools, offered)
        reply = yield from _in_several_steps(request, options, opening, required=required)
    else:
        reply = yield opening
    if chosen is not None and options.agree:
        reply = reply_keeping(lambda calls: [c for c in calls if c.name in chosen], reply, offered, variant)
    if options.ground:
        reply = reply_keeping(lambda calls: ground_calls(calls, messages, offered), reply, offered, variant)
    return reply if picked is None else reply.model_copy(update={"picked": dict(picked.chances)})


def _tools_shown(
    options: VariantOptions, messages: Sequence[Message], offered: Sequence[ToolDefinition], embeds: bool
) -> Generator[RenderedStep, ReplyContent, Sequence[ToolDefinition]]:
    """The tools that the model is shown, by an embedding model where there is one that says it."""
    if not (embeds and options.embeds):
        return _kept_tools(options, messages, offered)
    from .meaning import nearest_tools  # only loaded for who embeds

    return (yield from nearest_tools(options, messages, offered))


def _in_several_steps(request: Request, options: VariantOptions, opening: RenderedStep, *, required: bool) -> Steps:
    """Decide, vote, correct and complete, as far as the variant does."""
    # What reads and judges replies is only loaded for who asks again.
    from .again import completed, corrected
    from .decide import blank_of, call_needed
    from .votes import voted

    variant, messages, tools, offered = request.variant, request.shown, request.tools, request.offered
    if options.decide is not None and not required:
        blank = _opening(variant, options, blank_of(messages), tools, offered, False)
        if not (yield from call_needed(opening, blank, options.decide)):
            return ReplyContent(text=NO_CALL, finish_reason="stop")
    if options.votes > 1:
        return (yield from voted(request, opening, lambda order: _opening(variant, options, messages, order, offered, required)))
    reply = yield opening
    unforced = replace(opening, tool_choice="auto", constraint=_limit(variant, options, tools, False))
    if options.retry:
        reply = yield from corrected(request, unforced, reply, required=required)
    if options.more:
        reply = yield from completed(request, unforced, reply)
    return reply


def _picked(request: Request, options: VariantOptions, threshold: float) -> Generator[RenderedStep, ReplyContent, Picked | None]:
    """Ask which tools are likeliest, as they are asked for an answer."""
    # What reads log probabilities is only loaded for who picks first.
    from .decide import blank_of
    from .pick import pick_tools

    variant, tools, offered = request.variant, request.tools, request.offered
    asked = _with_examples(variant, request.messages, tools)
    opening = _opening(asked, options, request.shown, tools, offered, True)
    blank = _opening(asked, options, blank_of(request.shown), tools, offered, True)
    return (yield from pick_tools(opening, blank, tools, threshold))


def _kept_tools(
    options: VariantOptions, messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> Sequence[ToolDefinition]:
    """The tools that the model is shown."""
    if options.keep_tools is None:
        return tools
    from .relevance import shown_tools  # its tables of words are only loaded for who needs them

    return shown_tools(tools, messages, options.keep_tools)


@remembered
def _with_examples(variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Variant:
    """The variant with the examples that it shows to this request."""
    options = options_of(variant)
    if options.examples_by == "set":
        return variant
    if options.examples_by == "similarity":
        from .relevance import similar_examples

        examples = as_kind_of(messages, similar_examples(variant.examples, messages, _SIMILAR))
    else:
        from .own_examples import own_examples

        examples = own_examples(tools, options.layout == "turn")
    return variant.model_copy(update={"examples": examples})


@remembered
def _answering(variant: Variant) -> Variant:
    """The variant for the second question of choose_then_answer."""
    options = {key: value for key, value in variant.options.items() if key not in _FIRST_QUESTION}
    plain = {"steps": "single", "constraint": "none", "instructions": "", "examples": (), "options": options}
    return variant.model_copy(update=plain)


@remembered
def _opening(
    variant: Variant,
    options: VariantOptions,
    messages: Sequence[Message],
    tools: Sequence[ToolDefinition],
    offered: Sequence[ToolDefinition],
    required: bool,
) -> RenderedStep:
    """The first request. Most variants make no other."""
    native = variant.tools == "native"
    choosing = variant.steps != "single"
    if native and not choosing:
        messages, tools = with_wire_names(messages, tools, offered)
    in_text = not native or variant.steps == "choose_then_answer"
    sent = text_messages(variant, messages, tools) if in_text else native_messages(variant, messages)
    return RenderedStep(
        step="choose" if choosing else "answer",
        messages=tuple(sent),
        tools=tuple(tools) if native and not choosing else (),
        tool_choice="required" if required and native and not choosing else "auto",
        constraint=_limit(variant, options, tools, required),
        sampling=variant.sampling,
    )


def _limit(variant: Variant, options: VariantOptions, tools: Sequence[ToolDefinition], required: bool) -> Constraint | None:
    """The constraint on the first reply: to a choice of tools or to calls. None if it is free."""
    choosing, most = variant.steps != "single", options.max_calls
    if variant.constraint == "json_schema":
        schema = (choice_schema if choosing else calls_schema)(tools, most, required)
        return Constraint(kind="json_schema", json_schema=schema)
    if choosing:
        return Constraint(kind="grammar", grammar=choice_grammar(tools, most, required))
    if variant.constraint == "none":
        return None
    return Constraint(kind="grammar", grammar=calls_grammar(tools, variant.call_format, most, required))


def _fill_constraint(variant: Variant, options: VariantOptions, tool: ToolDefinition, messages: Sequence[Message]) -> Constraint:
    if variant.constraint == "json_schema":
        return Constraint(kind="json_schema", json_schema=arguments_schema(tool))
    said = [message.content for message in messages if message.role == "user"] if options.copy_text else []
    return Constraint(kind="grammar", grammar=arguments_grammar(tool, said))


def _choose_then_fill(
    variant: Variant,
    options: VariantOptions,
    opening: RenderedStep,
    conversation: Conversation,
    tools: Sequence[ToolDefinition],
) -> Steps:
    """Ask which tools to call, then for the arguments of each.

    The replies are always constrained: by a JSON Schema if the variant says so, else by a grammar.
    The questions continue one conversation, so the server's prompt cache has all but the last
    words.
    """
    by_name = {tool.name: tool for tool in reversed(tools)}
    choice = yield opening
    names = _chosen(choice.text, list(by_name), options.max_calls)
    if names is None:
        return choice
    talk = [*opening.messages, Message(role="assistant", content=choice_text([ToolCall(name=name) for name in names]))]
    calls: list[ToolCall] = []
    worst, replies = choice, [choice]
    for index, name in enumerate(names):
        which = f" (call {names[: index + 1].count(name)})" if names.count(name) > 1 else ""
        talk = fill_messages(variant, conversation.shown, by_name[name], talk, which)
        filled = yield RenderedStep(
            step=f"fill {index + 1}",
            messages=tuple(talk),
            constraint=_fill_constraint(variant, options, by_name[name], conversation.told),
            sampling=variant.sampling,
            settled=_settled(variant, _kept(options, calls, conversation.told, tools)),
        )
        talk = [*talk, Message(role="assistant", content=filled.text.strip())]
        replies.append(filled)
        if filled.finish_reason == "length":
            worst = filled
        calls.append(ToolCall(name=name, arguments=decode_object(filled.text) or {}))
    observed = LogProbs.joined([reply.logprobs for reply in replies])
    whole = ReplyContent(finish_reason=worst.finish_reason, logprobs=observed)
    return reply_of(_kept(options, calls, conversation.told, tools), whole, variant)


def _kept(
    options: VariantOptions, calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> list[ToolCall]:
    """Remove what the conversation does not back, call by call, and repeated calls."""
    return _distinct(ground_calls(calls, messages, tools) if options.ground else calls)


def _settled(variant: Variant, calls: Sequence[ToolCall]) -> ReplyContent | None:
    """A reply with these calls; None if further calls might change how the first parser reads them."""
    reply = reply_of(calls, ReplyContent(), variant)
    reader = next((name for name in chain_of(variant.parsers).readers if name != "native"), None)
    certain = reply.tool_calls or variant.call_format == reader == "json"
    return reply if calls and certain else None


@remembered
def lean_tools(tools: Sequence[ToolDefinition]) -> tuple[ToolDefinition, ...]:
    """The tools without their optional arguments."""
    return tuple(_lean(tool) for tool in tools)


def _lean(tool: ToolDefinition) -> ToolDefinition:
    """Remove the optional arguments of a tool.

    A tool whose schema has no properties or no `required` stays as it is.
    """
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return tool
    needed = {key: part for key, part in properties.items() if key in required}
    return tool.model_copy(update={"parameters": {**tool.parameters, "properties": needed}})


def _chosen(text: str, names: Sequence[str], limit: int) -> list[str] | None:
    """Read the chosen names from a reply.

    Tries the longest names first, since a name may begin with another name or hold the separator.

    Returns:
        The names; [] for an explicit "none"; None if the reply is neither, which happens if a
        server ignores constraints. The parsers then read that reply.
    """
    rest, chosen = text.strip().strip("[]").strip(), list[str]()
    ordered = sorted(names, key=len, reverse=True)
    if rest.strip("\"'").lower() in ("", "none") and "none" not in names:
        return [] if text.strip() else None
    while rest and len(chosen) < limit:
        quote = rest[0] if rest[0] in "\"'" else ""
        name = next((name for name in ordered if rest.startswith(f"{quote}{name}{quote}")), None)
        if name is None:
            return None
        chosen.append(name)
        rest = rest[len(name) + 2 * len(quote) :].lstrip()
        if rest and not rest.startswith(SEPARATOR.strip()):
            return None
        rest = rest.removeprefix(SEPARATOR.strip()).lstrip()
    return chosen or None


def _distinct(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """Remove repeated calls: a small model sometimes can't stop writing the same one."""
    told = [(call.name, call.arguments) for call in calls]
    return [call for place, call in enumerate(calls) if told[place] not in told[:place]]
