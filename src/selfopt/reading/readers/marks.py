"""Finds marks of families in a text, also as servers and damaged models write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from selfopt.reading.family import Family

# Bars and blanks of special tokens also come in ASCII, doubled, or with a space behind them.
_BARS, _BLANK = "[|｜‖]{1,2} ?", r"(?:[▁_ ]|\\_)?"
_MINIMAX = r"\]<\]minimax\[>\["
_PIECE = re.compile(rf"<\|(?:open|close)\|>[^<>]*<\|sep\|>|(?:{_MINIMAX})?<[^<>\n]*>|\[/?[A-Z_]+\]|\[unused\d+\]")
_PARTS = re.compile(r"(?P<bars>[｜|]+)|(?P<blank>[▁_])|(?P<space>\s+)|[^｜|▁_\s]+")
# The end of a name may hold a special token, and the end of its mark may be missing.
_NAME = r"""["']?([^"'<>{}\n]{1,256}+)(?:<\|[^<>\n]{1,40}+>\w{0,16}+)?["']?"""
_END_OF_TAG = r"(?:[^<>{}\n]{0,64}+>|(?=\{)|(?=[ \t]*+\n[ \t]*+<param))"
_KIND, _TYPE = r"(?:longcat_|ifm\|)?", r"(?:<ifm\|arg_type>\w{0,32}+</ifm\|arg_type>\s*+)?+"
_SUFFIX = r"(?::[\w\-]{1,24}+)?"
_PREFIX = rf"(?:{_BARS}DSML{_BARS}|[a-z]{{2,12}}:)?+"
_ELEMENTS = "tool_?calls?|function_calls?|function_invocation|function|invoke|calls?|tools?|use_mcp_tool|tool_code|code|parameters|arguments"

SPACE = re.compile(rf"(?:\s|\\n(?=[<\s])|{_MINIMAX})*+")
"""What may stand between marks: also a line break that was escaped by mistake."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """How arguments stand between marks.

    Attributes:
        opening: the mark before an argument. Its group `key` is the argument's name, and `more` may
            say whether it is a string.
        closing: the mark after it.
        framed: `always` if a line break on either side belongs to the marks, `both` if two do,
            `never` if none does.
    """

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    framed: str


PARAMETERS = (
    Parameter(
        re.compile(rf"""<{_PREFIX}(?:parameter|param|argument|arg)=[ \t]*+["']?(?P<key>[^"'<>\n]{{1,256}}+)["']?(?P<more>)>"""),
        re.compile(rf"</{_PREFIX}(?:parameter|param|argument|arg)>"),
        "always",
    ),
    Parameter(
        re.compile(
            rf"<{_PREFIX}(?:parameter|param|argument|arg)[ \t]++(?:name|key)="
            r"""["']?(?P<key>(?<=["'])[^"'<>\n]{1,256}+|[^\s"'<>]{1,256}+)["']?(?P<more>[^<>\n]{0,64}+)>"""
        ),
        re.compile(rf"</{_PREFIX}(?:parameter|param|argument|arg)>"),
        "both",
    ),
    Parameter(
        re.compile(
            rf"(?:<{_KIND}arg_key{_SUFFIX}>\s*+){{1,2}}(?P<key>[^<>\n=]{{1,256}}+)(?P<more>)"
            rf"(?:(?:</{_KIND}arg_key{_SUFFIX}>(?:\s|\\n)*+){{1,2}}{_TYPE}(?:<{_KIND}arg_value{_SUFFIX}>)?"
            rf"|<{_KIND}arg_value{_SUFFIX}>|=)"
        ),
        re.compile(rf"</{_KIND}arg_value{_SUFFIX}>"),
        "never",
    ),
    Parameter(
        re.compile(r"""<\|open\|>argument key="(?P<key>[^"\n]{1,256}+)"(?P<more>[^<>\n]{0,64}+)<\|sep\|>"""),
        re.compile(r"<\|close\|>argument(?:<\|sep\|>)?"),
        "never",
    ),
)
"""How the families of the table write arguments between marks, and what models make of it."""

# These marks may stand in a namespace that no family is known to have.
_IN_NAMESPACE = re.compile(r"<(?:invoke|function_calls)\b")
_ENDING = re.compile(rf"(?:{_MINIMAX})?</{_PREFIX}(?:longcat_)?(?:{_ELEMENTS})(?::[\w\-]{{1,24}})?>")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that opens calls or a call.

    Attributes:
        piece: how its families write it.
        families: those that write it.
        behind: whether it stands behind the tool's name, so that it opens a call without its head.
    """

    piece: str
    families: tuple[Family, ...]
    behind: bool = False

    @property
    def named(self) -> bool:
        """Whether the tool's name is in it."""
        return "{name}" in self.piece

    @property
    def special(self) -> bool:
        """Whether it holds a token that no text holds."""
        return not self.behind and _is_special(self.piece)

    @property
    def word(self) -> bool:
        """Whether it is a word, which any text may hold."""
        return self.piece[:1] not in "<[]✿`"


class Marks:
    """The marks of some families.

    Attributes:
        marks: what opens calls or a call, the longest first.
        opening: a pattern for them. Its last group is the name in the mark, or is empty.
        ending: what ends a call or all calls.
        parameters: how arguments may stand between marks.
    """

    def __init__(self, families: Sequence[Family], known: Sequence[Family] = ()) -> None:
        """Take the opening marks of `families`, and the closing ones of `known` families, too."""
        marks: dict[str, Mark] = {}
        for behind, parts in ((False, _openings), (True, _behind)):
            for family in families:
                for mark in (family.around[0], _whole(family), *(other[0] for other in family.others)):
                    for piece in parts(mark):
                        before = marks.get(_pattern(piece), Mark(piece, (), behind))
                        if before.behind == behind and family not in before.families:
                            marks[_pattern(piece)] = replace(before, families=(*before.families, family))
        longest = sorted(marks, key=lambda pattern: (_head(pattern), len(marks[pattern].piece)), reverse=True)
        self.marks = tuple(marks[pattern] for pattern in longest)
        self.opening = re.compile(_any_of(longest) or "(?!)()")
        words = sorted({mark.piece.split()[0] for mark in marks.values() if mark.word})
        self._words = tuple(word for word in words if not any(word != one and word.startswith(one) for one in words))
        single = sorted({mark.piece[0] for mark in marks.values() if not mark.word})
        self._signs = re.compile("|".join(map(re.escape, single)) or "(?!)")
        closing = {piece for family in (*families, *known) for mark in _closings(family) for piece in _PIECE.findall(mark)}
        ends = [_pattern(one) for one in sorted(closing, key=len, reverse=True) if "{" not in one and not _ENDING.fullmatch(one)]
        self.ending = re.compile(_any_of(sorted({*ends, _ENDING.pattern}, key=lambda one: (_head(one), len(one)), reverse=True)))
        own = dict.fromkeys(family.parameter for family in families if family.body == "parameters")
        self.parameters = (*(_own(*marks) for marks in own if _is_new(marks[0])), *PARAMETERS)

    def may_stand_in(self, text: str) -> bool:
        """Whether a text has the beginning of a mark. Most have none, and this is told fast."""
        if self._signs.search(text):
            return True
        return any(map(text.__contains__, self._words))

    def mark(self, found: re.Match[str]) -> Mark:
        """The mark that `opening` found."""
        return self.marks[(found.lastindex or 1) - 1]


def _head(pattern: str) -> str:
    return next((head for head in (f"<{_BARS}", "</", "<") if pattern.startswith(head)), "")


def _any_of(patterns: Sequence[str]) -> str:
    """A pattern for any of these, which looks at what several begin with only once."""
    grouped = ((head, [one[len(head) :] for one in same]) for head, same in groupby(patterns, _head))
    return "|".join(f"{head}(?:{'|'.join(rest)})" for head, rest in grouped)


def _openings(mark: str) -> Iterator[str]:
    """The parts of an opening mark that may stand alone. What follows the tool's name is no such part."""
    before, named, _ = mark.partition("{name}")
    if before.endswith(" to=functions."):
        before = "to="
    if before.strip()[:1] not in ("<", "[", "]"):
        yield from filter(None, (before.strip(),))
        return
    for piece in _PIECE.finditer(mark):
        if piece.start() < len(before) or not named:
            yield piece.group()


def _whole(family: Family) -> str:
    """The mark before a call, and what follows if that is the mark of an argument."""
    named = family.body == "parameters" and family.marks[0].rstrip().endswith("{name}")
    return family.marks[0] + (family.parameter[0].partition("{key}")[0] if named else "")


def _behind(mark: str) -> Iterator[str]:
    """The parts of an opening mark behind the tool's name."""
    _, _, behind = mark.partition("{name}")
    yield from (piece for piece in _PIECE.findall(behind) if piece.startswith(("<", "[")) and "|sep|" not in piece)


def _closings(family: Family) -> Iterator[str]:
    yield from (family.marks[1], family.around[1], *(other[1] for other in family.others))


def _is_special(piece: str) -> bool:
    return any(sign in piece for sign in ("|", "｜", "[", "]", "✿", "start_function_call", "TOOLCALL"))


def _pattern(piece: str) -> str:
    """A pattern for a mark and its damaged forms. Its one group is the name in the mark."""
    before, named, _ = piece.partition("{name}")
    pattern = _literally(before.removesuffix('"'), special="|" in piece or "｜" in piece)
    if _IN_NAMESPACE.match(piece):
        pattern = f"<(?:[a-z]{{2,12}}:)?+{pattern[1:]}"
    if not named:
        suffixed = _SUFFIX if re.fullmatch(r"<\w+>", piece) else ""
        return f"{pattern[:-1]}{suffixed}>()" if suffixed else f"{pattern}()"
    return pattern + _NAME + (r"[^<>\n]{0,64}+<\|sep\|>" if piece.endswith("<|sep|>") else _END_OF_TAG)


def _literally(mark: str, *, special: bool) -> str:
    parts = []
    for part in _PARTS.finditer(mark):
        match part.lastgroup:
            case "bars":
                parts.append(_BARS)
            case "blank":
                parts.append(_BLANK if special else "_")
            case "space":
                parts.append(r"\s++")
            case _:
                parts.append(re.escape(part.group()))
    return "".join(parts)


def _is_new(opening: str) -> bool:
    """Whether arguments stand between marks that no built-in family has."""
    example = opening.strip().replace("{key}", "k").replace("{string}", "true").replace("{type}", "string")
    return "<{key}>" not in opening and not any(one.opening.fullmatch(example) for one in PARAMETERS)


def _own(opening: str, closing: str) -> Parameter:
    before, _, after = (re.sub(r"\s+", r"\\s*", re.escape(part.strip())) for part in opening.partition("{key}"))
    framed = "always" if opening.endswith("\n") else "never"
    return Parameter(
        re.compile(rf"{before}(?P<key>[^\n]{{1,256}}?)(?P<more>){after}"), re.compile(re.escape(closing.strip())), framed
    )
