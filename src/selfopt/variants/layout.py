"""Makes the messages that are sent from a variant and a conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence

from selfopt.reading.families import NO_CALL, SEPARATOR, write_calls
from selfopt.records import CallFormat, Example, Message, ToolCall, ToolDefinition, Variant, remembered

from .digest import state_digest
from .options import VariantOptions, options_of
from .present import describe_tools, explain_format, tell_conversation
from .shown import latest


def native_messages(variant: Variant, messages: Sequence[Message]) -> list[Message]:
    """The messages for tools that the server gets.

    A system message with instructions, examples and digest comes first.
    """
    parts = [
        variant.instructions,
        _examples_as_text(variant.examples, variant.call_format, options_of(variant)),
        _digest(variant, messages),
    ]
    spoken = _rendered(variant, messages) if variant.history == "rendered" else list(_told(variant, messages))
    return _with_system(parts, messages, spoken)


def text_messages(variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[Message]:
    """The messages for tools that are written into the prompt."""
    options = options_of(variant)
    if options.layout == "turn":
        return _turns(variant, messages, tools, options)
    parts = [
        variant.instructions,
        f"Tools:\n{describe_tools(tools, options.tool_style)}",
        "" if variant.steps != "single" else explain_format(variant.call_format),
        _examples_as_text(variant.examples, variant.call_format, options),
        _digest(variant, messages),
    ]
    spoken = _rendered(variant, messages) if variant.history == "rendered" else _spoken(variant, _told(variant, messages))
    return _with_system(parts, messages, spoken)


def choice_text(calls: Sequence[ToolCall]) -> str:
    """The answer to the question which tools to call."""
    return SEPARATOR.join(call.name for call in calls) if calls else NO_CALL


def fill_messages(
    variant: Variant, messages: Sequence[Message], tool: ToolDefinition, talk: Sequence[Message], which: str
) -> list[Message]:
    """The second question of choose_then_fill: the arguments of one tool.

    If the first question listed the tools, this one continues the talk. If not, it starts a new
    talk that shows one tool, so that a small model sees the tool and the request and nothing else.

    Args:
        variant: the variant.
        messages: the conversation.
        tool: the chosen tool.
        talk: the messages so far.
        which: the number of the call, if the same tool was chosen several times; else "".
    """
    options = options_of(variant)
    if options.choice == "listed":
        return [*talk, Message(role="user", content=f"Arguments of {tool.name}{which} as JSON:")]
    out = _with_system([_FILL], (), ())
    for example in variant.examples:
        tools = {offered.name: offered for offered in example.tools}
        for call in example.tool_calls:
            shown = tools.get(call.name, ToolDefinition(name=call.name))
            out.append(Message(role="user", content=_one_tool(variant, example.messages, shown, "")))
            out.append(Message(role="assistant", content=_as_json(call)))
    out.append(Message(role="user", content=_one_tool(variant, messages, tool, which)))
    return out


_FILL = "Write the arguments of the tool as JSON."


def _one_tool(variant: Variant, messages: Sequence[Message], tool: ToolDefinition, which: str) -> str:
    return f"Tool{which}: {describe_tools([tool], options_of(variant).tool_style)}\n{_request(variant, messages)}"


def _as_json(call: ToolCall) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)


def _with_system(parts: Sequence[str], messages: Sequence[Message], spoken: Sequence[Message]) -> list[Message]:
    """Put one system message in front.

    It has the parts that are not empty, then the system messages of the conversation, and what the
    last of these says beside its text.
    """
    own = [message for message in messages if message.role == "system"]
    text = "\n\n".join(part for part in (*parts, *(message.content for message in own)) if part.strip())
    rest = [message for message in spoken if message.role != "system"]
    return [Message(role="system", content=text, beside=own[-1].beside if own else {}), *rest] if text else rest


def _turns(
    variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition], options: VariantOptions
) -> list[Message]:
    out = _with_system([variant.instructions], (), ())
    for example in variant.examples:
        out.append(Message(role="user", content=_turn(variant, example.messages, example.tools, options)))
        if variant.steps != "single":
            out += _example_steps(variant, example, options)
        else:
            out.append(Message(role="assistant", content=_answer(example, variant.call_format)))
    out.append(Message(role="user", content=_turn(variant, messages, tools, options)))
    return out


def _example_steps(variant: Variant, example: Example, options: VariantOptions) -> list[Message]:
    out = [Message(role="assistant", content=choice_text(example.tool_calls))]
    fills = variant.steps == "choose_then_fill" and options.choice == "listed"
    for call in example.tool_calls if fills else ():
        out.append(Message(role="user", content=f"Arguments of {call.name} as JSON:"))
        out.append(Message(role="assistant", content=_as_json(call)))
    return out


def _turn(variant: Variant, messages: Sequence[Message], tools: Sequence[ToolDefinition], options: VariantOptions) -> str:
    standing = "\n".join(message.content for message in messages if message.role == "system")
    digest = _digest(variant, messages)
    listed = "" if options.choice == "named" else f"Tools:\n{describe_tools(tools, options.tool_style)}"
    parts = (standing, listed, digest, _request(variant, messages, bare=options.choice == "named"))
    return "\n\n".join(part for part in parts if part)


def _digest(variant: Variant, messages: Sequence[Message]) -> str:
    return state_digest(messages, talk=options_of(variant).digest == "talk") if variant.state_digest else ""


def _told(variant: Variant, messages: Sequence[Message]) -> Sequence[Message]:
    return latest(messages) if options_of(variant).turns == "latest" else messages


def _request(variant: Variant, messages: Sequence[Message], *, bare: bool = False) -> str:
    spoken = [message for message in _told(variant, messages) if message.role != "system"]
    if len(spoken) == 1:
        return f"{'' if bare else 'Request: '}{spoken[0].content.strip()}"
    if not spoken or spoken[-1].role != "user":
        return f"Conversation:\n{tell_conversation(spoken, variant.call_format)}"
    earlier = tell_conversation(spoken[:-1], variant.call_format)
    return f"Conversation so far:\n{earlier}\n\nRequest: {spoken[-1].content.strip()}"


def _rendered(variant: Variant, messages: Sequence[Message]) -> list[Message]:
    """Write a conversation as one user message with a transcript.

    A single message stays as it is.
    """
    spoken = [message for message in _told(variant, messages) if message.role != "system"]
    if len(spoken) <= 1:
        return spoken
    return [Message(role="user", content=_request(variant, spoken))]


def _spoken(variant: Variant, messages: Sequence[Message]) -> list[Message]:
    """Keep the roles and write calls and results as text, because the server gets no tools."""
    names = {call.id: call.name for message in messages for call in message.tool_calls if call.id}
    out = []
    for message in messages:
        if message.role == "tool":
            name = message.name or names.get(message.tool_call_id or "") or "the tool"
            out.append(Message(role="user", content=f"Result of {name}: {message.content.strip()}"))
        elif message.tool_calls:
            written = write_calls(message.tool_calls, variant.call_format)
            content = f"{message.content.strip()}\n{written}" if message.content.strip() else written
            out.append(Message(role="assistant", content=content))
        else:
            out.append(message)
    return out


def _answer(example: Example, call_format: CallFormat) -> str:
    return write_calls(example.tool_calls, call_format) if example.tool_calls or not example.text else example.text


@remembered
def _examples_as_text(examples: Sequence[Example], call_format: CallFormat, options: VariantOptions) -> str:
    told = ["Examples:" if options.examples_by == "own_tools" else "Examples with other tools:"]
    for example in examples:
        tools = f"Tools:\n{describe_tools(example.tools, options.tool_style)}\n" if example.tools else ""
        told.append(f"{tools}{tell_conversation(example.messages, call_format)}\nAnswer: {_answer(example, call_format)}")
    return "\n\n".join(told) if examples else ""
