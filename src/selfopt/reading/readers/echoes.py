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
    r"|\[/?TOOL_RESULTS?\]|<\|observation\|>|\[INST\]|✿(?:RESULT|RETURN)✿|<｜tool▁outputs?▁begin｜>|<\|tool_result|<\|im_system\|>\s*+tool|```tool_outputs?\b"
    r"|<\|im_start\|>\s*+(?:user|tool|system|human)|<start_of_turn>\s*+(?:user|tool)|<\|(?:user|human|START_TOOL_RESULT)\|>"
    r"|<\|start_header_id\|>\s*+(?:user|ipython|tool)|<\|start\|>(?:user|functions\.)"
)
_LABEL = r"[ \t]{0,8}+(?:\*\*)?(?:User|Human|Observation|Tool (?:result|response|output)s?|Result)(?:\*\*)?:"
_FIRST_LABEL, _LABELS = re.compile(_LABEL), re.compile(rf"\n{_LABEL}")  # found faster than by ^
_USER = re.compile(
    r"<\|im_start\|>\s*+(?:user|human)|<start_of_turn>\s*+user|<\|user\|>|[ \t]{0,8}(?:\*\*)?(?:User|Human)(?:\*\*)?:"
)
_MODEL = re.compile(
    r"<\|im_start\|>\s*+assistant|<start_of_turn>\s*+model|<\|assistant\|>|^[ \t]{0,8}+(?:\*\*)?(?:Assistant|AI|Model)(?:\*\*)?:",
    re.M,
)
_WORD = re.compile(r"\w")
_LINE = 400  # characters of a line that are looked at on either side of a call
# Also what an interpreter shows behind its prompt.
_BLOCK_QUOTE = re.compile(r"[ \t]{0,3}>{1,3}[ \t]")
_QUOTED = (("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("«", "»"), ("»", "«"), ("‘", "’"), ("「", "」"))
_TAGS = r"(?:\s{0,4}(?:</?[\w:|｜▁]{1,48}>|\[/?[A-Z_]{2,20}\])){1,4}"
_MARKS_BEFORE, _MARKS_AFTER = re.compile(rf"{_TAGS}\s*\Z"), re.compile(rf"\A\s*{_TAGS}")
_FIRST_WORD = re.compile(r"[\s,，;)$*_\-–—]{0,8}(\w)")
_SENTENCE_ENDS = (".", ":", "!", "?", "。", "：", "！", "？", "→", ">", "*", "|")
_SPECIAL = re.compile(
    r"<\|(?:open|close)\|>[^<>\n]{0,160}<\|sep\|>|<[|｜][^<>\n]{1,40}[|｜]>|</?s>|</?[\w:]{1,40}>|\[/?[A-Z_]{2,20}\]"
)


class Echoes:
    """Where a text repeats results, or goes on with the turn of somebody else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._turns: list[int] | None = None
        self._own: list[int] | None = None  # where the model's own turns begin

    def end_of_echo(self, since: int, position: int, *, after_call: bool) -> int | None:
        """Where to go on if a position is in an echo; None if it is in none.

        Args:
            since: where the last call ended.
            position: a place behind it.
            after_call: whether there was a call. What follows another's turn is played then.
        """
        if self._turns is None:
            labels = [one.start() + 1 for one in _LABELS.finditer(self._text)]
            first = [0] if _FIRST_LABEL.match(self._text) else []
            self._turns = sorted((*first, *labels, *(one.start() for one in _TURN.finditer(self._text))))
        index = bisect_left(self._turns, since)
        if index == len(self._turns) or self._turns[index] >= position:
            return None
        if after_call:
            return len(self._text)
        turn = self._turns[bisect_left(self._turns, position) - 1]
        result = _RESULT.match(self._text, turn)
        if result is None:
            return self._end_of_turn(turn, position)
        end = self._text.find(f"</{result.group(1)}>", turn)
        return len(self._text) if end < 0 else end if end > position else None

    def _end_of_turn(self, turn: int, position: int) -> int | None:
        """Where the model's own turn begins behind this position, if that is in a turn of the user."""
        if not _USER.match(self._text, turn):
            return None
        if self._own is None:
            self._own = [one.start() for one in _MODEL.finditer(self._text)]
        index = bisect_left(self._own, turn)
        own = self._own[index] if index < len(self._own) else 0
        return own if own >= position else None


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
    """Whether words stand before a part of a text and behind it, on one line, or it is quoted."""
    if _in_block_quote(text, start, end):
        return True
    sides = _beside(text, start, end)
    if sides is None:
        return False
    before, after = sides
    if before.endswith("`") and after.startswith("`") and not before.endswith("```"):
        return _words(before) or _words(after)
    if not (_words(before) and _words(after)):
        return False
    first = _FIRST_WORD.match(after)
    # A sentence ends before it, and another begins behind it.
    apart = before.rstrip().endswith((".", "!", "。", "！")) and first is not None and not first.group(1).islower()
    return not apart or after.rstrip().endswith("?")


def told(text: str, spans: Sequence[tuple[int, int]]) -> set[int]:
    """Which of these calls without marks are examples: quoted, asked about, or followed by more of their sentence.

    Calls on one line belong together.
    """
    found: set[int] = set()
    index = 0
    while index < len(spans):
        last = index
        while last + 1 < len(spans) and "\n" not in text[spans[last][1] : spans[last + 1][0]][:_LINE]:
            last += 1
        if _is_told(text, spans[index][0], spans[last][1]):
            found.update(range(index, last + 1))
        index = last + 1
    return found


def _is_told(text: str, start: int, end: int) -> bool:
    if _in_block_quote(text, start, end):
        return True
    sides = _beside(text, start, end)
    if sides is None:
        return False
    before, after = sides
    for opening, closing in _QUOTED:
        if before.endswith(opening) and after.startswith(closing) and not before.endswith("```"):
            return _words(before) or _words(after)
    for opening, closing in (("|", "|"), ("<!--", "-->")):
        if before.rstrip().endswith(opening) and after.lstrip().startswith(closing):
            return True  # a row of a table, or a remark
    bare, rest = _MARKS_BEFORE.sub("", before), _MARKS_AFTER.sub("", after)
    marked = bare != before and rest != after
    if marked and stands_in_sentence(text, start - len(before) + len(bare), end + len(after) - len(rest)):
        return True
    if not marked and after.lstrip().startswith(("<|", "<｜", "</s>")):
        return False  # the turn ends
    rest = rest.strip()
    if _words(bare) and (rest.startswith("?") or rest.endswith("?")):
        return True
    first = _FIRST_WORD.match(rest)
    if first is None or first.group(1).isupper() or first.group(1).isdigit():
        return False
    return first.group(1).islower() or (_words(bare) and not bare.rstrip().endswith(_SENTENCE_ENDS))


def _in_block_quote(text: str, at: int, end: int) -> bool:
    """Whether a part of a text stands in a block quote with more text around it."""
    line = text.rfind("\n", max(0, at - _LINE), at) + 1
    if (line == 0 and at > _LINE) or _BLOCK_QUOTE.match(text, line) is None:
        return False
    return not (text[:line].isspace() or line == 0) or re.match(r"[\s>`]*+\Z", text[end:]) is None


def _beside(text: str, start: int, end: int) -> tuple[str, str] | None:
    """What stands before a part of a text and behind it on its line; None if it has several lines."""
    if "\n" in text[start:end].strip():
        return None
    return text[max(0, start - _LINE) : start].rpartition("\n")[2], text[end : end + _LINE].partition("\n")[0]
