"""Excerpts of prompts and replies in words."""

from __future__ import annotations

from collections.abc import Iterator

from selfopt.home import counted, escape_control
from selfopt.records import AnswerExcerpt, Differences, Outcome, PromptExcerpt

from .kinds import OUTCOMES


def asked_lines(prompt: PromptExcerpt) -> Iterator[tuple[str, str]]:
    """What was asked and wanted: the name of each line, and its text."""
    yield from prompt.asked
    for line in prompt.expected or (("a call",) if prompt.needs_call else ("no call",)):
        yield "expected", line


def answer_title(answer: AnswerExcerpt) -> str:
    """Who answered, and how it was judged."""
    runs = f" ({answer.letters})" if len(answer.letters) > 1 else ""
    return f"{answer.model} {answer.variant}: {OUTCOMES[answer.outcome]}{runs}"


def answer_lines(answer: AnswerExcerpt) -> Iterator[tuple[str, str]]:
    """What was replied, what was read in it, and why it was judged so: the name of each line, and its text."""
    for reply in answer.replies or ("(nothing came, or it was not kept)",):
        yield "replied", reply or "(empty)"
    for call in answer.calls or ("no call",):
        yield "read", call
    for note in answer.notes:
        yield "note", note
    if answer.why and answer.outcome is not Outcome.PASS:
        yield "why", answer.why
    yield "trial", answer.trial_id


def differences_sentence(differences: Differences) -> str:
    """In how many prompts the rows differ."""
    if not differences.compared:
        return "There are no two rows to compare prompt by prompt."
    if not differences.differing:
        return f"The rows pass the same of all {counted(differences.compared, 'prompt')}."
    return f"The rows differ in {differences.differing} of {counted(differences.compared, 'prompt')}."


def failure_lines(prompt: PromptExcerpt, answer: AnswerExcerpt) -> list[str]:
    """What was asked, wanted, replied and read, a line each, with control characters escaped."""
    lines = [*asked_lines(prompt), *answer_lines(answer)]
    return [escape_control(answer_title(answer)), *(f"  {escape_control(f'{name}: {text}', 2_000)}" for name, text in lines)]


def one_line(text: str) -> str:
    """An error's message as one line for a terminal."""
    return escape_control(" ".join(text.split()), 2_000)
