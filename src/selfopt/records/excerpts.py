"""Excerpts of prompts and replies for people: cut in length, and as they came. Who shows them escapes them."""

from __future__ import annotations

from .base import Prose, Record
from .verdict import Outcome


class PromptExcerpt(Record):
    """What was asked and wanted.

    Attributes:
        asked: role and text of the last messages.
        expected: the accepted sets of calls in words, one each; empty where the suite is not at hand, or has changed.
    """

    suite: str
    prompt_id: str
    kind: str
    needs_call: bool
    asked: tuple[tuple[str, str], ...] = ()
    expected: tuple[str, ...] = ()


class AnswerExcerpt(Record):
    """What came of a prompt, shown by one of its trials: the first that did not pass, else the first.

    Attributes:
        letters: the outcome of each run, such as `FFPPPPP`.
        outcome: of the trial that is shown.
        replies: what the model wrote, one text for each step; empty where no reply came or none was kept.
        calls: those that were read.
        notes: what else there is to say of how it was read.
        why: the reason of the verdict.
    """

    model: str
    variant: str
    letters: str
    outcome: Outcome
    trial_id: str
    replies: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    notes: tuple[Prose, ...] = ()
    why: Prose = ""


class PromptDifference(Record):
    """A prompt that some rows of a comparison pass and others do not. answers: in the order of the rows."""

    prompt: PromptExcerpt
    answers: tuple[AnswerExcerpt, ...]


class Differences(Record):
    """The prompts in which the rows of a comparison differ.

    Attributes:
        compared: how many prompts all rows were asked.
        differing: in how many of them the rows differ.
        prompts: those that are shown, in the order of the suites.
    """

    compared: int
    differing: int
    prompts: tuple[PromptDifference, ...]
