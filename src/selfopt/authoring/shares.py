"""Puts kept prompts into splits and sets of tools, and makes the suite of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.records import (
    DropReason,
    ExpectedCall,
    Message,
    Prompt,
    SplitBy,
    Suite,
    SyntheticPrompts,
    ToolDefinition,
    sha256_hex,
)
from selfopt.suites.check import validate_suite

from .drafts import Draft

MIN_EACH = 12
"""So many prompts of each split are the least that a search ranks on."""
HELDOUT = 100
"""So many held-out prompts a decision about prompts like these needs (`policy.MIN_HELDOUT_PROMPTS`)."""
HELDOUT_SHARE = 0.55
"""The share of families that is held out."""

Split = Literal["search", "heldout"]

ToolSets = Sequence[tuple[ToolDefinition, ...]]


@dataclass(frozen=True, slots=True)
class OfferedDraft:
    """A kept draft, with what its prompt offers.

    Attributes:
        group: the place of its set of tools.
        without: the tool that is left out of the set; "" for none.
    """

    draft: Draft
    group: int
    without: str = ""


def not_offered(drafts: Sequence[Draft], set_size: int) -> set[str]:
    """The families whose tool is left out of what is offered: every fifth of a tool's, where others are left."""
    if set_size < 3:
        return set()
    direct = [d for d in drafts if d.kind == "direct"]
    chosen = [family for place, family in enumerate(dict.fromkeys(d.family for d in direct)) if place % 5 == 4]
    return set(chosen)


def offer_of(tools: tuple[ToolDefinition, ...], without: str) -> tuple[ToolDefinition, ...]:
    """A set of tools without one of them."""
    return tuple(tool for tool in tools if tool.name != without)


def made_suite(name: str, title: str, sets: ToolSets, kept: Sequence[OfferedDraft], head: SyntheticPrompts) -> Suite:
    """The suite of kept prompts, split by sets of tools where both splits get enough, else by prompts."""
    splits = _by_sets(kept, len(sets))
    held_out: SplitBy = "tool_sets" if splits is not None else "prompts"
    chosen = splits if splits is not None else [_split_of(one.draft.family) for one in kept]
    named: dict[str, tuple[ToolDefinition, ...]] = {}
    prompts: list[Prompt] = []
    for number, (one, split) in enumerate(zip(kept, chosen, strict=True), 1):
        tool_set = (
            f"tools{one.group + 1}" if not one.without else f"tools{one.group + 1}-but-{_place(sets[one.group], one.without)}"
        )
        named.setdefault(tool_set, offer_of(sets[one.group], one.without))
        prompts.append(prompt_of(one.draft, tool_set, prompt_id=f"p{number:04d}", split=split))
    return Suite(
        name=name,
        title=title,
        phase="atomic",
        scope="sample",
        synthetic=head.model_copy(update={"held_out": held_out}),
        tool_sets=dict(sorted(named.items())),
        prompts=tuple(prompts),
    )


def counts_of(suite: Suite) -> Mapping[str, int]:
    """How many prompts each split has."""
    return Counter(prompt.split for prompt in suite.prompts)


def _place(tools: Sequence[ToolDefinition], name: str) -> int:
    return next(place for place, tool in enumerate(tools, 1) if tool.name == name)


def prompt_of(draft: Draft, tool_set: str = "t", *, prompt_id: str = "p", split: Split = "search") -> Prompt:
    """The prompt that a draft is: exactly its calls are right, with exactly its values."""
    calls = tuple(
        ExpectedCall(name=call.name, arguments={key: [value] for key, value in call.arguments.items()}) for call in draft.calls
    )
    return Prompt(
        id=prompt_id,
        kind=draft.kind,
        split=split,
        tool_set=tool_set,
        messages=(Message(role="user", content=draft.text),),
        expected=(calls,),
        reason=f"Written for {draft.tool}.",
    )


def _by_sets(kept: Sequence[OfferedDraft], sets: int) -> list[Split] | None:
    """Every second set of tools is held out, of an odd number the more. None where a split would get too few prompts."""
    held = 1 - sets % 2
    splits: list[Split] = ["heldout" if one.group % 2 == held else "search" for one in kept]
    return splits if sets > 1 and min(splits.count("heldout"), splits.count("search")) >= MIN_EACH else None


def _split_of(family: str) -> Split:
    """The split of a family. It depends on what the family says alone, and not on how many others there are: a prompt that
    was searched on in one suite is never held out in a larger one of the same tools.
    """
    place = int(sha256_hex(family)[:8], 16) / 16**8
    return "heldout" if place < HELDOUT_SHARE else "search"


def problems_of(draft: Draft, tools: Sequence[ToolDefinition]) -> list[str]:
    """What makes a draft unusable as the prompt of a suite."""
    prompts = (prompt_of(draft),)
    return validate_suite(Suite(name="draft", phase="atomic", scope="whole", tool_sets={"t": tuple(tools)}, prompts=prompts))


def dropped_of(counts: Mapping[DropReason, int]) -> dict[DropReason, int]:
    """What was dropped, by reason, the most frequent first."""
    return dict(Counter(counts).most_common())
