"""The marks around thinking, as data, and the patterns that find them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

LONGEST_MARK = 512  # characters, with attributes
# Tags by the name that closes them: a block that opens with one name of a row may close with another.
WORDS: dict[str, tuple[str, ...]] = {
    "think": ("thinking", "think", "thoughts", "thought"),
    "reasoning": ("reasoning",),
    "reflection": ("reflection",),
    "scratchpad": ("scratchpad",),
    "monologue": ("monologue",),
}
# Special tokens. Where a row has two closing marks, either of them closes.
PAIRS: tuple[tuple[str, ...], ...] = (
    ("[THINK]", "[/THINK]"),  # Mistral
    ("[BEGIN OF THINKING]", "[END OF THINKING]"),
    ("[unused16]", "[unused17]"),  # Pangu
    ("◁think▷", "◁/think▷"),  # Kimi VL
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),  # Kimi K3
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker
    ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    ("<|think:start|>", "<|think:end|>"),  # Solar
    ("<|think|>", "<|/think|>", "<|end|>"),  # Solar
    ("<|content_thinking|>", "<|end_message|>"),  # Inkling
    ("<|channel>", "<channel|>"),  # Gemma 4
    ("<unused94>", "<unused95>"),  # MedGemma
    ("<ifm|think>", "</ifm|think>"),  # K2 Horizon
    ("<ifm|think_fast>", "</ifm|think_fast>"),
)
LABELLED = ("<|channel>", "<unused94>")  # a label follows on the same line, such as `thought`
# Marks around the answer, which say nothing once the thinking is gone.
WRAPPERS = (
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|open|>response<|sep|>",
    "<|close|>response<|sep|>",
    "<|message_model|><|content_text|>",
    "<|begin|>assistant<|content|>",
)
# What may begin a reply instead of a mark: harmony whose special tokens were removed, and Granite.
HARMONY_LEAD = "analysis"
LEADS = {HARMONY_LEAD: "stripped", "Here is my thought process:": "phrase", "Here's my thought process:": "phrase"}

_PREFIXES = ("", "seed:", "mm:", "ant:", "antml:", "longcat_", "inner_", "ant")
_PREFIX = rf"(?:{'|'.join(filter(None, _PREFIXES))})?"
_ATTRIBUTES = r"(?::\w{1,16})?(?:\s[^<>]{0,64})?"
_HARMONY_END = r"<\|(?:end|return|call)\|>|(?=<\|start\|>|<\|channel\|>)"
_START = re.compile(r"[<\[◁]")
_LONGEST_FIXED = 48
_SWITCH = re.compile(r"\b(?:enable_thinking|thinking_budget|reasoning_effort)\b")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thinking.

    Attributes:
        name: a row's first word or its opening mark.
        closes: what closes it.
        marks: what closes it (group `close`), or opens another one in it (group `open`).
        starts: where one of the marks may begin.
        begun: beginnings of marks of its own, in lower case.
        word: whether its marks are tags, which people also write about.
    """

    name: str
    closes: re.Pattern[str]
    marks: re.Pattern[str]
    starts: re.Pattern[str]
    begun: frozenset[str]
    word: bool


def _tag(slash: str, words: Iterable[str]) -> str:
    return rf"<{slash}{_PREFIX}(?:{'|'.join(words)}){_ATTRIBUTES}(?<!/)>"


def _literal(mark: str) -> str:
    # Tags and special tokens come in any case; `[think]` also stands in other texts.
    return re.escape(mark) if mark[0] != "[" else f"(?-i:{re.escape(mark)})"


def _any(marks: Iterable[str]) -> str:
    return "|".join(map(_literal, marks))


_EVERY_WORD = tuple(word for words in WORDS.values() for word in words)


def _heads() -> str:
    """A pattern for what follows the first character of a mark."""
    tags = (f"{slash}{prefix}{word}" for slash in ("", "/") for prefix in _PREFIXES for word in _EVERY_WORD)
    others = (mark[1:] for row in (*PAIRS, WRAPPERS) for mark in row)
    heads = sorted({mark[:3].lower() for mark in (*tags, *others)})
    return "|".join([r"\|", *(re.escape(head) for head in heads if head[0] != "|")])


# Most text has brackets, and few of them begin a mark.
_LIKELY = re.compile(rf"[<\[◁](?=(?i:{_heads()}))")
_CHANNEL = r"[^<\n]{0,160}(?:<\|constrain\|>[^<\n]{0,40})?"
TOKEN = re.compile(
    "|".join(
        (
            rf"(?P<tag><(?P<slash>/?){_PREFIX}(?P<word>{'|'.join(_EVERY_WORD)}){_ATTRIBUTES}(?<!/)>)",
            rf"(?P<labelled>(?P<opening>{_any(LABELLED)})(?:[a-z]{{1,16}}\n)?)",
            rf"(?P<open>(?:<\|message_model\|>(?=<\|content_thinking))?(?:{_any(row[0] for row in PAIRS if row[0] not in LABELLED)}))",
            r"(?P<turn><\|end\|>(?=<\|start\|>assistant))",
            rf"(?P<close>{_any(mark for row in PAIRS for mark in row[1:] if mark not in ('<|end|>', '<|end_message|>'))})",
            rf"(?P<wrapper>{_any(WRAPPERS)})",
            rf"(?P<header><\|start\|>\s{{0,4}}assistant(?:(?P<role>[^<\n]{{0,160}})<\|channel\|>(?P<named>{_CHANNEL}))?<\|message\|>)",
            rf"(?P<bare><\|channel\|>(?P<channel>{_CHANNEL})<\|message\|>)",
            r"(?P<end><\|(?:end|return|end_message)\|>)",
        )
    ),
    re.I,
)
"""Finds what may be a mark. Its groups say what it is."""


_BEGUN = r"[^<\n]{0,160}(?:<\|constrain\|>[^<\n]{0,40})?(?:<[|a-z]{0,11}>?)?"
# The beginnings of marks that are not the same each time.
_GROWS = re.compile(
    "|".join(
        (
            rf"</?{_PREFIX}(?:{'|'.join(_EVERY_WORD)})(?::\w{{0,16}})?(?:\s[^<>]{{0,64}})?>?\Z",
            rf"(?:{_any(LABELLED)})[a-z]{{0,16}}\n?\Z",
            rf"<\|channel\|>{_BEGUN}\Z",
            rf"<\|start\|>\s{{0,4}}(?:[a-z]{{0,9}}|assistant(?:[^<\n]{{0,160}}<\|channel\|>{_BEGUN}|[^<\n]{{0,160}}(?:<[|a-z]{{0,11}}>?)?))\Z",
        )
    ),
    re.I,
)


def _beginnings(marks: Iterable[str]) -> frozenset[str]:
    return frozenset(mark[:size].lower() for mark in marks for size in range(1, len(mark) + 1))


@cache
def _fixed() -> frozenset[str]:
    tags = (f"{slash}{prefix}{word}" for slash in ("<", "</") for prefix in _PREFIXES for word in _EVERY_WORD)
    pairs = (mark for row in PAIRS for mark in row)
    more = (
        "<|message_model|><|content_thinking|>",
        "<|return|>",
        "<|call|>",
        "<|end|><|start|>assistant",
        "<|start|>",
        "<|channel|>",
    )
    return _beginnings((*tags, *pairs, *WRAPPERS, *more))


def next_token(text: str, at: int) -> re.Match[str] | None:
    """The next text that may be a mark: see `TOKEN`."""
    for start in _LIKELY.finditer(text, at):
        found = TOKEN.match(text, start.start())
        if found is not None:
            return found
    return None


def growing_from(text: str, at: int, kind: Kind | None) -> int:
    """Where the end of a text begins that may grow into a mark of this kind; its length if nowhere."""
    begin = max(at, len(text) - LONGEST_MARK)
    starts = _START if kind is None else kind.starts
    for start in starts.finditer(text, begin):
        end = text[start.start() :].lower()
        if (len(end) <= _LONGEST_FIXED and (end in _fixed() or (kind is not None and end in kind.begun))) or _GROWS.match(end):
            return start.start()
    return len(text)


def thinks_by_template(template: str) -> bool | None:
    """Whether a chat template is one of a model that thinks: it writes the marks of thinking, or has a
    switch for it. None without a template.
    """
    if not template:
        return None
    if _SWITCH.search(template):
        return True
    at, found = 0, next_token(template, 0)
    while found is not None and found.end() > at:
        channel = found["channel"] or found["named"] or ""
        if found["tag"] or found["open"] or found["close"] or found["labelled"] or channel.strip() == HARMONY_LEAD:
            return True
        at = found.end()
        found = next_token(template, at)
    return False


@cache
def kind_of(name: str) -> Kind:
    """The kind of this name: a key of `WORDS`, an opening mark, `analysis`, `opened` or a lead."""
    more: tuple[str, ...] = ()
    nested = ""
    if name in WORDS:
        closes, nested = _tag("/", WORDS[name]), _tag("", WORDS[name])
    elif name == "analysis":
        closes = _HARMONY_END
    elif name == "stripped":
        closes = r"assistantfinal|assistantcommentary(?! to=)|(?=assistantcommentary to=)"
        more = ("assistantfinal", "assistantcommentary to=")
    elif name == "phrase":
        closes, more = r"Here(?: is|'s) my response:", ("Here is my response:", "Here's my response:")
    elif name == "opened":
        closes = rf"{_tag('/', _EVERY_WORD)}|{_any(mark for row in PAIRS for mark in row[1:])}"
    else:
        row = next(row for row in PAIRS if row[0].lower() == name.lower())
        closes, nested = _any(row[1:]), _literal(row[0])
    marks = rf"(?P<close>{closes})" + (rf"|(?P<open>{nested})" if nested else "")
    starts = re.compile(rf"[{_START.pattern[1:-1]}{more[0][0] if more else ''}]", re.I)
    word = name in WORDS or name.startswith("[")
    return Kind(name, re.compile(closes, re.I), re.compile(marks, re.I), starts, _beginnings(more), word)


@cache
def kind_of_word(word: str) -> Kind:
    """The kind of a tag with this word."""
    return kind_of(next(name for name, words in WORDS.items() if word.lower() in words))


@cache
def kind_of_closing(mark: str) -> Kind:
    """The kind that a special token closes."""
    return kind_of(next(row[0] for row in PAIRS if mark.lower() in map(str.lower, row[1:])))
