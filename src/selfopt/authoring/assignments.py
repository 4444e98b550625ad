"""What is to be written: one prompt each, with the facts that it says or what its user does instead of asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

from selfopt.records import ToolCall, ToolDefinition

from .drafts import Draft, DraftKind
from .facts import Texts, facts, plain_parts

PHRASINGS = 2
"""How many texts say the same facts before others are drawn."""
STYLES = ("short", "polite", "chatty", "question")
REMARKS = (
    "says thanks for what was done before",
    "gives an opinion",
    "asks how such things work in general",
    "tells what happened in the past",
    "says that it is done already",
    "asks for the meaning or the history of a word of the topic",
)
_MENTIONS = (
    "",
    "my sister",
    "the weekend",
    "a friend",
    "last year",
    "the weather",
    "a book",
    "my work",
    "the neighbours",
    "a holiday",
)
_MAX_PAIRS = 40


@dataclass(frozen=True, slots=True)
class Assignment:
    """One prompt that is to be written.

    Attributes:
        kind: as of the draft that comes of it.
        tools: what it is about; two for two things at once.
        facts: for each tool the arguments that the text says.
        manner: the style of a request, or what the person of a near miss does.
        lacks: the required argument that it leaves out.
        mention: what a near miss mentions, for variety.
        number: its place among those of its kind and tool.
    """

    kind: DraftKind
    tools: tuple[ToolDefinition, ...]
    facts: tuple[dict[str, Any], ...]
    manner: str
    number: int
    lacks: str = ""
    mention: str = ""

    def draft(self, text: str) -> Draft:
        """What a text for it is, before it is checked."""
        calls = tuple(ToolCall(name=tool.name, arguments=some) for tool, some in zip(self.tools, self.facts, strict=True))
        return Draft(self.kind, text, calls if self.kind in ("direct", "two at once") else (), self.tools[0].name)


def assigned(kind: DraftKind, tools: Sequence[ToolDefinition], number: int, texts: Mapping[str, Texts]) -> Assignment | None:
    """The prompt of a kind with this number. None where there is none, since the schema has no plain values.

    Args:
        tools: one, or for two things at once those that are offered together.
        texts: values of free text for each tool, by its name.
    """
    first = tools[0]
    if kind == "near miss":
        mention = _MENTIONS[number // len(REMARKS) % len(_MENTIONS)]
        return Assignment(kind, (first,), ({},), REMARKS[number % len(REMARKS)], number, mention=mention)
    if kind == "two at once":
        return _pair(tools, number, texts)
    needed = plain_parts(first)
    if needed is None or (kind == "needed detail missing" and not needed):
        return None
    # Where the values come round again, other styles say them.
    manner = STYLES[(number + number // 16) % len(STYLES)]
    if kind == "direct":
        place = 1 + number // PHRASINGS
        return Assignment(kind, (first,), (facts(first, needed, place, texts.get(first.name)),), manner, number)
    lacks = list(needed)[number % len(needed)]
    drawn = facts(first, needed, number + 1, texts.get(first.name))
    kept = {name: value for name, value in drawn.items() if name in needed and name != lacks}
    return Assignment(kind, (first,), (kept,), manner, number, lacks=lacks)


def _pair(tools: Sequence[ToolDefinition], number: int, texts: Mapping[str, Texts]) -> Assignment | None:
    able = [(tool, needed) for tool in tools if (needed := plain_parts(tool)) is not None]
    pairs = list(islice(combinations(able, 2), _MAX_PAIRS))
    if not pairs:
        return None
    two = pairs[number % len(pairs)]
    drawn = tuple(facts(tool, needed, number * 3 + turn + 1, texts.get(tool.name)) for turn, (tool, needed) in enumerate(two))
    return Assignment("two at once", tuple(tool for tool, _ in two), drawn, STYLES[number % len(STYLES)], number)
