"""Finds stored replies to the requests of a spec, for whoever only ranks and needs no fresh ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from selfopt.records import Blob, Environment, Ledger, Purpose, Run, Spec, Trial
from selfopt.records.spec import UNKNOWN
from selfopt.records.trial import EMBED_STEP
from selfopt.variants import options_of

from .arms import model_status, observe
from .context import Desk
from .lookup import find, held
from .options import Reuse

# Isolated samples and warm-ups are asked in another way than a pass is.
_ORDINARY: frozenset[Purpose] = frozenset({"measure", "race", "search"})


async def earlier_trials(desk: Desk, spec: Spec, prompt_ids: Collection[str], *, before: str) -> dict[str, Trial]:
    """The oldest stored trial of each prompt that answers what this spec would ask now.

    It has the same request_id, and so the same model, split, suite and requests. It came from an
    environment that can be the present one, before the given time, and its reply was whole or cut.
    Where replies are asked for with their log probabilities now, it was asked for them too. Where
    the server hides what it serves, it is at most a day older.

    Args:
        desk: its ledger is read, and its server is asked for the state of the model.
        spec: whose requests they are.
        prompt_ids: the prompts that are wanted.
        before: as RFC 3339 in UTC. A search that goes on takes what it would have taken when it
            began.

    Returns:
        By prompt id, those that there are.
    """
    context = desk.context
    runs = [run for run in context.ledger.read(Run, {"request_id": spec.request_id}) if _fits(run, spec, before)]
    if not runs:
        return {}
    status = await model_status(desk, spec)
    present = observe(spec, status, context.hardware)
    observed = context.logprobs_for(spec) is not None and status.logprobs is not False
    found: dict[str, Trial] = {}
    for run in runs:
        if not _same(spec, find(context.ledger, Environment, run.environment_id), present, run, before):
            continue
        trials = [trial for trial in context.ledger.read(Trial, {"run_id": run.run_id}) if _answered(trial)]
        if observed and not _asked_for_logprobs(context.ledger, trials):
            continue
        for trial in trials:
            if trial.prompt_id in prompt_ids:
                found.setdefault(trial.prompt_id, trial)
    return found


def _fits(run: Run, spec: Spec, before: str) -> bool:
    return run.purpose in _ORDINARY and run.split == spec.split and run.at <= before


def _answered(trial: Trial) -> bool:
    return trial.asked and trial.fault in (None, "truncated")


def _same(spec: Spec, then: Environment | None, present: Environment, run: Run, before: str) -> bool:
    """Whether what answered a run can be what answers now."""
    if then is None or not then.compatible_with(present):
        return False
    hidden = options_of(spec.variant).embedding != "" and present.embedding_digest == UNKNOWN
    age = datetime.fromisoformat(before) - datetime.fromisoformat(run.at)
    return (UNKNOWN not in (then.digest, present.digest) and not hidden) or age <= timedelta(seconds=Reuse().unknown_max_age_s)


def _asked_for_logprobs(ledger: Ledger, trials: Iterable[Trial]) -> bool:
    """Whether the requests of a run asked for log probabilities, as the first one shows. A server may
    give none for some replies.
    """
    for trial in trials:
        if any(exchange.logprobs is not None for exchange in trial.exchanges):
            return True
    asked = next((one for trial in trials for one in trial.exchanges if one.step != EMBED_STEP), None)
    return asked is not None and '"logprobs"' in held(ledger, Blob, asked.attempts[-1].request).text
