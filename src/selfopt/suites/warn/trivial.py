"""Scores policies that understand nothing. A suite on which they do well measures little."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from selfopt.records import Prompt, Suite, ToolCall, ToolDefinition
from selfopt.stats import wilson_interval

from .base import Passes, SuiteWarning

# A score is suspicious if even the lower end of its 90 % interval is above these shares: of all prompts
# for the silent policy, of the prompts that need a call for the others.
SILENT_SHARE = 0.5
CALLING_SHARE = 0.25
CONFIDENCE = 0.9

_WORD = re.compile(r"[^\W_]{3,}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUOTED = re.compile(
    r'"([^"\n]{1,200})"|“([^”\n]{1,200})”|„([^“”\n]{1,200})[“”]|«([^»\n]{1,200})»|(?<!\w)\'([^\'\n]{1,200})\'(?!\w)'
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "you",
        "your",
        "please",
        "can",
        "could",
        "would",
        "this",
        "that",
        "from",
        "are",
        "was",
        "has",
        "have",
        "our",
        "its",
        "into",
        "what",
    ]
)

Policy = Callable[[Prompt, tuple[ToolDefinition, ...]], tuple[ToolCall, ...]]


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """The score of a policy.

    Attributes:
        policy: its name.
        passes: the prompts that it passes.
        prompts: all prompts.
        call_passes: the prompts that need a call and that it passes.
        right_tools: the prompts that need a call and for which it calls the right tools, whatever
            the arguments.
        calling: the prompts that need a call.
    """

    policy: str
    passes: int
    prompts: int
    call_passes: int
    right_tools: int
    calling: int


def trivial_scores(suite: Suite, passes: Passes) -> list[PolicyScore]:
    """Score each trivial policy: silent, always the first tool, keyword match."""
    return [_score(name, policy, suite, passes) for name, policy in _POLICIES.items()]


def trivial_policy(suite: Suite, passes: Passes) -> Iterator[SuiteWarning]:
    """Warns of policies that score suspiciously well."""
    for score in trivial_scores(suite, passes):
        if score.policy == "silent":
            got, n, share, of = score.passes, score.prompts, SILENT_SHARE, "prompts"
            fix = "add prompts that need a call"
        else:
            got, n, share, of = score.call_passes, score.calling, CALLING_SHARE, "prompts that need a call"
            fix = "add prompts whose words do not give the call away"
        if n and wilson_interval(got, n, CONFIDENCE).low > share:
            yield SuiteWarning("trivial-policy", (), f"the policy '{score.policy}' passes {got} of {n} {of}; {fix}")


def _score(name: str, policy: Policy, suite: Suite, passes: Passes) -> PolicyScore:
    passed = call_passed = right = 0
    calling = [p.needs_call for p in suite.prompts]
    for prompt, needs_call in zip(suite.prompts, calling, strict=True):
        tools = suite.tools_of(prompt)
        calls = policy(prompt, tools)
        ok = passes(prompt, tools, calls)
        passed += ok
        call_passed += ok and needs_call
        right += needs_call and _right_tools(prompt, calls)
    return PolicyScore(name, passed, len(suite.prompts), call_passed, right, sum(calling))


def _right_tools(prompt: Prompt, calls: tuple[ToolCall, ...]) -> bool:
    if prompt.expected == "any":
        return bool(calls)
    names = sorted(call.name for call in calls)
    return any(sorted(c.name for c in accepted) == names for accepted in prompt.expected)


def _first_tool(prompt: Prompt, tools: tuple[ToolDefinition, ...]) -> tuple[ToolCall, ...]:
    return tuple(_copying(tool, _last_user_text(prompt)) for tool in tools[:1])


def _keyword(prompt: Prompt, tools: tuple[ToolDefinition, ...]) -> tuple[ToolCall, ...]:
    text = _last_user_text(prompt)
    said = _words(text)
    overlaps = [len(said & _words_of_tool(tool.name, tool.description)) for tool in tools]
    most = max(overlaps, default=0)
    return (_copying(tools[overlaps.index(most)], text),) if most else ()


_POLICIES: dict[str, Policy] = {"silent": lambda prompt, tools: (), "first tool": _first_tool, "keyword match": _keyword}


def _last_user_text(prompt: Prompt) -> str:
    return next((m.content for m in reversed(prompt.messages) if m.role == "user"), "")


@lru_cache(maxsize=1024)
def _words_of_tool(name: str, description: str) -> frozenset[str]:
    return frozenset(_words(f"{_CAMEL.sub(' ', name)} {description}"))


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if word not in _COMMON}


def _copying(tool: ToolDefinition, text: str) -> ToolCall:
    """A call whose required arguments are the quotes and numbers of the text, in order.

    Leaves out arguments for which there is none.
    """
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    schemas: dict[str, Any] = properties if isinstance(properties, dict) else {}
    texts = [next(part for part in found if part) for found in _QUOTED.findall(text)]
    numbers = [float(n) if "." in n else int(n) for n in _NUMBER.findall(text)]
    arguments: dict[str, Any] = {}
    for name in required if isinstance(required, list) else []:
        value = _next_value(schemas.get(name), texts, numbers, text)
        if value is not None:
            arguments[name] = value
    return ToolCall(name=tool.name, arguments=arguments)


def _next_value(schema: Any, texts: list[str], numbers: list[int | float], text: str) -> Any:
    if not isinstance(schema, dict):
        return None
    enum = schema.get("enum")
    if isinstance(enum, list):
        return next((v for v in enum if isinstance(v, str) and v.casefold() in text.casefold()), None)
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return numbers.pop(0) if numbers else None
    if kind == "array":
        taken, texts[:] = texts[:], []
        return taken or None
    return texts.pop(0) if kind == "string" and texts else None
