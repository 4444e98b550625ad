"""Collects everything about one trial, for people who ask why it came out so."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.errors import UsageError
from selfopt.records import (
    Attempt,
    Blob,
    Environment,
    Exchange,
    ExpectedCall,
    Ledger,
    LogProbs,
    Message,
    Record,
    ReplyContent,
    Run,
    Spec,
    Suite,
    ToolDefinition,
    Trial,
    Verdict,
)

from .lookup import find


class ShownAttempt(Record):
    """One attempt with its exact texts. None: the text was not kept, or nothing came."""

    attempt: Attempt
    request: str | None
    reply: str | None


class ShownExchange(Record):
    """One step of a trial: its attempts, and what the model replied.

    Attributes:
        tokens_with_logprobs: how many tokens of the reply have a log probability; 0 where none were
            given, or the ledger does not hold them.
    """

    step: str
    attempts: tuple[ShownAttempt, ...]
    content: ReplyContent | None
    tokens_with_logprobs: int = 0


class ShownTrial(Record):
    """A trial with everything behind it.

    Texts are as they were received. Whoever shows them on a terminal escapes control characters.

    Attributes:
        verdicts: all verdicts on the trial, oldest first.
        messages, tools, expected, reason: from the suite; empty when the suite is not at hand or
            has changed.
    """

    trial: Trial
    run: Run
    spec: Spec
    environment: Environment | None
    exchanges: tuple[ShownExchange, ...]
    verdicts: tuple[Verdict, ...]
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    expected: tuple[tuple[ExpectedCall, ...], ...] | str | None = None
    reason: str = ""


def show_trial(ledger: Ledger, trial_id: str, suites: Sequence[Suite] = ()) -> ShownTrial:
    """Collect everything about a trial. UsageError when no trial has this id."""
    trial = find(ledger, Trial, trial_id)
    if trial is None:
        raise UsageError(f"no trial {trial_id!r} in the ledger; rows of `selfopt report` and `--json` output name trial ids")
    run = find(ledger, Run, trial.run_id)
    if run is None:
        raise UsageError(f"trial {trial_id} belongs to run {trial.run_id}, which the ledger does not have")
    spec = find(ledger, Spec, run.spec_id)
    if spec is None:
        raise UsageError(f"trial {trial_id} belongs to spec {run.spec_id}, which the ledger does not have")
    shown = ShownTrial(
        trial=trial,
        run=run,
        spec=spec,
        environment=find(ledger, Environment, trial.environment_id),
        exchanges=tuple(
            ShownExchange(
                step=item.step,
                attempts=tuple(
                    ShownAttempt(attempt=a, request=_text(ledger, a.request), reply=_text(ledger, a.reply)) for a in item.attempts
                ),
                content=_content(ledger, item.content),
                tokens_with_logprobs=_tokens_with_logprobs(ledger, item),
            )
            for item in trial.exchanges
        ),
        verdicts=tuple(v for v in ledger.read(Verdict, {"run_id": trial.run_id}) if v.trial_id == trial_id),
    )
    for suite in suites:
        prompt = next((p for p in suite.prompts if p.id == trial.prompt_id), None)
        if prompt is not None and suite.content_id() == spec.suite_hash:
            asked = {"messages": prompt.messages, "tools": suite.tools_of(prompt), "expected": prompt.expected}
            return shown.model_copy(update={**asked, "reason": prompt.reason})
    return shown


def _text(ledger: Ledger, blob_hash: str | None) -> str | None:
    blob = None if blob_hash is None else find(ledger, Blob, blob_hash)
    return None if blob is None else blob.text


def _tokens_with_logprobs(ledger: Ledger, exchange: Exchange) -> int:
    text = _text(ledger, exchange.logprobs)
    return 0 if text is None else len(LogProbs.model_validate_json(text))


def _content(ledger: Ledger, blob_hash: str | None) -> ReplyContent | None:
    text = _text(ledger, blob_hash)
    return None if text is None else ReplyContent.model_validate_json(text)
