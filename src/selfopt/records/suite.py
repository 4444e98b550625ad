"""Prompts of one phase, as data."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from .base import Record, content_hash
from .chat import Message, ToolDefinition
from .synthetic import SyntheticPrompts

Phase = Literal["atomic", "extended"]
Split = Literal["search", "heldout", "canary", "all"]
Judging = Literal["standard", "bfcl"]


class ExpectedCall(Record):
    """One tool call of an accepted set.

    Attributes:
        arguments: the accepted values of each argument; "" among them means that it may be left
            out. An argument that is not named here may occur only with the default value of the
            tool's schema.
        any_arguments: accept every call of this tool. No arguments are named then.
    """

    name: str
    arguments: dict[str, list[Any]] = Field(default_factory=dict)
    any_arguments: bool = False


class Prompt(Record):
    """A conversation whose final turn is judged.

    expected: the accepted sets of tool calls, each in any order. `((),)` means that no tool may be
    called; "any" accepts any call of an offered tool.

    beside: what the file that it was imported from said beside, for information only.
    """

    id: str
    kind: str
    split: Literal["search", "heldout", "canary"] = "search"
    tool_set: str
    messages: tuple[Message, ...]
    expected: tuple[tuple[ExpectedCall, ...], ...] | Literal["any"]
    reason: str = ""
    beside: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda beside: not beside)

    @cached_property
    def needs_call(self) -> bool:
        """Whether the prompt needs a tool call: no accepted set is empty."""
        return self.expected == "any" or all(len(calls) > 0 for calls in self.expected)


class Suite(Record):
    """Prompts of one phase with their tool sets.

    Attributes:
        scope: `whole`: the suite is the complete work, and decisions about it are exact and
            labelled "this suite only". `sample`: it represents other prompts like these.
        judging: how tool calls are compared with the expected ones. `bfcl` compares like the
            checker of the Berkeley Function Calling Leaderboard.
        origin: the source of imported prompts, with the version of the data.
        synthetic: who wrote the prompts, if that was a model or a template.
    """

    name: str
    title: str = ""
    phase: Phase
    scope: Literal["whole", "sample"] = "sample"
    judging: Judging = "standard"
    origin: str = ""
    synthetic: SyntheticPrompts | None = None
    tool_sets: dict[str, tuple[ToolDefinition, ...]]
    prompts: tuple[Prompt, ...]

    def content_id(self) -> str:
        """Returns the hash of everything that can change a verdict, a request or what it shows: all but
        title, origin, reasons, what stands beside, and who solved or what was dropped.

        Who wrote synthetic prompts counts, so that a suite can't lose that mark and keep its evidence.
        """
        return self._content_id

    @cached_property
    def _content_id(self) -> str:
        left_out: Any = {
            "title": True,
            "origin": True,
            "synthetic": {"solvers", "dropped"},
            "prompts": {"__all__": {"reason", "beside"}},
        }
        body = self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
        return content_hash("suite", body)

    def select(self, split: Split) -> tuple[Prompt, ...]:
        """Returns the prompts of a split in file order."""
        return tuple(p for p in self.prompts if split in ("all", p.split))

    def tools_of(self, prompt: Prompt) -> tuple[ToolDefinition, ...]:
        """Returns the tools that this prompt offers."""
        return self.tool_sets[prompt.tool_set]
