"""Asks once more about a reply: whether something else was asked for, and whether it can be right."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.reading.chain import LATEST, ask, chain_of
from selfopt.reading.conversions import key_of
from selfopt.reading.families import NO_CALL, write_calls
from selfopt.reading.keeping import reply_of
from selfopt.reading.readers.base import CALL_LIMIT
from selfopt.records import LogProbs, Message, ReplyContent, ToolCall, ToolDefinition

from .complaints import Complaint, complaint_about
from .step import RenderedStep, Request, Steps, continued_as

_SHOWN = 1_000  # characters of a reply that are shown to the model again
_LOOKED_AT = 4_000  # characters of a request that are searched for signs of several things, from its end
_JOINING = re.compile(
    r"\b(?:and|also|then|plus|both|as well|besides|und|auch|sowie|ausserdem|außerdem|dann|et|puis|aussi|y|también|luego|"
    r"e|anche|poi|também|en|ook|och|även|oraz)\b|[;&+]|、|，|和",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?。！？]\s+\S|\n\s*\S")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


def calls_in(reply: ReplyContent, tools: Sequence[ToolDefinition]) -> tuple[tuple[ToolCall, ...], bool]:
    """The calls in a reply, and whether there is one that can't be read.

    All readers look, whatever the variant's chain: what is asked next must not depend on how
    replies are read, as several chains share stored replies.
    """
    _, found = ask(chain_of((LATEST,)).readers, reply, tools)
    return tuple(found.calls[:CALL_LIMIT]), bool(found.unread) and not found.calls


def corrected(request: Request, opening: RenderedStep, reply: ReplyContent, *, required: bool) -> Steps:
    """Show a reply with what is wrong with it, if anything is, and take the second reply.

    Where a call is demanded (`required`), a second reply without one is not taken.
    """
    calls, unread = calls_in(reply, request.offered)
    wrong = Complaint("unread") if unread else complaint_about(calls, request.messages, request.offered)
    if wrong is None or reply.finish_reason == "length":
        return reply
    shown = write_calls(calls, request.variant.call_format) if calls else reply.text.strip()
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    second = yield continued_as(
        opening,
        "retry",
        f"You replied: {shown}\n{wrong.text()} Reply again. "
        f"If a required detail is missing, or no tool is needed, answer {NO_CALL}.",
    )
    return second if not required or calls_in(second, request.offered)[0] else reply


def completed(request: Request, opening: RenderedStep, reply: ReplyContent) -> Steps:
    """Ask for calls that are missing, where a reply holds one call and more may be asked for."""
    calls, _ = calls_in(reply, request.offered)
    if len(calls) != 1 or reply.finish_reason == "length" or not may_ask_for_more(request.messages):
        return reply
    written = write_calls(calls, request.variant.call_format)
    written = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
    further = yield continued_as(
        opening,
        "more",
        f"This call is made already: {written}\n"
        f"Did I ask for anything else that needs a call? Write only the missing calls. If nothing is missing, answer {NO_CALL}.",
    )
    found, _ = calls_in(further, request.offered)
    joined = list(calls)
    for call in found:
        if not any(_says_the_same(call, known) for known in joined):
            joined.append(call)
    if len(joined) == len(calls):
        return reply
    observed = LogProbs.joined([reply.logprobs, further.logprobs])
    return reply_of(joined, reply, request.variant).model_copy(update={"logprobs": observed})


def may_ask_for_more(messages: Sequence[Message]) -> bool:
    """Whether the last thing that the user said may ask for more than one thing: it has a word such
    as "and", several sentences, or several numbers.
    """
    text = next((message.content for message in reversed(messages) if message.role == "user"), "")[-_LOOKED_AT:].strip()
    return bool(_JOINING.search(text) or _SENTENCE.search(text) or len(_NUMBER.findall(text)) > 1)


def _says_the_same(call: ToolCall, other: ToolCall) -> bool:
    """Whether two calls of a tool differ in no argument that both have: one is the other, said anew."""
    if call.name != other.name:
        return False
    shared = call.arguments.keys() & other.arguments.keys()
    return all(key_of(call.arguments[key]) == key_of(other.arguments[key]) for key in shared) and bool(
        shared or not (call.arguments and other.arguments)
    )
