"""Keeps some calls of a reply before it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfopt.records import ChainName, ReplyContent, ToolCall, ToolDefinition, Variant

from .chain import LATEST, ask, chain_of
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
    if list(kept) == list(calls):
        return reply
    return ReplyContent(text=write_calls(kept, variant.call_format), thinking=reply.thinking, finish_reason=reply.finish_reason)
