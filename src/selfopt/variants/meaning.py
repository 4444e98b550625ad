"""Chooses the tools that mean what a request asks for, as an embedding model sees it.

The embedding is a step of its own, ahead of the first question. Its messages are texts, the request
first and then one for each tool, and its reply lists how similar each tool is to the request. So it
is asked, retried, recorded and replayed like any other step, and `render` stays pure.

The embedding model shapes the requests. Its name is an option of the variant, so that it is part of
every hash and travels with a rule, and its digest is part of the environment. A reply that tells
nothing, such as an empty one, leaves the choice to the words of the request: as many tools are
shown then. What measures does not send such a reply, but records that the step failed.

Texts are bounded, because tools and requests come from clients.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Sequence

from selfopt.reading.telling import name_words, tool_fields, within
from selfopt.records import Message, ReplyContent, ToolDefinition
from selfopt.records.trial import EMBED_STEP

from .options import VariantOptions
from .relevance import chosen_tools, shown_tools, word_scores
from .step import RenderedStep

MOST_TOOLS = 512
"""Of more tools the words of the request choose."""
# Of a text: a letter or a space takes one, any other character three, which is about their share of tokens. Many embedding
# models read 512 tokens, and refuse more.
_BUDGET = 1_000
_SPOKEN = 3  # user messages that are looked at
_MOST_CHARS = 64 * MOST_TOOLS  # of a reply


def nearest_tools(
    options: VariantOptions, messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> Generator[RenderedStep, ReplyContent, Sequence[ToolDefinition]]:
    """Ask which tools are most similar to a request. Returns those that the model is shown, in their order."""
    keep, asked = options.keep_tools, request_text(messages)
    if keep is None or len(tools) <= keep:
        return tools
    if len(tools) > MOST_TOOLS or not asked:
        return shown_tools(tools, messages, keep)
    texts = (asked, *map(tool_text, tools))
    reply = yield RenderedStep(
        step=EMBED_STEP, messages=tuple(Message(role="user", content=text) for text in texts), embedding=options.embedding
    )
    similar = similarities_in(reply.text, len(tools))
    if similar is None:
        return shown_tools(tools, messages, keep)
    if options.tools_by == "both":
        shares = _shares(word_scores(tools, messages)), _shares(similar)
        similar = [round(words + meaning, 6) for words, meaning in zip(*shares, strict=True)]
    return chosen_tools(tools, messages, keep, similar)


def _shares(scores: Sequence[float]) -> list[float]:
    """Each score as a share of the greatest one, so that scores of two kinds can be added."""
    greatest = max(scores)
    return [score / greatest for score in scores] if greatest > 0 else [0.0] * len(scores)


def request_text(messages: Sequence[Message]) -> str:
    """What the user said last, after what was said shortly before. "" where nothing was said."""
    spoken = [message.content.strip() for message in messages if message.role == "user"][-_SPOKEN:]
    text = "\n".join(part for part in spoken if part)
    return _cut(text[-_BUDGET:][::-1])[::-1].strip()


def tool_text(tool: ToolDefinition) -> str:
    """What a tool says of itself: its name in words, its description, and its arguments."""
    fields = [" ".join(text.split()) for text, _ in within(tool_fields(tool), _BUDGET)]
    name, description = " ".join(name_words(tool.name[:_BUDGET])), " ".join(tool.description[:_BUDGET].split())
    arguments = ", ".join(text for text in fields[2:] if text)
    return _cut(". ".join(part for part in (name, description, arguments) if part)) or tool.name[:80] or "tool"


def similarities_in(text: str, count: int) -> list[float] | None:
    """The similarities that a reply lists, one for each of so many tools; None where it lists others."""
    if len(text) > _MOST_CHARS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != count:
        return None
    numbers = [float(one) for one in found if isinstance(one, (int, float)) and not isinstance(one, bool) and abs(one) <= 2]
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _cut(text: str) -> str:
    """The beginning of a text, within the budget."""
    left = _BUDGET
    for place, char in enumerate(text):
        left -= 1 if char.isascii() and (char.isalpha() or char == " ") else 3
        if left < 0:
            return text[:place]
    return text
