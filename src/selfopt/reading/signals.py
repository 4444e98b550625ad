"""What a reply shows of whether its answer is right: the signals of a confidence."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, log

from selfopt.records import CorrectionKind, Message, ParsedReply, ReplyContent, Signals, ToolDefinition

from .aligned import Tokens, aligned
from .schema import Fitter
from .wire_names import sent_names

_LEAST = 1e-6  # a probability below this is no figure to go by
_CALL_BEGINS = ("{", "[", "<", "```")
# What says that an argument or a name did not fit as it came.
_DID_NOT_FIT: frozenset[CorrectionKind] = frozenset(
    {"name", "syntax", "type", "choice", "unknown_argument", "not_fitted", "not_offered"}
)


def signals_of(
    content: ReplyContent,
    parsed: ParsedReply,
    tools: Sequence[ToolDefinition],
    messages: Sequence[Message],
    *,
    agrees: bool | None = None,
) -> Signals:
    """The signals of one reply, computed without a request. Never raises.

    Args:
        content: the reply as it came, with its log probabilities where the server gave them.
        parsed: what the chain read in it.
        tools, messages: of the request.
        agrees: whether a second way of asking gives the same calls; None where there is none.
    """
    observed = content.logprobs
    reply = choice = least = mean = None
    if observed is not None and len(observed):
        reply = observed.total
        tokens = Tokens(observed)
        start = tokens.after(content.thinking) if content.thinking else 0
        if parsed.tool_calls:
            found = aligned(tokens, parsed.tool_calls, sent_names(tuple(tool.name for tool in tools)), start)
            choice = found.choice
            if found.values:
                least, mean = min(found.values), fsum(found.values) / len(found.values)
        else:
            choice = _no_call(tokens, start, tools)
    calls = bool(parsed.tool_calls)
    return Signals(
        calls=calls,
        reply=reply,
        choice=choice,
        least_value=least,
        mean_value=mean,
        backed=_backed(parsed, messages, tools) if calls else None,
        fits=float(_fits(parsed, tools)) if calls else None,
        agrees=None if agrees is None else float(agrees),
        unrepaired=float(not parsed.corrections),
    )


def _no_call(tokens: Tokens, start: int, tools: Sequence[ToolDefinition]) -> float | None:
    """The log probability that the answer begins no call, by the likeliest tokens at its beginning."""
    first = tokens.first(start)
    if first is None:
        return None
    text, logprob, top = first
    known = {text: logprob, **top}
    names = tuple(tool.name for tool in tools)
    begins = fsum(exp(value) for token, value in known.items() if _begins_call(token, names))
    return log(min(1.0, max(_LEAST, 1 - begins)))


def _begins_call(token: str, names: Sequence[str]) -> bool:
    word = token.lstrip()
    return word.startswith(_CALL_BEGINS) or (len(word) > 2 and any(name.startswith(word) or word.startswith(name) for name in names))


def _backed(parsed: ParsedReply, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> float | None:
    """The share of required arguments that the conversation backs, as `strict` sees it."""
    from .strict import said_share  # its tables of words are only loaded for who needs them

    return said_share(parsed.tool_calls, messages, tools)


def _fits(parsed: ParsedReply, tools: Sequence[ToolDefinition]) -> bool:
    """Whether the calls fitted their tools before anything was repaired."""
    if any(made.kind in _DID_NOT_FIT for made in parsed.corrections):
        return False
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    roots = [by_name.get(call.name) for call in parsed.tool_calls]
    return all(
        root is not None and Fitter(root).fits(call.arguments, root) for call, root in zip(parsed.tool_calls, roots, strict=True)
    )
