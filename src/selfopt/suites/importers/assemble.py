"""Assembles imported prompts into a suite: their tool sets, ids and phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.records import Phase, Suite, ToolDefinition, canonical_json
from selfopt.suites.load import SUITE_SCHEMA_VERSION, suite_from
from selfopt.suites.write import tool_data

from .seam import ImportRequest


@dataclass(slots=True)
class SuiteParts:
    """Imported prompts (the data of each, without its tool set) and the tools of each."""

    prompts: list[dict[str, Any]] = field(default_factory=list)
    tools: list[tuple[ToolDefinition, ...]] = field(default_factory=list)

    def add(self, prompt: dict[str, Any], tools: tuple[ToolDefinition, ...]) -> None:
        """Add a prompt."""
        self.prompts.append(prompt)
        self.tools.append(tools)


def suite_of(parts: SuiteParts, asked: ImportRequest) -> Suite:
    """Make the suite that was asked for. Raises SuiteError if it is unusable."""
    data = assemble(parts, name=asked.name, origin=asked.source.name, phase=asked.phase)
    return suite_from(data, source=f"suite {asked.name}")


def assemble(parts: SuiteParts, *, name: str, origin: str, phase: Phase | None = None) -> dict[str, Any]:
    """Make the data of a suite.

    Prompts that offer the same tools share a tool set. It is called as the prompt says
    (`tool_set`), or else `tools_1` and so on.

    Args:
        parts: the prompts and their tools.
        name: the name of the suite.
        origin: where it comes from.
        phase: its phase. None means atomic if each prompt is one user turn, else extended.
    """
    tool_sets: dict[str, list[dict[str, Any]]] = {}
    known: dict[str, str] = {}
    prompts = []
    for number, (prompt, tools) in enumerate(zip(parts.prompts, parts.tools, strict=True), 1):
        data = [tool_data(tool) for tool in tools]
        wanted = prompt.get("tool_set")
        key = canonical_json([wanted, data])
        if key not in known:
            known[key] = _free(str(wanted) if wanted else "tools_1", tool_sets)
            tool_sets[known[key]] = data
        head = {"id": str(number), "kind": "imported", **prompt, "tool_set": known[key]}
        order = ("id", "kind", "reason", "tool_set", "split", "messages", "expected", "beside")
        prompts.append({key: head[key] for key in order if key in head})
    return {
        "schema_version": SUITE_SCHEMA_VERSION,
        "name": name,
        "title": f"Imported from {origin}",
        "phase": phase or _phase_of(prompts),
        "origin": origin,
        "tool_sets": tool_sets,
        "prompts": prompts,
    }


def _free(wanted: str, taken: dict[str, Any]) -> str:
    """The first free name: `tools_1`, `tools_2`; `office`, `office_2`."""
    base, _, number = wanted.rpartition("_")
    if not (base and number.isdecimal()):
        base, number = wanted, "1"
    count, name = int(number), wanted
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return name


def _phase_of(prompts: Sequence[dict[str, Any]]) -> Phase:
    turns = [[m["role"] for m in prompt["messages"] if m["role"] != "system"] for prompt in prompts]
    return "atomic" if all(roles == ["user"] for roles in turns) else "extended"
