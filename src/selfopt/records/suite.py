"""Prompts of one phase, as data."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from .base import Record, content_hash
from .chat import Message, ToolDefinition

Phase = Literal["atomic", "extended"]
Split = Literal["search", "heldout", "canary", "all"]
Judging = Literal["standard", "bfcl"]


class ExpectedCall(Record):
    """One call of an accepted set. Each argument has its accepted values; "" among them means that it may be left out.
    Arguments of the tool that are not named here must not be given, unless the tool's schema gives them a default equal
    to what was given. any_arguments: whatever the arguments, a call of the tool is right (and none is named)."""

    name: str
    arguments: dict[str, list[Any]] = Field(default_factory=dict)
    any_arguments: bool = False


class Prompt(Record):
    """A conversation whose final turn is judged.

    expected: the accepted sets of tool calls (order-free within a set); `((),)` means that nothing may be called;
    "any" means that any call of an offered tool is right.
    """

    id: str
    kind: str
    split: Literal["search", "heldout", "canary"] = "search"
    tool_set: str
    messages: tuple[Message, ...]
    expected: tuple[tuple[ExpectedCall, ...], ...] | Literal["any"]
    reason: str = ""

    @cached_property
    def needs_call(self) -> bool:
        """Whether a tool call is what is asked for (no accepted set is empty)."""
        return self.expected == "any" or all(len(calls) > 0 for calls in self.expected)


class Suite(Record):
    """Prompts of one phase with their tool sets. scope `whole`: the suite is the complete work, decisions on it are exact
    and labelled "this suite only"; `sample`: it stands for other prompts like these.

    judging: how calls are compared with what is expected; `bfcl` as the checker of the Berkeley Function Calling Leaderboard
    does. origin: where imported prompts come from, with the version of the data.
    """

    name: str
    title: str = ""
    phase: Phase
    scope: Literal["whole", "sample"] = "sample"
    judging: Judging = "standard"
    origin: str = ""
    tool_sets: dict[str, tuple[ToolDefinition, ...]]
    prompts: tuple[Prompt, ...]

    def content_id(self) -> str:
        """Hash of everything that can change a verdict or a request (not title, origin and reasons)."""
        return self._content_id

    @cached_property
    def _content_id(self) -> str:
        left_out: Any = {"title": True, "origin": True, "prompts": {"__all__": {"reason"}}}
        body = self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
        return content_hash("suite", body)

    def select(self, split: Split) -> tuple[Prompt, ...]:
        """The prompts of a split in file order; "all" is every one."""
        return tuple(p for p in self.prompts if split in ("all", p.split))

    def tools_of(self, prompt: Prompt) -> tuple[ToolDefinition, ...]:
        """The tools that this prompt offers."""
        return self.tool_sets[prompt.tool_set]
