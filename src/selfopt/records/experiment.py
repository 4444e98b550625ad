"""The experiment that proves a cold start: cold runs, each right after a forced unload, in turn
with warm runs.
"""

from __future__ import annotations

import math

from .base import Record
from .suite import Phase


class PromptReload(Record):
    """The results of one prompt."""

    prompt_id: str
    cold_passes: int  # of the cold_n trials right after a forced unload
    cold_n: int
    warm_passes: int  # of the warm_n trials with the model loaded
    warm_n: int
    log_bayes_factor: float  # natural log, "cold start" against "flaky" (`selfopt.stats.reload_log_bayes_factor`)


class WarmUpExperiment(Record, ledger_kind="warm_up_experiment", id_field="experiment_id", index_fields=("model", "phase")):
    """Whether a warm-up helps one model in one phase.

    Attributes:
        unloads: how many cold runs are known to have begun unloaded.
        prompts: in the order in which they were asked.
        tested: ids of the prompts behind log_bayes_factor: those that a finding had named before,
            else all.
        log_bayes_factor: natural log, "cold starts hit some of these prompts" against "none".
        first_call_cold_ms, first_call_warm_ms: latency of the first scored request of each run.
        first_call_p: p-value, by ranks, of "the cold first calls are no slower".
        conclusive: both arms had enough runs, and every unload took place.
        outcomes_confirmed, latency_confirmed: what a conclusive experiment confirms.
        harmed: by the same measure, prompts that passed when cold fail when warm. Nothing is
            confirmed then.
    """

    experiment_id: str
    model: str
    phase: Phase
    variant: str
    suite: str
    suite_hash: str
    environment_id: str
    evaluation_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    cold_runs: int
    warm_runs: int
    unloads: int
    prompts: tuple[PromptReload, ...]
    tested: tuple[str, ...]
    log_bayes_factor: float
    first_call_cold_ms: tuple[float, ...]
    first_call_warm_ms: tuple[float, ...]
    first_call_p: float
    conclusive: bool
    outcomes_confirmed: bool
    latency_confirmed: bool
    harmed: bool
    at: str

    @property
    def confirmed(self) -> bool:
        """Whether the experiment confirms that a warm-up helps, in outcomes or in latency."""
        return self.outcomes_confirmed or self.latency_confirmed

    @property
    def bayes_factor(self) -> str:
        """The factor as text, such as `0.031`, `5.2` or `4.1e+27`, even where a float would
        overflow.
        """
        power = self.log_bayes_factor / math.log(10)
        if -4 < power < 4:
            return f"{10**power:.3g}" if power < 2 else f"{10**power:.0f}"
        exponent = math.floor(power)
        return f"{10 ** (power - exponent):.1f}e{exponent:+03d}"
