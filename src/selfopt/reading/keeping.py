"""Changes the calls of a reply before it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfopt.records import ChainName, ReplyContent, ToolCall, ToolDefinition, Variant

from .chain import LATEST, NATIVE, ask, chain_of
from .families import write_calls
from .readers.base import CALL_LIMIT


def reply_keeping(
    keep: Callable[[Sequence[ToolCall]], Sequence[ToolCall]],
    reply: ReplyContent,
    tools: Sequence[ToolDefinition],
    variant: Variant,
) -> ReplyContent:
    """The reply with only the calls that `keep` returns, written as the variant's prompts do.

    Reads the calls by all readers of the time of the variant's chain. The same object if `keep`
    returns all of them.
    """
    everything: ChainName = LATEST if chain_of(variant.parsers).splits else "all@1"
    _, found = ask(chain_of((everything,)).readers, reply, tools)
    calls = found.calls[:CALL_LIMIT]
    kept = keep(calls)
    return reply if list(kept) == list(calls) else reply_of(kept, reply, variant)


def reply_of(calls: Sequence[ToolCall], reply: ReplyContent, variant: Variant) -> ReplyContent:
    """A reply with just these calls, in place of another reply.

    A chain that reads native calls first gets them so, as nothing in an argument is then mistaken
    for a call. Any other gets them as text, in the form that the variant's prompts ask for.
    """
    native = bool(calls) and next(iter(chain_of(variant.parsers).readers), "") == NATIVE
    return ReplyContent(
        text="" if native else write_calls(calls, variant.call_format),
        tool_calls=tuple(calls) if native else (),
        thinking=reply.thinking,
        finish_reason=reply.finish_reason,
        logprobs=reply.logprobs,
    )
