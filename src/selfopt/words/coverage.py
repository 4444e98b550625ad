"""What suites hold and how good they are, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from selfopt.home import counted

WARNINGS_EXPLAINED: Mapping[str, str] = MappingProxyType(
    {
        "to-review": "nobody has looked at what is expected",
        "duplicate": "asked twice, so it counts twice",
        "near-duplicate": "they hardly differ, so they tell little more than one",
        "unbalanced": "figures say little about this kind",
        "unreachable": "no reply passes with it",
        "outside-schema": "the tool's own schema forbids it",
        "leak-tool-set": "what is tuned on is not apart from what is judged on",
        "leak-tool-name": "what is tuned on is not apart from what is judged on",
        "leak-prompt": "what is tuned on is not apart from what is judged on",
        "leak-name": "what is tuned on is not apart from what is judged on",
        "trivial-policy": "the suite can't tell understanding from a habit",
    }
)
"""What each code of a suite's warnings means for figures."""


def suites_sentence(suites: int, prompts: int, broken: int, measured: int) -> str:
    """How many suites there are and whether they can be used, without a full stop."""
    said = f"{counted(suites, 'suite')} with {counted(prompts, 'prompt')}; {measured} of them measured in this home"
    return f"{said}; {broken} can't be used" if broken else said


def coverage_sentence(prompts: int, calls: int, tools: int, tool_sets: int, evaluations: int) -> str:
    """What a suite covers, without a full stop. evaluations: how many measured this content of it."""
    without = prompts - calls
    said = f"{counted(prompts, 'prompt')} over {counted(tools, 'tool')} in {counted(tool_sets, 'set')}; {without} of them need no call"
    return f"{said}; measured {counted(evaluations, 'time')}" if evaluations else f"{said}; not measured here yet"


def warnings_sentence(quality: int, leaks: int) -> str:
    """How many warnings there are, without a full stop."""
    if not quality and not leaks:
        return "nothing was found that makes its figures worth less"
    return f"{counted(leaks, 'leak')} between splits, {counted(quality, 'other warning')}"


def prompt_sentence(needs_call: bool, passed: int, specs: int) -> str:
    """What a prompt wants, and how many specs pass it in every run, without a full stop."""
    wants = "It needs a call" if needs_call else "No call is wanted"
    if not specs:
        return f"{wants}; it was not measured on this content of the suite"
    return f"{wants}; {passed} of {counted(specs, 'spec')} passed it in every run"
