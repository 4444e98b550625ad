"""Small suites to warn about, and the scorer's word on calls."""

from __future__ import annotations

from typing import Any

from selfopt.records import Outcome, ParsedReply, Prompt, Suite, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import SuiteWarning, find_warnings, validate_suite

__all__ = ["RING", "a_prompt", "a_suite", "passes", "warnings"]

RING: dict[str, Any] = {
    "name": "ring",
    "description": "Ring a bell of the tower.",
    "parameters": {
        "type": "object",
        "properties": {"bell": {"type": "string"}, "times": {"type": "integer", "minimum": 1, "maximum": 12}},
        "required": ["bell"],
    },
}


def a_prompt(prompt_id: str, text: str, **changes: Any) -> dict[str, Any]:
    """A prompt that needs no call, with changes."""
    base = {"id": prompt_id, "kind": "direct", "tool_set": "tower", "expected": [[]]}
    return {**base, "messages": [{"role": "user", "content": text}], **changes}


def a_suite(prompts: list[dict[str, Any]], tools: dict[str, list[dict[str, Any]]] | None = None, **changes: Any) -> Suite:
    """A usable suite with these prompts."""
    body = {"name": "mine", "phase": "atomic", "scope": "whole", "tool_sets": tools or {"tower": [RING]}, "prompts": prompts}
    suite = Suite.model_validate({**body, **changes})
    assert validate_suite(suite) == []
    return suite


def passes(prompt: Prompt, tools: tuple[ToolDefinition, ...], calls: tuple[ToolCall, ...]) -> bool:
    """The standard scorer's word."""
    return scorer_of("standard").judge(prompt, tools, ParsedReply(tool_calls=calls), None).outcome is Outcome.PASS


def warnings(suite: Suite, code: str) -> list[SuiteWarning]:
    """The warnings of one code."""
    return [warning for warning in find_warnings(suite, passes) if warning.code == code]
