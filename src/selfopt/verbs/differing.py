"""`compare --diff`: the prompts in which the rows of a comparison differ, with what each replied."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.measure.lookup import find
from selfopt.records import (
    AnswerExcerpt,
    Comparison,
    Differences,
    Evaluation,
    Outcome,
    OutcomeRow,
    Prompt,
    PromptDifference,
    PromptExcerpt,
    ReplyContent,
)
from selfopt.wiring.app import App
from selfopt.words.calls import call_text, expected_text, reading_notes

from .prompt_pairs import shown_answer, suite_of

MOST_SHOWN = 50
MOST_IN_JSON = 200
_MESSAGES = 3
_LINES = 6
_CHARACTERS = 4_000


def differences_of(app: App, comparison: Comparison, *, most: int = MOST_IN_JSON) -> Differences:
    """Find the prompts that the rows of a comparison do not pass equally often.

    Args:
        most: how many of them are returned with what was replied.
    """
    rows = [[find(app.ledger, Evaluation, name) for name in row.evaluation_ids] for row in comparison.rows]
    by_suite = [[e for e in evaluations if e is not None] for evaluations in zip(*rows, strict=True)] if len(rows) > 1 else []
    compared = differing = 0
    shown: list[PromptDifference] = []
    for evaluations in by_suite:
        asked = [{row.prompt_id: row for row in evaluation.rows} for evaluation in evaluations]
        suite = suite_of(app, evaluations[0]) if evaluations else None
        prompts = {} if suite is None else {prompt.id: prompt for prompt in suite.prompts}
        for prompt_id in asked[0] if asked else ():
            found = [rows_of[prompt_id] for rows_of in asked if prompt_id in rows_of]
            compared += len(found) == len(asked)
            if len({_share(row) for row in found}) > 1:
                differing += 1
                if len(shown) < most:
                    shown.append(_difference(app, evaluations, found, prompts.get(prompt_id)))
    return Differences(compared=compared, differing=differing, prompts=tuple(shown))


def _share(row: OutcomeRow) -> float:
    return row.outcomes.count(Outcome.PASS) / max(1, len(row.outcomes))


def _difference(
    app: App, evaluations: Sequence[Evaluation], rows: Sequence[OutcomeRow], prompt: Prompt | None
) -> PromptDifference:
    answers = (
        answer_excerpt(app, e.model, e.variant, row, (e.parser_hash, e.scorer_hash))
        for e, row in zip(evaluations, rows, strict=True)
    )
    return PromptDifference(
        prompt=prompt_excerpt(evaluations[0].suite, rows[0], prompt),
        answers=tuple(answer for answer in answers if answer is not None),
    )


def prompt_excerpt(suite: str, row: OutcomeRow, prompt: Prompt | None) -> PromptExcerpt:
    """What was asked and wanted, as far as the prompt is known."""
    asked = [] if prompt is None else [(m.role, m.content or " ".join(map(call_text, m.tool_calls))) for m in prompt.messages]
    return PromptExcerpt(
        suite=suite,
        prompt_id=row.prompt_id,
        kind=row.prompt_kind,
        needs_call=row.needs_call,
        asked=tuple((role, _cut(text)) for role, text in asked[-_MESSAGES:]),
        expected=() if prompt is None else tuple(map(_cut, _few(expected_text(prompt.expected)))),
    )


def answer_excerpt(app: App, model: str, variant: str, row: OutcomeRow, judges: tuple[str, str]) -> AnswerExcerpt | None:
    """How a prompt was answered; None where it was not asked. judges: the hashes of parser chain and scorer."""
    answer = shown_answer(app, row, judges)
    if answer is None:
        return None
    parsed = None if answer.verdict is None else answer.verdict.parsed
    return AnswerExcerpt(
        model=model,
        variant=variant,
        letters=answer.letters,
        outcome=answer.outcome,
        trial_id=answer.trial_id,
        replies=tuple(_cut(_written(step.content)) for step in answer.steps if step.content is not None),
        calls=() if parsed is None else tuple(map(_cut, _few([call_text(call) for call in parsed.tool_calls]))),
        notes=() if parsed is None else tuple(map(_cut, _few(reading_notes(parsed)))),
        why="" if answer.verdict is None else _cut(answer.verdict.why),
    )


def _written(content: ReplyContent) -> str:
    """What a model wrote: its text, and the calls that the server itself recognised."""
    parts = [content.text] if content.text else []
    return "\n".join([*parts, *map(call_text, content.tool_calls), *content.broken_tool_calls])


def _few(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return [*lines[:_LINES], *more]


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]} ..."
