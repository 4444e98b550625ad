"""Says whether the log probabilities of replies come with them."""

from __future__ import annotations

from selfopt.records import Run, Spec, Trial
from selfopt.records.trial import EMBED_STEP

from .arms import model_status
from .context import Desk


def is_observed(trial: Trial) -> bool:
    """Whether every reply of a trial's model came with its log probabilities."""
    return all(item.logprobs is not None for item in trial.exchanges if item.content is not None and item.step != EMBED_STEP)


async def gives_logprobs(desk: Desk, spec: Spec) -> bool:
    """Whether the replies to a spec's requests come with their log probabilities.

    The newest reply tells. Before there is any, the server does. One that gives them for some
    requests and not for others gives them here if it does for these.
    """
    context = desk.context
    if context.logprobs_for(spec) is None:
        return False
    for run in context.ledger.read(Run, {"request_id": spec.request_id}, newest_first=True):
        for trial in context.ledger.read(Trial, {"run_id": run.run_id}, newest_first=True):
            if any(item.content is not None for item in trial.exchanges):
                return is_observed(trial)
    return (await model_status(desk, spec)).logprobs is True
