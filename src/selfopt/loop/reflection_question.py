"""Writes what a reflection model is asked: a point, trials of it, and what may be changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.errors import UsageError
from selfopt.home.extras import extra_needed
from selfopt.records import (
    MAX_WRITTEN_CHARS,
    MAX_WRITTEN_EXAMPLES,
    Capability,
    Message,
    Phase,
    Prompt,
    Suite,
    ToolDefinition,
    Variant,
    Verdict,
    canonical_json,
)
from selfopt.search.edits import FORM_PART, MOST_EDITS
from selfopt.search.leaks import texts_in
from selfopt.variants.signatures import signature
from selfopt.variants.space import Point, parts_of

_TASK = (
    "You improve how a small language model is asked to call tools. You get the choices that shape its requests now, and trials: "
    "each with the conversation, the reply, what was expected, and why it failed. Find what the failures have in common and "
    f"propose up to {MOST_EDITS} edits that help on new requests with other tools, too. Do not name values of these prompts.\n"
    'Answer with JSON alone: {"edits": [{"instructions": "...", "examples": [{"tool_set": "...", "request": "...", "calls": '
    '[{"name": "...", "arguments": {}}]}], "parts": {"'
    + FORM_PART
    + '": "CHOICE"}, "fixes": ["PROMPT ID"], "breaks": ["PROMPT ID"]}]}. '
    f"Each edit has at least one of instructions (at most {MAX_WRITTEN_CHARS} characters that tell the small model itself what to do "
    "and what to leave, and replace the present ones), examples "
    f"(at most {MAX_WRITTEN_EXAMPLES}, invented, with tools of a tool set that you see; no calls where none is needed), and parts. "
    "fixes and breaks say which of the prompts you expect to pass now, or to fail."
)
_BOUND = (
    f"\n\nThe new instruction may have at most {MAX_WRITTEN_CHARS} characters, and may name no values of the examples above: "
    "no names, numbers or words of theirs."
)
_MOST_CONVERSATION = 600
_MOST_REPLY = 300
_MOST_TOOLS = 8
_MOST_SIGNATURE = 300
_MOST_EXPECTED = 400


@dataclass(frozen=True, slots=True)
class ReadTrial:
    """A trial that is shown.

    Attributes:
        replies: what the model said, step by step.
        verdict: as the point reads them.
    """

    prompt: Prompt
    replies: Sequence[str]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ReflectionQuestion:
    """A question and what it shows.

    Attributes:
        known: all that its reader knows from it, as plain text.
        prompt_ids, tool_sets: what is shown.
    """

    messages: tuple[Message, ...]
    known: str
    prompt_ids: tuple[str, ...]
    tool_sets: tuple[str, ...]


def own_question(
    point: Point, variant: Variant, trials: Sequence[ReadTrial], suite: Suite, has: frozenset[Capability], *, max_chars: int
) -> ReflectionQuestion:
    """The question in this program's own words, with as many of the trials as fit. Tools that no trial needs go before
    trials do.
    """
    shown, brief = list(trials), False
    while True:
        body = {
            "choices now": {part.name: point.get(part.name, part.default) for part in parts_of(suite.phase)},
            "instructions now": variant.instructions,
            "choices there are": _choices(has, suite.phase),
            # Last and in this order: if a single trial is still too long, the tools are cut and not the trial.
            "trials": [_told(trial) for trial in shown],
            "tool sets": _shown_tools(shown, suite, brief=brief),
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        if len(_TASK) + len(text) <= max_chars or (brief and len(shown) <= 1):
            break
        if brief:
            shown.pop()
        brief = True
    messages = (Message(role="system", content=_TASK), Message(role="user", content=text[: max_chars - len(_TASK)]))
    known = "\n".join((_TASK, *texts_in(body, keys=True)))
    return ReflectionQuestion(messages, known, tuple(trial.prompt.id for trial in shown), tuple(_tool_sets(shown)))


def gepa_question(variant: Variant, trials: Sequence[ReadTrial], suite: Suite, *, max_chars: int) -> ReflectionQuestion:
    """The question in the words of GEPA (Agrawal et al. 2025), which asks for new instructions, and the bound of these.

    UsageError: GEPA is not installed.
    """
    shown = list(trials)
    while True:
        dataset = [
            {
                "Inputs": {"tools": _tools(suite.tool_sets[one.prompt.tool_set]), "conversation": _conversation(one.prompt)},
                "Generated Outputs": _replies(one),
                "Feedback": f"{one.verdict.outcome.value}; expected: {_expected(one.prompt)}",
            }
            for one in shown
        ]
        text = _gepa().prompt_renderer({"current_instruction_doc": variant.instructions, "dataset_with_feedback": dataset})
        if len(text) + len(_BOUND) <= max_chars or len(shown) <= 1:
            break
        shown.pop()
    # GEPA names no bound, and what is longer is refused.
    text = text[: max_chars - len(_BOUND)] + _BOUND
    return ReflectionQuestion(
        (Message(role="user", content=text),), text, tuple(trial.prompt.id for trial in shown), tuple(_tool_sets(shown))
    )


def gepa_edits(answer: str) -> dict[str, Any]:
    """The answer to a question of GEPA, in the form of an answer to one of ours."""
    found = _gepa().output_extractor(answer)["new_instruction"]
    return {"edits": [{"instructions": found}]}


def _gepa() -> Any:
    try:
        from gepa.strategies.instruction_proposal import InstructionProposalSignature
    except ImportError:
        raise UsageError(
            f'GEPA is not installed; it needs {extra_needed("search")}; or set loop.reflection.backend = "own"'
        ) from None
    return InstructionProposalSignature


def _choices(has: frozenset[Capability], phase: Phase) -> dict[str, dict[str, str]]:
    """The choices that the server can be asked with. Those that only read replies are all judged anyway."""
    return {
        part.name: {choice.name: choice.title for choice in part.choices if choice.needs <= has}
        for part in parts_of(phase)
        if not part.reads
    }


def _tool_sets(trials: Sequence[ReadTrial]) -> list[str]:
    return list(dict.fromkeys(trial.prompt.tool_set for trial in trials))


def _shown_tools(trials: Sequence[ReadTrial], suite: Suite, *, brief: bool) -> dict[str, list[str]]:
    """The tools of each tool set. brief: those alone that a trial called or should have called."""
    needed = {call.name for one in trials for call in one.verdict.parsed.tool_calls}
    needed |= {call.name for one in trials if one.prompt.expected != "any" for calls in one.prompt.expected for call in calls}
    return {
        name: _tools([tool for tool in suite.tool_sets[name] if not brief or tool.name in needed]) for name in _tool_sets(trials)
    }


def _tools(tools: Sequence[ToolDefinition]) -> list[str]:
    return [signature(tool, brief=False)[:_MOST_SIGNATURE] for tool in tools[:_MOST_TOOLS]]


def _told(trial: ReadTrial) -> Mapping[str, Any]:
    verdict = trial.verdict
    dropped = [" ".join(filter(None, (one.kind, one.tool, one.argument))) for one in verdict.parsed.corrections]
    calls = canonical_json([{"name": one.name, "arguments": one.arguments} for one in verdict.parsed.tool_calls])
    return {
        "id": trial.prompt.id,
        "tool_set": trial.prompt.tool_set,
        "conversation": _conversation(trial.prompt),
        "expected": _expected(trial.prompt),
        "reply": _replies(trial),
        "calls that were read": calls[:_MOST_REPLY],
        "outcome": verdict.outcome.value,
        **({"changed or dropped after reading": dropped[:8]} if dropped else {}),
    }


def _conversation(prompt: Prompt) -> str:
    """The end of the conversation: what was said last matters most."""
    return "\n".join(f"{message.role}: {message.content}" for message in prompt.messages)[-_MOST_CONVERSATION:]


def _expected(prompt: Prompt) -> str:
    if prompt.expected == "any":
        return "any call"
    if not prompt.needs_call:
        return "no call"
    return canonical_json([{call.name: call.arguments} for call in prompt.expected[0]])[:_MOST_EXPECTED]


def _replies(trial: ReadTrial) -> str:
    return " / ".join(trial.replies)[:_MOST_REPLY]
