"""Tells calls from examples that are quoted, and from what follows when a model plays the other parts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

# Elements that repeat a result. No calls are in them.
_RESULT = re.compile(
    r"<(tool_response|tool_result|tool_results|function_results|function_result|result|observation)\b[^<>\n]{0,64}>"
)
# The turn of somebody else begins here.
_TURN = re.compile(
    r"<(?:tool_response|tool_results?|function_results?|start_function_response|observation)\b|<\|?tool_response\|?>"
    r"|\[/?TOOL_RESULTS?\]|<\|observation\|>|\[INST\]|✿(?:RESULT|RETURN)✿|<｜tool▁outputs?▁begin｜>|<\|tool_result"
    r"|<\|im_start\|>\s*+(?:user|tool|system|human)|<start_of_turn>\s*+(?:user|tool)|<\|(?:user|human|START_TOOL_RESULT)\|>"
    r"|<\|start_header_id\|>\s*+(?:user|ipython|tool)|<\|start\|>(?:user|functions\.)"
    r"|^[ \t]{0,8}+(?:\*\*)?(?:User|Human|Observation|Tool result|Tool response|Result)(?:\*\*)?:",
    re.M,
)
_WORD = re.compile(r"\w")
_SPECIAL = re.compile(r"<[|｜][^<>\n]{1,40}[|｜]>|</?s>|</?[\w:]{1,40}>|\[/?[A-Z_]{2,20}\]")


class Echoes:
    """Where a text repeats results, or goes on with the turn of somebody else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._turns: list[int] | None = None

    def end_of_echo(self, since: int, position: int, *, after_call: bool) -> int | None:
        """Where to go on if a position is in an echo; None if it is in none.

        Args:
            since: where the last call ended.
            position: a place behind it.
            after_call: whether there was a call. What follows another's turn is played then.
        """
        if self._turns is None:
            self._turns = [one.start() for one in _TURN.finditer(self._text)]
        index = bisect_left(self._turns, since)
        if index == len(self._turns) or self._turns[index] >= position:
            return None
        if after_call:
            return len(self._text)
        turn = self._turns[index]
        result = _RESULT.match(self._text, turn)
        if result is None:
            return None
        end = self._text.find(f"</{result.group(1)}>", turn)
        return len(self._text) if end < 0 else end if end > position else None


def quoted(text: str, spans: Sequence[tuple[int, int]]) -> set[int]:
    """Which of these elements are examples: those within a sentence, or within code of a line.

    Elements without words between them are one.
    """
    found: set[int] = set()
    index, line_is_called = 0, -1
    while index < len(spans):
        last = index
        while last + 1 < len(spans) and not _words(text[spans[last][1] : spans[last + 1][0]][:400]):
            last += 1
        start, end = spans[index][0], spans[last][1]
        if start > line_is_called and stands_in_sentence(text, start, end):
            found.update(range(index, last + 1))
        else:
            line_is_called = text.find("\n", end)
            line_is_called = len(text) if line_is_called < 0 else line_is_called
        index = last + 1
    return found


def _words(part: str) -> bool:
    return _WORD.search(_SPECIAL.sub(" ", part)) is not None


def stands_in_sentence(text: str, start: int, end: int) -> bool:
    """Whether words stand before a part of a text and behind it, on one line, or it is code within one."""
    if "\n" in text[start:end].strip():
        return False
    before = text[max(0, start - 400) : start].rpartition("\n")[2]
    after = text[end : end + 400].partition("\n")[0]
    if before.endswith("`") and after.startswith("`") and not before.endswith("```"):
        return _words(before) or _words(after)
    return _words(before) and _words(after)
