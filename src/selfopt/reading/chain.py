"""A reply through a chain of parsers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import Message, ParsedReply, ParserName, ReplyContent, ToolDefinition

from .fit import fit_calls
from .readers import PARSERS
from .readers.base import NO_CALL_WORDS, Offered, nothing

__all__ = ["read_reply"]

_LONGEST_WORD = 24
# Every format in which a call can be written in text needs one of these.
_SIGN = re.compile(r"[{\[<(]")


def read_reply(
    parsers: Sequence[ParserName], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> ParsedReply:
    """What a chain makes of a reply: the first parser that recognises calls wins; with `fit` in the chain its calls are fitted to
    the tools and to what the messages ask for.

    When none does, the parsers outside the chain are asked, and `unread` names the format in which one of them sees a
    call. An explicit "none" is no call in every format. Never raises.
    """
    none_seen = False
    unread: str | None = None
    recognised = "text"
    for name in parsers:
        if name == "fit":
            continue
        report = PARSERS[name].parse(content, tools)
        if report.tool_calls:
            return _fitted(report, messages, tools) if "fit" in parsers else report
        none_seen = none_seen or report.recognised == "explicit none"
        if report.unread is not None:
            unread, recognised = report.unread, report.recognised
    if unread is not None:
        return ParsedReply(recognised=recognised, unread=unread)
    if none_seen or _says_none(content, tools):
        return nothing("explicit none")
    if content.tool_calls or _SIGN.search(content.text):
        for name, parser in PARSERS.items():
            if name not in parsers:
                report = parser.parse(content, tools)
                if report.tool_calls:
                    return ParsedReply(recognised=f"unread: {report.recognised}", unread=name)
    return nothing("text" if content.text.strip() else "empty reply")


def _fitted(report: ParsedReply, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> ParsedReply:
    fitted = tuple(fit_calls(report.tool_calls, messages, tools))
    if fitted == report.tool_calls:
        return report
    return report.model_copy(update={"tool_calls": fitted, "recognised": f"{report.recognised}, fitted"})


def _says_none(content: ReplyContent, tools: Sequence[ToolDefinition]) -> bool:
    text = content.text[: 4 * _LONGEST_WORD].strip()
    if not text or len(text) > _LONGEST_WORD or len(content.text) > 4 * _LONGEST_WORD:
        return False
    word = text.strip("`\"'.[]() \n")
    return word.lower() in NO_CALL_WORDS and Offered.of(tools).is_no_call(word)
