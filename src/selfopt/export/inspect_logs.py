"""Evaluations as logs of Inspect, made and written by its own package, the extra `inspect`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfopt import __version__
from selfopt.errors import StoreError
from selfopt.home.files import fsync_directory, reason_of
from selfopt.home.outside import outside_loop
from selfopt.home.text import clean_unicode
from selfopt.records import Evaluation, Message, Prompt, ToolCall, ToolDefinition, Usage
from selfopt.words.calls import call_text, expected_text

from .missing import required
from .stored_trials import ExportedTrial

SCORER = "selfopt"
_STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}
_METRICS = ("accuracy", "call_accuracy", "restraint", "capability", "variance", "p50_ms", "p95_ms")


def write_inspect_log(evaluation: Evaluation, trials: Iterable[ExportedTrial], path: Path) -> int:
    """Writes the log of one evaluation, whole or not at all. Returns the number of its samples.

    path: ends in `.eval` or `.json`, which says the format. What stands there is replaced.

    Raises:
        UsageError: Inspect is not installed.
        StoreError: the file can't be written.
    """
    logs = required("inspect_ai.log", "inspect", "a log of Inspect")
    began: list[str] = [evaluation.at]
    samples = []
    for trial in trials:
        began.append(trial.trial.started_at)
        samples.append(_sample(logs, trial, evaluation.model))
    log = logs.EvalLog(
        status="success",
        eval=_spec(logs, evaluation),
        results=_results(logs, evaluation, len(samples)),
        stats=logs.EvalStats(started_at=min(began), completed_at=evaluation.at, model_usage=_used(evaluation)),
        samples=samples,
    )
    try:
        # Inspect writes several files while it works, so it does that in a folder of its own.
        with tempfile.TemporaryDirectory(prefix=".selfopt-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            outside_loop(lambda: logs.write_eval_log(log, str(made)))
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.chmod(0o600)
            os.replace(made, path)
        fsync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"could not write {path}: {reason_of(error)}") from error
    return len(samples)


def _spec(logs: Any, evaluation: Evaluation) -> Any:
    prompts = [row.prompt_id for row in evaluation.rows]
    return logs.EvalSpec(
        created=evaluation.at,
        task=f"{evaluation.suite}_{evaluation.variant}",
        task_id=evaluation.spec_id,
        task_version=0,
        eval_id=evaluation.evaluation_id,
        run_id=evaluation.evaluation_id,
        model=evaluation.model,
        dataset=logs.EvalDataset(name=evaluation.suite, samples=len(prompts), sample_ids=prompts),
        config=logs.EvalConfig(epochs=max((len(row.trial_ids) for row in evaluation.rows), default=1)),
        packages={"selfopt": __version__},
        task_args={"phase": evaluation.phase, "variant": evaluation.variant, "split": evaluation.split},
        metadata={
            **{
                name: getattr(evaluation, name)
                for name in ("suite_hash", "environment_id", "determinism", "warm_up", "synthetic")
            },
            "outcomes": {row.prompt_id: row.letters for row in evaluation.rows},
        },
    )


def _results(logs: Any, evaluation: Evaluation, samples: int) -> Any:
    figures = {name: evaluation.metrics.figure(name) for name in _METRICS}  # type: ignore[arg-type]
    metrics = {name: logs.EvalMetric(name=name, value=value) for name, value in figures.items() if value is not None}
    score = logs.EvalScore(name=SCORER, scorer=SCORER, scored_samples=samples, unscored_samples=0, metrics=metrics)
    return logs.EvalResults(total_samples=samples, completed_samples=samples, scores=[score])


def _used(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.metrics
    return {evaluation.model: _usage(Usage(input_tokens=metrics.input_tokens, output_tokens=metrics.output_tokens))}


def _usage(usage: Usage) -> Any:
    models = required("inspect_ai.model", "inspect", "a log of Inspect")
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    return models.ModelUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        input_tokens_cache_read=usage.cached_tokens,
        reasoning_tokens=usage.thinking_tokens,
    )


def _sample(logs: Any, judged: ExportedTrial, model: str) -> Any:
    models = required("inspect_ai.model", "inspect", "a log of Inspect")
    prompt, trial, verdict = judged.prompt, judged.trial, judged.verdict
    asked = [_message(models, message) for message in prompt.messages] if prompt is not None else []
    answer = _answer(models, judged)
    passed = verdict is not None and verdict.outcome == "pass"
    score = required("inspect_ai.scorer", "inspect", "a log of Inspect").Score(
        value="C" if passed else "I",
        answer=_answer_text(judged),
        explanation=clean_unicode(verdict.why) if verdict is not None else "not judged",
        metadata={"outcome": verdict.outcome.value, "verdict_id": verdict.verdict_id} if verdict is not None else {},
    )
    finish = trial.exchanges[-1].attempts[-1].finish_reason if trial.exchanges and trial.exchanges[-1].attempts else "unknown"
    choice = models.ChatCompletionChoice(message=answer, stop_reason=_STOPS.get(finish, "unknown"))
    output = models.ModelOutput(model=model, choices=[choice], usage=_usage(trial.usage), time=trial.latency_ms / 1000)
    return logs.EvalSample(
        id=judged.prompt_id,
        epoch=judged.epoch,
        input=asked or f"(the suite of prompt {judged.prompt_id} is not at hand)",
        target=_target(prompt),
        messages=[*asked, answer],
        output=output,
        scores={SCORER: score},
        error=_fault(judged),
        model_usage={model: _usage(trial.usage)},
        started_at=trial.started_at,
        total_time=trial.latency_ms / 1000,
        working_time=trial.busy_ms / 1000,
        uuid=trial.trial_id,
        metadata={
            "trial_id": trial.trial_id,
            "run_id": trial.run_id,
            "fault": trial.fault,
            "tools": [_tool(tool) for tool in judged.tools],
            "expected": _expected(prompt),
        },
    )


def _answer(models: Any, judged: ExportedTrial) -> Any:
    reply, verdict = judged.reply, judged.verdict
    text = clean_unicode(reply.text) if reply is not None else ""
    content: Any = text
    if reply is not None and reply.thinking:
        content = [
            models.ContentReasoning(reasoning=clean_unicode(reply.thinking)),
            *([models.ContentText(text=text)] if text else []),
        ]
    calls = verdict.parsed.tool_calls if verdict is not None else reply.tool_calls if reply is not None else ()
    return models.ChatMessageAssistant(content=content, tool_calls=_calls(calls) or None, source="generate")


def _message(models: Any, message: Message) -> Any:
    text = clean_unicode(message.content)
    if message.role == "assistant":
        return models.ChatMessageAssistant(content=text, tool_calls=_calls(message.tool_calls) or None, source="input")
    if message.role == "tool":
        return models.ChatMessageTool(content=text, tool_call_id=message.tool_call_id, function=message.name, source="input")
    sort = models.ChatMessageSystem if message.role == "system" else models.ChatMessageUser
    return sort(content=text, source="input")


def _calls(calls: Iterable[ToolCall]) -> list[Any]:
    tools = required("inspect_ai.tool", "inspect", "a log of Inspect")
    return [
        tools.ToolCall(id=call.id or f"call_{n}", function=clean_unicode(call.name), arguments=_plain(call.arguments))
        for n, call in enumerate(calls, 1)
    ]


def _answer_text(judged: ExportedTrial) -> str:
    """The calls that were judged; the text where there are none."""
    calls = judged.verdict.parsed.tool_calls if judged.verdict is not None else ()
    text = "\n".join(map(call_text, calls)) if calls else judged.reply.text if judged.reply is not None else ""
    return clean_unicode(text)


def _fault(judged: ExportedTrial) -> Any:
    """What the viewer marks as an error: nothing was answered."""
    if judged.trial.fault is None or judged.reply is not None:
        return None
    why = judged.verdict.why if judged.verdict is not None else ""
    message = clean_unicode(f"{judged.trial.fault}: {why}" if why else judged.trial.fault)
    return required("inspect_ai.log", "inspect", "a log of Inspect").EvalError(message=message, traceback="", traceback_ansi="")


def _plain(value: Any) -> Any:
    """The same JSON without lone surrogates."""
    if isinstance(value, str):
        return clean_unicode(value)
    if isinstance(value, dict):
        return {clean_unicode(str(key)): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return dict(_plain(tool.model_dump(mode="json")))


def _expected(prompt: Prompt | None) -> Any:
    if prompt is None or prompt.expected == "any":
        return "any" if prompt is not None else None
    return [[_plain({"name": call.name, "arguments": call.arguments}) for call in calls] for calls in prompt.expected]


def _target(prompt: Prompt | None) -> str:
    return "" if prompt is None else clean_unicode("\n".join(expected_text(prompt.expected)))
