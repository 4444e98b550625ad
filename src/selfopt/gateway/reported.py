"""The calls that a server reported itself: each is mended, or goes to the client as it came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from selfopt.dialects.clients import ClientRequest, RawCall
from selfopt.reading import chain_of, read_calls
from selfopt.reading.chain import NATIVE
from selfopt.reading.readers.base import CALL_LIMIT
from selfopt.reading.repairs import is_repair
from selfopt.records import ParsedReply, ReplyContent, ToolCall, Variant
from selfopt.variants import RenderedStep, options_of

_MENDED = ("name", "syntax")


@dataclass(frozen=True, slots=True)
class FoundCalls:
    """The calls of a reply.

    Attributes:
        mended: how many of them were mended.
        passed: how many go to the client as they came, because nothing can mend them, or because
            no tool of that name was offered.
    """

    calls: tuple[ToolCall, ...] = ()
    mended: int = 0
    passed: int = 0

    @property
    def unread(self) -> bool:
        """Whether none of the calls could be read."""
        return all(isinstance(call, RawCall) for call in self.calls)


def wanted_calls(calls: Sequence[ToolCall], asked: ClientRequest) -> tuple[ToolCall, ...]:
    """Return the calls of tools that the client offered; only the first if it wants one."""
    offered = {tool.name for tool in asked.request.tools}
    kept = tuple(call for call in calls if call.name in offered)
    return kept if asked.parallel else kept[:1]


def without_text(parsers: Sequence[str]) -> tuple[str, ...]:
    """The chain that takes the calls that a server reports, and reads none from text."""
    return (NATIVE, *(name for name in parsers if is_repair(name)))


def lasting_calls(calls: Sequence[ToolCall], asked: ClientRequest) -> tuple[ToolCall, ...]:
    """Return the reported calls that nothing changes any more.

    A call of another tool keeps its place: the end of the reply tells what becomes of it.
    """
    offered = {tool.name for tool in asked.request.tools}
    return wanted_calls(list(takewhile(lambda call: call.name in offered, calls)), asked)


def with_damaged(
    made: ReplyContent, came: ReplyContent, asked: ClientRequest, variant: Variant, step: RenderedStep
) -> ReplyContent:
    """Return what a variant made of a reply, with the damaged calls that it left out.

    A variant that drops calls writes the others anew. The first chains read no damaged call beside a
    whole one, which their evidence rests on, so these would be lost to the client.

    Args:
        made: what the variant made.
        came: the reply to its last step. Where it asks again, another reply may have been taken.
        asked: the request.
        variant: the variant.
        step: its last step. One that reads log probabilities alone has no calls of its own.
    """
    if options_of(variant).asks_again or step.logprobs is not None:
        return made
    left = [broken for broken in came.broken_tool_calls if broken not in made.broken_tool_calls]
    if chain_of(variant.parsers).splits:  # it has read those that can be mended
        alone = [(broken, ReplyContent(broken_tool_calls=(broken,))) for broken in left]
        left = [broken for broken, one in alone if not read_calls((NATIVE,), one, asked.request.tools).tool_calls]
    return made.model_copy(update={"broken_tool_calls": (*made.broken_tool_calls, *left)}) if left else made


def found_calls(
    parsed: ParsedReply, content: ReplyContent, asked: ClientRequest, parsers: Sequence[str], sent: Sequence[ToolCall]
) -> FoundCalls:
    """Return the calls that were read, and all others that the server reported.

    Args:
        parsed: what the variant's chain read.
        content: the reply.
        asked: the request.
        parsers: the names in the chain.
        sent: the calls that the client has already. They stay first.
    """
    if parsed.withheld:
        return FoundCalls()
    read = wanted_calls(parsed.tool_calls, asked)
    reported = len(content.tool_calls) + len(content.broken_tool_calls)
    native = (parsed.parser or "").partition("@")[0] == "native"
    if not reported:
        return FoundCalls(read)
    if native and len(read) == reported:
        return FoundCalls(read, mended=min(len(read), sum(made.kind in _MENDED for made in parsed.corrections)))
    if (sent or read) and not asked.parallel:
        return FoundCalls(tuple(sent) or read)
    every = list(_reported(content, asked, parsers))
    if not native:  # the text holds calls beside them, or the same ones
        known = [(call.name, call.arguments) for call in read]
        every = [*read, *(one for one in every if isinstance(one, RawCall) or (one.name, one.arguments) not in known)]
    rest = list(every if asked.parallel else every[:1])
    for call in sent:
        if call not in rest:
            return FoundCalls(read)  # what was sent was taken back
        rest.remove(call)
    calls = (*sent, *rest)
    offered = {tool.name for tool in asked.request.tools}
    passed = sum(isinstance(call, RawCall) or call.name not in offered for call in calls)
    return FoundCalls(calls, mended=max(0, len(calls) - len(read) - passed), passed=passed)


def _reported(content: ReplyContent, asked: ClientRequest, parsers: Sequence[str]) -> Sequence[ToolCall]:
    """Every call that the server reported, in its order."""
    chain = without_text(parsers)
    tools, messages = asked.request.tools, asked.request.messages
    places: list[RawCall | None] = [None] * len(content.tool_calls)
    for number, broken in enumerate(content.broken_tool_calls):
        given = _decoded(broken)
        at = given.get("at")
        alone = ReplyContent(broken_tool_calls=(broken,), finish_reason=content.finish_reason, logprobs=content.logprobs)
        one = read_calls(chain, alone, tools, messages)
        places.insert(at if isinstance(at, int) else number, None if one.tool_calls or one.dropped else _raw(given))
    mended = [*read_calls(chain, content, tools, messages).tool_calls, *content.tool_calls[CALL_LIMIT:]]
    whole = iter(mended)
    found = [place if place is not None else next(whole, None) for place in places]
    return [call for call in (*found, *whole) if call is not None and (call.name or not isinstance(call, RawCall) or call.raw)]


def _decoded(broken: str) -> dict[str, Any]:
    given = json.loads(broken)
    return given if isinstance(given, dict) else {}


def _raw(given: dict[str, Any]) -> RawCall:
    """A broken call as it came."""
    name, arguments, identity = given.get("name"), given.get("arguments"), given.get("id")
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False) if arguments else ""
    return RawCall(
        name=name if isinstance(name, str) else "", raw=raw, id=identity if isinstance(identity, str) and identity else None
    )
