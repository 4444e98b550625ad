"""Sentences of the quickstart: what it measures, what it leaves out, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.home import counted
from selfopt.records import Evaluation, Phase

KINDS: dict[Phase, str] = {"atomic": "single requests", "extended": "conversations"}


def short_name(model: str) -> str:
    """A model without its provider."""
    return model.partition("/")[2] or model


def pace_text(paces: Sequence[tuple[str, float, float]]) -> str:
    """How fast each model reads and writes, in tokens a second."""
    return "pace: " + "; ".join(f"{model} reads {reads:.0f} and writes {writes:.0f} tokens/s" for model, reads, writes in paces)


def planned_text(
    models: Sequence[str], prompts: int, candidates: int, conversations: int, repeated: int, warm_ups: Sequence[str]
) -> str:
    """What is measured."""
    of = "of each model" if len(models) > 1 else f"of {' and '.join(map(short_name, models))} alone"
    talks = counted(conversations, "conversation") if conversations else "no conversations"
    return (
        f"{of} {counted(prompts, 'request')} ({repeated} asked again, to see whether replies repeat themselves), "
        f"at most {counted(candidates, 'candidate')}, and {talks}; {_warm_up_of(warm_ups) or 'no warm-up'}"
    )


def left_out_text(
    models: Sequence[str], prompts: int, candidates: int, conversations: int, repeated: int, warm_ups: Sequence[str]
) -> str:
    """What is left out; "" for nothing. Each figure is how much less than the whole."""
    parts = [
        f"the model {' and '.join(map(short_name, models))}" if models else "",
        counted(prompts, "request") if prompts else "",
        counted(candidates, "candidate") if candidates else "",
        counted(conversations, "conversation") if conversations else "",
        f"{counted(repeated, 'request')} asked again" if repeated else "",
        _warm_up_of(warm_ups),
    ]
    return ", ".join(part for part in parts if part)


def _warm_up_of(models: Sequence[str]) -> str:
    return f"the warm-up of {' and '.join(map(short_name, models))}" if models else ""


def percent(share: float) -> str:
    """A share as whole percents; one that is neither 0 nor 1 is shown as neither."""
    shown = round(share * 100)
    if share not in (0.0, 1.0) and shown in (0, 100):
        return "under 1 %" if shown == 0 else "over 99 %"
    return f"{shown} %"


def result_text(model: str, phase: Phase, before: Evaluation | None, after: Evaluation | None) -> str:
    """What came of one model and phase, in the sentence that matters."""
    subject = f"{short_name(model)}, {KINDS[phase]}"
    if before is None or after is None:
        return f"{subject}: not measured"
    ours, theirs = percent(before.metrics.accuracy), percent(after.metrics.accuracy)
    right = theirs if ours == theirs else f"{ours} -> {theirs}"
    how = f" with {after.variant}" if before.variant != after.variant else ""
    silent = after.metrics.silent.accuracy
    weak = f"; a model that never calls has {percent(silent)}" if after.metrics.accuracy <= silent else ""
    return f"{subject}: {right} of requests right{how}{uninvited_text(after.metrics.restraint)}{weak}"


def kept_away_text(fallback: str | None) -> str:
    """Who answers for a model that may not serve a phase."""
    if fallback is not None:
        return f"kept away; {fallback} answers in its place"
    return "kept away, and its requests are refused; a stronger model that is measured on them becomes the fallback"


def uninvited_text(restraint: float | None) -> str:
    """How often a model called a tool that nobody asked for; "" where no prompt could tell."""
    if restraint is None:
        return ""
    if restraint == 1.0:
        return ", never called a tool uninvited"
    if restraint == 0.0:
        return ", called a tool each time that none was wanted"
    return f", called a tool in {percent(1 - restraint)} of the requests that want none"
