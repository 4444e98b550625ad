"""Is a spec deterministic? One pass, then a few seeded prompts again in isolation."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Determinism, Outcome, Prompt, Spec, Verdict

__all__ = ["agree", "infrastructure", "judge_determinism", "sample_prompts"]

_INFRASTRUCTURE = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})

Verdicts = Mapping[str, Verdict]


def infrastructure(verdicts: Verdicts) -> bool:
    """Whether any outcome was made by a server or the network. Such a pass says nothing about how often it would be so."""
    return any(verdict.outcome in _INFRASTRUCTURE for verdict in verdicts.values())


def sample_prompts(prompts: Sequence[Prompt], request_id: str, size: int) -> tuple[tuple[int, Prompt], ...]:
    """`size` prompts with their positions, drawn by a generator seeded with the request_id, in the order of the suite."""
    chosen = random.Random(f"determinism {request_id}").sample(range(len(prompts)), min(size, len(prompts)))
    return tuple((position, prompts[position]) for position in sorted(chosen))


def agree(one: Verdict, other: Verdict) -> bool:
    """Same outcome and same tool calls, in order; the calls' ids, which servers draw at random, take no part."""
    return one.outcome is other.outcome and _calls(one) == _calls(other)


def _calls(verdict: Verdict) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in verdict.parsed.tool_calls]


def judge_determinism(spec: Spec, passes: Sequence[Verdicts], sample: Verdicts | None) -> Determinism:
    """From the verdicts by prompt of the complete passes (oldest first) and of the isolated sample.

    "sampled": one pass, and the sample agrees with it; "complete": at least two passes, and all agree; "stochastic":
    anything differs, a server or the network had a hand in it, or the sampling has no seed; "unknown": one pass alone.
    """
    if not passes:
        return "unknown"
    if any(infrastructure(one) for one in passes) or (sample is not None and infrastructure(sample)):
        return "stochastic"
    sampling = spec.variant.sampling
    if sampling.temperature > 0 and sampling.seed is None:
        return "stochastic"
    first = passes[0]
    if not all(agree(verdict, other[prompt_id]) for other in passes[1:] for prompt_id, verdict in first.items()):
        return "stochastic"
    if sample is not None and not all(agree(verdict, first[prompt_id]) for prompt_id, verdict in sample.items()):
        return "stochastic"
    if len(passes) > 1:
        return "complete"
    return "unknown" if sample is None else "sampled"
