"""Writes plain prompts from the schemas alone: for those who have no model that writes. Always the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Any

from selfopt.records import ToolCall, ToolDefinition

from .drafts import Draft
from .facts import facts, plain_parts, said, spoken

BY_TEMPLATE = "template"
_ASKS = (
    "{what} with {facts}, please.",
    "I need this now: {facts}. So {what}.",
    "Could you {what}? It is about {facts}.",
    "Hello, my request is {facts}; {what} for me.",
    "{facts} - {what} as soon as you can.",
    "Go ahead and {what}: {facts}.",
)
_NEAR = (
    "What does it mean to {what}, in one sentence?",
    "Thank you, that was all I wanted when I asked to {what}.",
    "My neighbour says nobody should {what} on a Sunday. Funny, isn't it?",
    "Don't {what} yet, I am still thinking about it.",
    "How did people {what} a hundred years ago?",
    "I have just read a long article about how to {what}.",
    "Is it hard to learn to {what} without any help?",
    "Yesterday somebody else had to {what} for me, and it went well.",
    "Forget it, there is no need to {what} any more.",
    "Whose idea was it, anyway, to {what} at all?",
    "My sister writes a poem about how machines {what}.",
    "You can {what}, can't you? Good to know for later.",
    "When you {what}, what do you do first, as a rule?",
    "In the film last night the hero could {what} blindfolded.",
    "If I never {what} again, I will be happy.",
    "People who {what} for a living must be patient.",
)
_MISSING = (
    "Please {what}.",
    "Could you {what} for me? You know how I like it.",
    "I would like you to {what} today.",
    "Time to {what} again, go on.",
    "Hi there, {what}, and be quick about it.",
    "Once more: {what}. You will find the details yourself.",
    "It would help me a lot if you could {what} straight away.",
    "{what}, as we said last week.",
)
_FAMILIES = 40
_MOST_LACKING = 24


def template_drafts(tool: ToolDefinition) -> Iterator[Draft]:
    """Requests for one tool, near misses, and requests that lack a detail. Fewer where a schema allows few values.

    Nothing for a tool whose required arguments have no plain values, such as objects.
    """
    what, needed = _what(tool), plain_parts(tool)
    if needed is None:
        return
    for place in range(_FAMILIES):
        arguments = facts(tool, needed, place)
        for turn in range(2):
            ask = _ASKS[(place * 2 + turn) % len(_ASKS)]
            yield Draft("direct", _sentence(ask, what, arguments), (ToolCall(name=tool.name, arguments=arguments),), tool.name)
    for form in _NEAR:
        yield Draft("near miss", _sentence(form, what, {}), (), tool.name)
    # A generator: of many required arguments there are more choices than anybody can hold.
    lacking = (dict(some) for size in range(len(needed)) for some in combinations(facts(tool, needed, 1).items(), size))
    told: list[tuple[str, dict[str, Any]]] = [(form, {}) for form in _MISSING] if needed else []
    told += [
        (_ASKS[place % len(_ASKS)], arguments) for place, arguments in enumerate(islice(lacking, _MOST_LACKING)) if arguments
    ]
    for form, arguments in told:
        text = _sentence(form, what, {name: value for name, value in arguments.items() if name in needed})
        yield Draft("needed detail missing", text, (), tool.name)


def template_pairs(tools: tuple[ToolDefinition, ...]) -> Iterator[Draft]:
    """Requests for two things at once."""
    able = [(tool, needed) for tool in tools if (needed := plain_parts(tool)) is not None]
    for place, ((one, ones), (two, twos)) in enumerate(islice(combinations(able, 2), _FAMILIES)):
        calls = (
            ToolCall(name=one.name, arguments=facts(one, ones, place * 3 + 1)),
            ToolCall(name=two.name, arguments=facts(two, twos, place * 3 + 2)),
        )
        halves = [_sentence(_ASKS[5], _what(t), c.arguments).rstrip(".") for t, c in zip((one, two), calls, strict=True)]
        text = f"{halves[0]}. And {halves[1][0].lower()}{halves[1][1:]}."
        yield Draft("two at once", text, calls, one.name)


def _what(tool: ToolDefinition) -> str:
    """What a tool does in the words of its name, which are short and say it in most cases."""
    return spoken(tool.name).strip("_-./ ") or "do it"


def _sentence(form: str, what: str, arguments: Mapping[str, Any]) -> str:
    told = ", ".join(f"{spoken(name)} {said(value)}" for name, value in arguments.items())
    text = form.format(what=what, facts=told or "nothing more to say")
    return text[0].upper() + text[1:]
