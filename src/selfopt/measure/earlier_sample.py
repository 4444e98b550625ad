"""An isolated sample that was taken before, of the same requests in the same environment."""

from __future__ import annotations

from collections.abc import Collection

from selfopt.records import Environment, Ledger, Run, RunEnd, Spec

from .environment import compatible
from .lookup import find
from .resume import PassState, passes_of

__all__ = ["earlier_sample"]


def earlier_sample(ledger: Ledger, spec: Spec, prompt_ids: Collection[str], environment: Environment) -> PassState | None:
    """The newest complete isolated sample of these prompts (or of some of them) under a spec that differs from this one in
    warm-up at most; None where there is none.

    Warm-up decides when a model is loaded and changes nothing about a request, so what the requests were answered in
    isolation then is what they have to be answered now; asking again costs a small model several seconds a prompt. Only
    where both environments tell the model's digest and nothing that they tell differs: who cannot say what was measured
    cannot say that it is the same. No sample in which a server or the network had a hand.
    """
    if environment.digest == "unknown":
        return None
    for known in ledger.read(Spec, {"model": spec.model, "phase": spec.phase}, newest_first=True):
        if known.request_id == spec.request_id or _as_warm_as(known, spec).request_id != spec.request_id:
            continue
        found = _sample_of(ledger, known, prompt_ids, environment)
        if found is not None:
            return found
    return None


def _as_warm_as(known: Spec, spec: Spec) -> Spec:
    return known.model_copy(update={"warm_up": spec.warm_up})


def _sample_of(ledger: Ledger, known: Spec, prompt_ids: Collection[str], environment: Environment) -> PassState | None:
    groups: dict[str | None, list[Run]] = {}
    for run in ledger.read(Run, {"request_id": known.request_id}):
        if run.purpose == "determinism":
            groups.setdefault(run.group_id or run.run_id, []).append(run)
    samples = (passes_of(ledger, runs)["determinism", runs[0].run_index] for runs in reversed(groups.values()))
    return next((one for one in samples if _stands(ledger, one, prompt_ids, environment)), None)


def _stands(ledger: Ledger, state: PassState, prompt_ids: Collection[str], environment: Environment) -> bool:
    if not state.complete or not set(state.prompt_ids) <= set(prompt_ids):
        return False
    if any(trial.fault in ("timeout", "loading", "error") for trial in state.trials.values()):
        return False
    if any(find(ledger, RunEnd, run.run_id) is None for run in state.runs):
        return False
    for environment_id in {run.environment_id for run in state.runs}:
        then = find(ledger, Environment, environment_id)
        if then is None or then.digest == "unknown" or not compatible(then, environment):
            return False
    return True
