"""The trials of an evaluation with what was said and how it was judged, for formats that hold conversations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from selfopt.errors import CorruptError
from selfopt.ledger import Bodies
from selfopt.records import Evaluation, Prompt, ReplyContent, Suite, ToolDefinition, Trial, Verdict

_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class ExportedTrial:
    """One trial of an evaluation.

    Attributes:
        epoch: the run, from 1.
        prompt: None where the suite is not at hand any more; then `tools` is empty.
        reply: None where there was none, or the ledger does not hold it.
    """

    prompt_id: str
    epoch: int
    trial: Trial
    verdict: Verdict | None
    reply: ReplyContent | None
    prompt: Prompt | None
    tools: Sequence[ToolDefinition]


def judged_trials(bodies: Bodies, evaluation: Evaluation, suite: Suite | None) -> Iterator[ExportedTrial]:
    """Yields the trials of an evaluation, prompt by prompt. Raises CorruptError."""
    prompts = {prompt.id: prompt for prompt in suite.prompts} if suite is not None else {}
    places = [(row.prompt_id, n, trial_id) for row in evaluation.rows for n, trial_id in enumerate(row.trial_ids, 1)]
    for first in range(0, len(places), _TOGETHER):
        part = places[first : first + _TOGETHER]
        judged = {trial_id: Verdict.make_id(trial_id, evaluation.parser_hash, evaluation.scorer_hash) for _, _, trial_id in part}
        verdicts, trials = bodies.some(Verdict, judged.values()), bodies.some(Trial, judged)
        try:
            found = {trial_id: Trial.model_validate_json(body) for trial_id, body in trials.items()}
            decided = {verdict_id: Verdict.model_validate_json(body) for verdict_id, body in verdicts.items()}
            contents = {trial_id: _content(trial) for trial_id, trial in found.items()}
            texts = bodies.texts({content for content in contents.values() if content is not None})
            replies = {content: ReplyContent.model_validate_json(text) for content, text in texts.items()}
        except ValidationError as error:
            raise CorruptError(
                f"a trial of {evaluation.evaluation_id} is damaged ({error.title}); see `selfopt audit verify`"
            ) from None
        for prompt_id, epoch, trial_id in part:
            trial, prompt = found.get(trial_id), prompts.get(prompt_id)
            if trial is not None:
                tools = suite.tools_of(prompt) if suite is not None and prompt is not None else ()
                reply = replies.get(contents[trial_id] or "")
                yield ExportedTrial(prompt_id, epoch, trial, decided.get(judged[trial_id]), reply, prompt, tools)


def _content(trial: Trial) -> str | None:
    return trial.exchanges[-1].content if trial.exchanges else None
