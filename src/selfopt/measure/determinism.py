"""Finds out whether a spec is deterministic: one pass, then a few prompts again in isolation."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from selfopt.records import Determinism, Environment, Ledger, Outcome, Prompt, Run, RunEnd, Spec, Trial, Verdict

from .lookup import find
from .resume import PassState, passes_of

_INFRASTRUCTURE = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})

Verdicts = Mapping[str, Verdict]


def infrastructure(verdicts: Verdicts) -> bool:
    """Whether a server or the network caused any outcome.

    Such a pass does not tell whether repeats are copies.
    """
    return any(verdict.outcome in _INFRASTRUCTURE for verdict in verdicts.values())


def sample_prompts(prompts: Sequence[Prompt], request_id: str, size: int) -> tuple[tuple[int, Prompt], ...]:
    """Draw `size` prompts with their positions, in the suite's order.

    The request_id is the seed.
    """
    chosen = random.Random(f"determinism {request_id}").sample(range(len(prompts)), min(size, len(prompts)))
    return tuple((position, prompts[position]) for position in sorted(chosen))


def agree(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts have the same outcome and the same tool calls, in order.

    Ids of calls are ignored: servers draw them.
    """
    return one.outcome is other.outcome and _calls(one) == _calls(other)


def _calls(verdict: Verdict) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in verdict.parsed.tool_calls]


def judge_determinism(spec: Spec, passes: Sequence[Verdicts], sample: Verdicts | None) -> Determinism:
    """Judge determinism by the complete passes and the isolated sample.

    Args:
        passes: the verdicts of each complete pass by prompt id, oldest first.
        sample: the same of the isolated sample.

    Returns:
        - sampled: one pass, and the sample agrees with it.
        - complete: at least two passes, and all agree.
        - stochastic: anything differs, a server or the network caused an outcome, or the sampling
          has no seed.
        - unknown: one pass and no sample, or no pass.
    """
    if not passes:
        return "unknown"
    if any(infrastructure(one) for one in passes) or (sample is not None and infrastructure(sample)):
        return "stochastic"
    if spec.variant.sampling.draws_anew:
        return "stochastic"
    first = passes[0]
    if not all(agree(verdict, other[prompt_id]) for other in passes[1:] for prompt_id, verdict in first.items()):
        return "stochastic"
    if sample is not None and not all(agree(verdict, first[prompt_id]) for prompt_id, verdict in sample.items()):
        return "stochastic"
    if len(passes) > 1:
        return "complete"
    return "unknown" if sample is None else "sampled"


def earlier_sample(ledger: Ledger, spec: Spec, prompt_ids: Collection[str], environment: Environment) -> PassState[Trial] | None:
    """The newest whole isolated sample of these prompts, under a spec with another warm-up only.

    Warm-up decides when a model is loaded and changes nothing about a request, so the answers in
    isolation are the same. To ask again would cost a small model several seconds a prompt.

    Both environments have to tell the model's digest, and nothing that they tell may differ.
    Samples with a fault of the server or the network are passed over.
    """
    if environment.digest == "unknown":
        return None
    for known in ledger.read(Spec, {"model": spec.model, "phase": spec.phase}, newest_first=True):
        alike = known.model_copy(update={"warm_up": spec.warm_up})
        if known.request_id == spec.request_id or alike.request_id != spec.request_id:
            continue
        found = _sample_of(ledger, known, prompt_ids, environment)
        if found is not None:
            return found
    return None


def _sample_of(ledger: Ledger, known: Spec, prompt_ids: Collection[str], environment: Environment) -> PassState[Trial] | None:
    groups: dict[str | None, list[Run]] = {}
    for run in ledger.read(Run, {"request_id": known.request_id}):
        if run.purpose == "determinism":
            groups.setdefault(run.group_id or run.run_id, []).append(run)
    samples = (passes_of(ledger, runs)["determinism", runs[0].run_index] for runs in reversed(groups.values()))
    return next((one for one in samples if _stands(ledger, one, prompt_ids, environment)), None)


def _stands(ledger: Ledger, state: PassState[Trial], prompt_ids: Collection[str], environment: Environment) -> bool:
    if not state.complete or not set(state.prompt_ids) <= set(prompt_ids):
        return False
    if any(trial.fault in ("timeout", "loading", "error") for trial in state.trials.values()):
        return False
    if any(find(ledger, RunEnd, run.run_id) is None for run in state.runs):
        return False
    then = [find(ledger, Environment, environment_id) for environment_id in {run.environment_id for run in state.runs}]
    return all(e is not None and e.digest != "unknown" and e.compatible_with(environment) for e in then)
