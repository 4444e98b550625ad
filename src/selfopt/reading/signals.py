"""What a reply shows of whether its answer is right: the signals of a confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, fsum, log
from typing import get_args

from selfopt.records import CorrectionKind, Message, ParsedReply, ReplyContent, SignalName, Signals, ToolDefinition

from .aligned import Tokens, aligned
from .schema import Fitter
from .wire_names import sent_names

EVERY: frozenset[SignalName] = frozenset(get_args(SignalName))
_OF_TOKENS: frozenset[SignalName] = frozenset({"choice", "least_value", "mean_value"})
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
    wanted: frozenset[SignalName] = EVERY,
) -> Signals:
    """The signals of one reply, computed without a request. Never raises.

    Args:
        content: the reply as it came, with its log probabilities where the server gave them.
        parsed: what the chain read in it.
        tools, messages: of the request.
        agrees: whether a second way of asking gives the same calls; None where there is none.
        wanted: the signals that are needed, such as those that a confidence model reads. The others
            may be None.
    """
    calls = bool(parsed.tool_calls)
    given = content.logprobs
    observed = given if given is not None and (any(given.tokens) or given.raw) else None
    choice = least = mean = None
    if observed is not None and not _OF_TOKENS.isdisjoint(wanted):
        tokens = Tokens(observed)
        start = tokens.after(content.thinking) if content.thinking else 0
        begins = begins_call(tokens, start, tools)
        if calls:
            found = aligned(tokens, parsed.tool_calls, sent_names(tuple(tool.name for tool in tools)), start)
            choice = None if found.choice is None or begins is None else found.choice + log(max(_LEAST, begins))
            if found.values:
                least, mean = min(found.values), fsum(found.values) / len(found.values)
        elif begins is not None:
            choice = log(max(_LEAST, 1 - begins))
    if content.picked is not None:
        choice = _picked(content.picked, parsed)
    return Signals(
        calls=calls,
        reply=observed.total if observed is not None else None,
        choice=choice,
        least_value=least,
        mean_value=mean,
        backed=_backed(parsed, messages, tools) if calls and "backed" in wanted else None,
        covered=_covered(parsed, messages, tools) if calls and "covered" in wanted else None,
        fits=float(_fits(parsed, tools)) if calls and "fits" in wanted else None,
        agrees=None if agrees is None else float(agrees),
        unrepaired=float(not parsed.corrections),
        cut=not calls and content.finish_reason == "length",
        unread=not calls and (parsed.unread is not None or bool(content.broken_tool_calls)),
    )


def begins_call(tokens: Tokens, start: int, tools: Sequence[ToolDefinition]) -> float | None:
    """The probability that the answer begins a call, by the likeliest tokens at its beginning."""
    first = tokens.first(start)
    if first is None:
        return None
    text, logprob, top = first
    known = {text: logprob, **top}
    names = tuple(tool.name for tool in tools)
    return min(1.0, fsum(exp(value) for token, value in known.items() if _opens_call(token, names)))


def _opens_call(token: str, names: tuple[str, ...]) -> bool:
    word = token.lstrip()
    return word.startswith(_CALL_BEGINS) or (
        len(word) > 2 and (word.startswith(names) or any(name.startswith(word) for name in names))
    )


def _picked(picked: Mapping[str, float], parsed: ParsedReply) -> float | None:
    """The log probability of what was called, as the model chose it first. None where it could not choose so."""
    names = {call.name for call in parsed.tool_calls} or {""}
    return min(picked[name] for name in names) if names <= picked.keys() else None


def _backed(parsed: ParsedReply, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> float | None:
    """The share of required arguments that the conversation backs, as `strict` sees it."""
    from .strict import said_share  # its tables of words are only loaded for who needs them

    return said_share(parsed.tool_calls, messages, tools)


def _covered(parsed: ParsedReply, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> float | None:
    """How much of the request the called tools are about; the least of all calls. A tool that is not offered is about nothing."""
    from .telling import covered_share

    by_name = {tool.name: tool for tool in reversed(tools)}
    names = dict.fromkeys(call.name for call in parsed.tool_calls)
    if any(name not in by_name for name in names):
        return 0.0
    return covered_share((by_name[name] for name in names), messages)


def _fits(parsed: ParsedReply, tools: Sequence[ToolDefinition]) -> bool:
    """Whether the calls fitted their tools before anything was repaired."""
    if any(made.kind in _DID_NOT_FIT for made in parsed.corrections):
        return False
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    roots = [by_name.get(call.name) for call in parsed.tool_calls]
    return all(
        root is not None and Fitter(root).fits(call.arguments, root) for call, root in zip(parsed.tool_calls, roots, strict=True)
    )
