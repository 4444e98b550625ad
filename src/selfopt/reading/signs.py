"""Tells whether a text that was not read looks like a call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from selfopt.records import UNKNOWN_FORMAT, ToolDefinition

from .mentions import Mentions
from .readers.base import Effort, clean_text
from .readers.chains import HARMONY, LOOK_BACK, MarkChain
from .readers.echoes import Echoes, stands_in_sentence
from .readers.marked import READER
from .readers.marks import Mark
from .readers.names import Names
from .readers.rehearsed import is_rehearsed
from .readers.scan import Body, Scan
from .readers.shapes import shape_of

_LOOKED_AT = 64  # marks, names and objects of a text that are looked at
_LOOK = 160  # characters that a look at a mark counts for
_LINE = 2000  # characters of a line that are looked at
_LONGEST_MARK = 70
_WORDS = 8  # words behind a mark that may be a name
_LABELS = 64  # characters behind a mark in which a name is looked for
_HEAD = 2048  # characters of an object that show whether it begins as calls do
_TAIL = 200  # characters at the end of a text that may be a mark which is cut off
_WRITTEN = re.compile(r"(?:functions?\.|call:\s*+)?+[\w.:/\-]{1,256}+")
_SIGN = re.compile(r"[{\[(<:=]")
_OBJECT = re.compile(r"[{\[]")
# An object that begins as calls do.
_CALL_SHAPED = re.compile(
    r"""\{\s*+["'“]?(?:name|function|tool|tool_name|toolName|function_name|func|action|recipient_name)["'”]?\s*+[:=]\s*+["'“{]"""
    r"""|\{\s*+["'“]?(?:tool_calls?|function_call|functionCall|toolCalls?|tool_uses)["'”]?\s*+:"""
    r"""|\{\s*+["'“]?type["'”]?\s*+:\s*+["'“]function["'”]"""
)
_ARGUMENTS = re.compile(r"""["'“]?(?:arguments|parameters|args|tool_input|action_input|input)["'”]?\s*+[:=]""")
# What may be a mark that no family of the table has.
_MARK = re.compile(r"<[|｜][^<>\s]{1,60}[|｜]>|<[\w:.|\-]{1,60}>|\[[\w:.\-]{1,60}\]")
_CALLING = re.compile(r"call|invoke|tool|func|action|plugin", re.I)
_NOT_CALLING = re.compile(r"result|response|output|return|observ|defin|schema|avail|list|im_|header|eot|(?<![a-z])end", re.I)
_MARK_BEFORE = re.compile(rf"(?:{_MARK.pattern})\s{{0,4}}\Z")
_LABEL = re.compile(r"""[\s"'|:=>(]{0,12}+(?:(?:name|tool|function|call)[\s"'|:=]{1,6}+)?+""")
_GOES_ON = re.compile(r"""["'\s|:;,=>/#]{0,8}+(?:[{\[(<]|\w{1,64}+["']?\s?[:=])""")
_DEFINED = re.compile(r"\b(?:def|function|func|fn|class|sub|proc)[ \t]++([\w.\-]{1,128}+)")


def sign_of_call(text: str, tools: Sequence[ToolDefinition]) -> str:
    """The family whose call a text seems to hold; `UNKNOWN_FORMAT` if no family can be told; "" if none.

    A mention of marks or names, an example in a sentence, a definition and data between marks are no
    calls. The text is one in which no reader found a call.
    """
    text = clean_text(text)
    if not _SIGN.search(text) and not READER.marks.may_stand_in(text):
        return ""
    names = Names.of(tools)
    scan = Scan(text, names, READER.marks, Effort(len(text) + 2048))
    echoes = Echoes(text)
    return _family(scan, echoes) or _cut_off(scan) or (UNKNOWN_FORMAT if _seems_call(scan, echoes) else "")


def _family(scan: Scan, echoes: Echoes) -> str:
    """The family whose mark stands before what begins as a call."""
    chain = MarkChain()
    at = 0 if scan.marks.may_stand_in(scan.text) else len(scan.text)
    for _ in range(_LOOKED_AT):
        found = scan.marks.opening.search(scan.text, at)
        if found is None or not scan.effort.spend(_LOOK):
            break
        at = max(found.end(), found.start() + 1)
        mark = scan.marks.mark(found)
        echo = echoes.end_of_echo(0, found.start(), after_call=False)
        if mark.piece == "to=" and _is_addressed(scan, found):
            return mark.families[0].name
        if echo is not None or mark.behind or mark.word:
            at = max(echo or 0, at)
            continue
        chain.add(scan, found, mark)
        begun = _begun(scan, found, mark)
        if begun is None or stands_in_sentence(scan.text, found.start(), begun.end):
            continue
        if chain.is_special or not is_rehearsed(scan.text, chain.start, begun.end, marked=True):
            return chain.family(scan, found, begun, begun.end).name
    return ""


def _is_addressed(scan: Scan, found: re.Match[str]) -> bool:
    """Whether a harmony message goes to an offered tool."""
    name = _WRITTEN.match(scan.text, found.end())
    before = HARMONY.search(scan.text, max(0, found.start() - LOOK_BACK), found.start())
    return name is not None and scan.names.match(name.group()) is not None and before is not None and bool(before.group().strip())


def _begun(scan: Scan, found: re.Match[str], mark: Mark) -> Body | None:
    """What begins as a call behind a mark: its form, and the position up to which it was looked at."""
    at = scan.skip(found.end())
    text = scan.text
    if mark.named:
        known = scan.names.match(found.group(found.lastindex or 0)) is not None
        begins = scan.parameter(at) is not None or text.startswith("{", at) or (known and at >= len(text))
        if not begins or (scan.value(at) is not None and not known):
            return None
        return Body((), at + 1, "json" if text.startswith("{", at) else "parameters", named=True)
    if at >= len(text):
        return Body((), at)
    if _OBJECT.match(text, at):
        read = scan.value(at)
        if read is None and (mark.special or _is_call_shaped(scan, at)):
            return Body((), len(text))
        return Body((), read[1]) if read is not None and shape_of(read[0], scan.names).unread else None
    word = _WRITTEN.match(text, at)
    if word is None:
        return None
    name = word.group().removeprefix("call:").strip()
    cut = word.end() == len(text) and any(one.startswith(name.removeprefix("functions.")) for one in scan.names.names)
    if scan.names.match(name) is None and not cut:
        return None
    behind = text[word.end() : word.end() + _TAIL]
    if text[at:].startswith("call:"):
        return Body((), word.end(), "braces", named=True)
    if "arg_key" in behind or "<param" in behind:
        return Body((), word.end(), "parameters", named=True)
    return Body((), word.end(), "keywords" if behind.startswith("(") else "json", named=not behind.startswith("("))


def _is_call_shaped(scan: Scan, at: int) -> bool:
    """Whether an object or a list that can't be read begins as calls do."""
    head = scan.text[at : at + _HEAD]
    if _CALL_SHAPED.search(head):
        return _ARGUMENTS.search(head) is not None or any(name[:8] in head for name in scan.names.names)
    return any(f'"{name}"' in head or f"'{name}'" in head for name in scan.names.names)


def _cut_off(scan: Scan) -> str:
    """The family whose mark with an offered name is cut off at the end of the text."""
    tail = scan.text[-_TAIL:]
    for mark in scan.marks.marks if "<" in tail else ():
        head = mark.piece.partition("{name}")[0]
        at = tail.rfind(head) if mark.named else -1
        if at >= 0:
            begun = tail[at + len(head) :].strip("\"'")
            if any(name.startswith(begun) for name in scan.names.names):
                return next((one for one in mark.families[::-1] if one.body == "parameters"), mark.families[-1]).name
    return ""


def _seems_call(scan: Scan, echoes: Echoes) -> bool:
    """Whether an offered name stands as in a call or behind unknown marks, or a broken object begins as a call."""
    places = sorted({*_named(scan), *_broken(scan), *_behind_unknown_marks(scan)})
    return any(
        echoes.end_of_echo(0, start + 1, after_call=False) is None
        and not stands_in_sentence(scan.text, start, end)
        and not is_rehearsed(scan.text, start, end)
        and not _is_result(scan.text, start)
        for start, end in places[:_LOOKED_AT]
    )


def _is_result(text: str, at: int) -> bool:
    """Whether a mark of results or of definitions stands directly before this position."""
    before = _MARK_BEFORE.search(text[max(0, at - _LONGEST_MARK) : at])
    return before is not None and _NOT_CALLING.search(before.group()) is not None


def _named(scan: Scan) -> Iterator[tuple[int, int]]:
    """Where offered names are followed by an opening, or stand in a tag."""
    names = tuple(name for name in scan.names.names if name in scan.text)
    pattern = _pattern(names) if names else None
    if pattern is None:
        return
    mentions = Mentions(scan.text, scan.names)
    defined = set(_DEFINED.findall(scan.text))
    for found in islice(pattern.finditer(scan.text), _LOOKED_AT):
        if found.group(found.lastgroup or 0) not in defined and not mentions.has(found):
            yield found.start(), _end_of_call(scan.text, found.end())


def _behind_unknown_marks(scan: Scan) -> Iterator[tuple[int, int]]:
    """Where an offered name stands behind a mark that speaks of calls, or behind any special token if more follows."""
    text = scan.text
    for found in islice(_MARK.finditer(text), _LOOKED_AT):
        mark, label = found.group(), _LABEL.match(text, found.end())
        calling, special = _CALLING.search(mark) is not None, mark[1] in "|｜"
        if label is None or not (calling or special) or _NOT_CALLING.search(mark):
            continue
        word = _WRITTEN.match(text, label.end())
        named = word is not None and scan.names.match(word.group()) is not None
        if calling and special and (named or _is_named(scan, found.end())):
            yield found.start(), _end_of_call(text, found.end())
        elif word is not None and named and _GOES_ON.match(text, word.end()):
            yield found.start(), _end_of_call(text, word.end())


def _is_named(scan: Scan, at: int) -> bool:
    """Whether an offered name stands shortly behind this position."""
    words = _WRITTEN.finditer(scan.text[at : at + _LABELS])
    return any(scan.names.match(word.group()) is not None for word in islice(words, _WORDS))


def _end_of_call(text: str, at: int) -> int:
    """Where brackets end that may begin before this position, or else the line."""
    line = text.find("\n", at, at + _LINE)
    line = min(len(text), at + _LINE) if line < 0 else line
    return max((end + 1 for end in (text.rfind(one, at, line) for one in ")}]>") if end >= 0), default=line)


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    written = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    before = r"(?<![\w.\-/])(?:functions\.|default_api\.)?"
    opening = r"""(?::[0-9]{1,6})?(?:\.call)?(?:\(|[|;#]{1,2}+\{(?=\s*+["'])|[ \t]{0,4}+\n\s{0,8}+Action Input\s?:|\s{0,4}+(?:\{(?=\s*+["'\w}]|\Z)|\[(?=\s*+["'{]))|\s{0,4}+:\s{0,8}+[{\["']|\[ARGS\]|\s{0,4}+<(?:[|｜]|arg_|param))"""
    tag = rf"""(?:<|^(?=invoke ))(?:[\w:|｜]{{1,40}}+(?:\s+name)?=\s*+["']?)?(?P<tag>{written})(?![\w.\-])"""
    element = rf"<(?i:function|name|tool|tool_name|function_name|action)>\s{{0,8}}(?P<element>{written})\s{{0,8}}</|<ACTION:[ \t]*+(?P<label>{written})\n"
    return re.compile(rf"{before}(?P<name>{written}){opening}|{tag}|{element}", re.M)


def _broken(scan: Scan) -> Iterator[tuple[int, int]]:
    """Where an object begins as calls do but can't be read."""
    at = 0
    for _ in range(_LOOKED_AT):
        found = _CALL_SHAPED.search(scan.text, at)
        if found is None or not scan.effort.spend(_HEAD // 4):
            return
        read = scan.value(found.start())
        at = read[1] if read is not None else found.end()
        if read is None and _is_call_shaped(scan, found.start()):
            yield found.start(), _end_of_call(scan.text, found.end())
        elif read is not None and shape_of(read[0], scan.names).unread:
            yield found.start(), read[1]
