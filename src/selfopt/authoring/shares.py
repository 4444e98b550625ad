"""Puts kept prompts into splits and sets of tools, and makes the suite of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
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
    content_hash,
)

from .drafts import Draft

MIN_EACH = 12
"""So many prompts of each split are the least that a search ranks on."""
HELDOUT = 100
"""So many held-out prompts a decision about prompts like these needs (`policy.MIN_HELDOUT_PROMPTS`)."""
_MIN_SEARCH = 40

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
    chosen = splits if splits is not None else _by_prompts(kept)
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


def prompt_of(
    draft: Draft, tool_set: str = "t", *, prompt_id: str = "p", split: Literal["search", "heldout"] = "search"
) -> Prompt:
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


def _by_sets(kept: Sequence[OfferedDraft], sets: int) -> list[Literal["search", "heldout"]] | None:
    """Every second set of tools is held out. None where a split would get too few prompts."""
    splits: list[Literal["search", "heldout"]] = ["heldout" if one.group % 2 else "search" for one in kept]
    held = splits.count("heldout")
    return splits if sets > 1 and held >= HELDOUT and len(splits) - held >= _MIN_SEARCH else None


def _by_prompts(kept: Sequence[OfferedDraft]) -> list[Literal["search", "heldout"]]:
    """Half of each tool's and kind's families are held out, and more where that makes a hundred of them.

    The order of families is that of their hashes, so that it depends on what they say alone.
    """
    total = len(kept)
    share = max(0.5, HELDOUT / total) if total >= HELDOUT + _MIN_SEARCH else 0.5
    order = sorted(range(total), key=lambda place: (kept[place].draft.tool, _kind(kept[place]), _hash(kept[place])))
    splits: list[Literal["search", "heldout"]] = ["search"] * total
    held = seen = 0
    for _, places in groupby(order, key=lambda place: kept[place].draft.family):
        members = list(places)
        seen += len(members)
        if held + len(members) <= share * seen + 0.5 * len(members):
            held += len(members)
            for place in members:
                splits[place] = "heldout"
    return splits


def _kind(one: OfferedDraft) -> str:
    return "direct" if one.draft.kind == "paraphrase" else one.draft.kind


def _hash(one: OfferedDraft) -> str:
    return content_hash("order", [one.draft.family])


def dropped_of(*counts: Mapping[DropReason, int]) -> dict[DropReason, int]:
    """What was dropped, by reason, the most frequent first."""
    total = Counter[DropReason]()
    for count in counts:
        total.update(count)
    return dict(total.most_common())
