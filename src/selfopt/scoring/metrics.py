"""Aggregates outcomes into metrics, and computes what trivial policies would score."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median, pvariance

from selfopt.records import (
    Judging,
    Metrics,
    Outcome,
    ParsedReply,
    Prompt,
    Suite,
    ToolCall,
    ToolDefinition,
    TrivialPolicy,
    Usage,
    remembered,
)

from .scorer import scorer_of


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """What metrics need of a judged trial.

    `first_of_run`: its request was the first scored one of its run. `asked`: a request was made.
    """

    prompt_id: str
    run_index: int
    needs_call: bool
    outcome: Outcome
    latency_ms: float
    usage: Usage = field(default_factory=Usage)
    first_of_run: bool = False
    asked: bool = True


def compute_metrics(items: Sequence[ScoredTrial], silent: TrivialPolicy, always_calling: TrivialPolicy) -> Metrics:
    """Compute the metrics over all trials. Shares are in [0, 1], times in milliseconds.

    A share is None if there are no trials for it; only accuracy is then 0.

    - accuracy: pass / all
    - call accuracy: pass / trials of prompts that need a call
    - restraint: pass / trials of prompts that need none
    - capability: pass / (pass + wrong + uncalled_for + missed)
    - variance: the population variance of the accuracies per run
    - percentiles: linear interpolation between order statistics (Hyndman and Fan 1996, type 7) over
      all trials that were asked, with those that ended in a fault
    - tokens: a number that the server did not report counts as 0
    """
    passes = [item.outcome is Outcome.PASS for item in items]
    runs: defaultdict[int, list[bool]] = defaultdict(list)
    for item, passed in zip(items, passes, strict=True):
        runs[item.run_index].append(passed)
    run_accuracies = tuple(sum(runs[index]) / len(runs[index]) for index in sorted(runs))
    latencies = sorted(item.latency_ms for item in items if item.asked)
    first = [item.latency_ms for item in items if item.first_of_run and item.asked]
    return Metrics(
        n=len(items),
        accuracy=_share(passes) or 0.0,
        call_accuracy=_share(p for i, p in zip(items, passes, strict=True) if i.needs_call),
        restraint=_share(p for i, p in zip(items, passes, strict=True) if not i.needs_call),
        capability=_share(p for i, p in zip(items, passes, strict=True) if i.outcome.says_something_about_the_model),
        run_accuracies=run_accuracies,
        variance=pvariance(run_accuracies) if len(run_accuracies) > 1 else 0.0,
        counts=dict(Counter(item.outcome for item in items)),
        p50_ms=_percentile(latencies, 0.50),
        p95_ms=_percentile(latencies, 0.95),
        first_call_ms=median(first) if first else None,
        input_tokens=sum(item.usage.input_tokens or 0 for item in items),
        output_tokens=sum(item.usage.output_tokens or 0 for item in items),
        silent=silent,
        always_calling=always_calling,
    )


def trivial_policies(suite: Suite, prompts: Sequence[Prompt]) -> tuple[TrivialPolicy, TrivialPolicy]:
    """Judge two policies that look at nothing, like any reply.

    Returns:
        (silent, always calling). The first never calls. The second calls the first tool of each
        prompt without arguments.
    """
    passes = [(prompt.needs_call, *_trivial_passes(suite.judging, prompt, suite.tools_of(prompt))) for prompt in prompts]
    return _trivial([(needs, silent) for needs, silent, _ in passes]), _trivial([(needs, always) for needs, _, always in passes])


@remembered
def _trivial_passes(judging: Judging, prompt: Prompt, tools: Sequence[ToolDefinition]) -> tuple[bool, bool]:
    """Whether the silent and the always calling policy pass a prompt.

    Remembered, since no trial changes it.
    """
    judge = scorer_of(judging).judge
    first = ParsedReply(tool_calls=tuple(ToolCall(name=tool.name) for tool in tools[:1]))
    silent, always = (judge(prompt, tools, parsed, None).outcome is Outcome.PASS for parsed in (ParsedReply(), first))
    return silent, always


def _trivial(results: Sequence[tuple[bool, bool]]) -> TrivialPolicy:
    return TrivialPolicy(
        accuracy=_share(passed for _, passed in results) or 0.0,
        call_accuracy=_share(passed for needs_call, passed in results if needs_call),
        restraint=_share(passed for needs_call, passed in results if not needs_call),
    )


def _share(passes: Iterable[bool]) -> float | None:
    listed = list(passes)
    return sum(listed) / len(listed) if listed else None


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
