"""How many prompts of each kind a tool gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from selfopt.records import DropReason, ToolDefinition

from .checks import needed_of
from .drafts import DraftKind

_SPARE = 1.25  # of each kind so many times its share may be kept, since of another kind there may be too few
_SHARES: dict[DraftKind, float] = {"direct": 0.55, "needed detail missing": 0.2, "near miss": 0.25}
_PAIRS = 0.1


@dataclass(frozen=True, slots=True)
class Quota:
    """How many prompts of one kind there may be about one tool, or about two tools of one set.

    Attributes:
        kind: `direct` for paraphrases, too.
        tools: one, or the set for two things at once.
        group: the place of their set.
    """

    kind: DraftKind
    tools: tuple[ToolDefinition, ...]
    group: int
    most: int


@dataclass(frozen=True, slots=True)
class Drops:
    """How much of what was written is no prompt: of all of it, and for each tool by its name."""

    total: Counter[DropReason] = field(default_factory=Counter)
    by_tool: dict[str, Counter[DropReason]] = field(default_factory=dict)

    def add(self, tool: str, reason: DropReason) -> None:
        """Count one."""
        self.total[reason] += 1
        self.by_tool.setdefault(tool, Counter())[reason] += 1


def quotas_of(sets: Sequence[tuple[ToolDefinition, ...]], wanted: int) -> list[Quota]:
    """The quotas of all tools, together somewhat more than are wanted. Those of one tool are neighbours.

    A tool that requires nothing has no prompts that lack a detail, and the more near misses.
    """
    count = sum(map(len, sets))
    each, pairs = _SPARE * wanted / count, _PAIRS if count > 1 else 0.0
    found: list[Quota] = []
    for group, tools in enumerate(sets):
        for tool in tools:
            shares = dict(_SHARES)
            if not needed_of(tool):
                shares["near miss"] += shares.pop("needed detail missing")
            found += [Quota(kind, (tool,), group, ceil(each * (1 - pairs) * share)) for kind, share in shares.items()]
        if len(tools) > 1:
            found.append(Quota("two at once", tools, group, ceil(each * pairs * len(tools))))
    return found
