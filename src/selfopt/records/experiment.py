"""The experiment that proves a cold start: runs right after a forced unload in turn with warm ones."""

from __future__ import annotations

import math

from .base import Record
from .suite import Phase


class PromptReload(Record):
    """One prompt: passes right after a forced unload and warm, and the natural log of the Bayes factor "cold start" against
    "flaky" (`selfopt.stats.reload_log_bayes_factor`)."""

    prompt_id: str
    cold_passes: int
    cold_n: int
    warm_passes: int
    warm_n: int
    log_bayes_factor: float


class WarmUpExperiment(Record, ledger_kind="warm_up_experiment", id_field="experiment_id", index_fields=("model", "phase")):
    """runs: of each arm, taken in turn. unloads: how many of the cold runs are known to have begun unloaded.

    prompts: in the order in which they were asked. tested: those over which log_bayes_factor (natural log, "some are hit by cold
    starts" against "none") was taken: the ones that a finding had named before, else all. first_call_*_ms: latency of the first
    scored request of each run; first_call_p: that the cold ones are no slower, by ranks.

    conclusive: there were enough runs of both arms and every unload took place. outcomes_confirmed, latency_confirmed: what it
    confirms, if it is conclusive. harmed: prompts fail when warm that passed when cold, by the same measure; then nothing is
    confirmed.
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
        """Whether it confirms that a warm-up helps, in outcomes or in latency."""
        return self.outcomes_confirmed or self.latency_confirmed

    @property
    def bayes_factor(self) -> str:
        """Such as `0.031`, `5.2` or `4.1e+27`, also where a float would overflow."""
        power = self.log_bayes_factor / math.log(10)
        if -4 < power < 4:
            return f"{10**power:.3g}" if power < 2 else f"{10**power:.0f}"
        exponent = math.floor(power)
        return f"{10 ** (power - exponent):.1f}e{exponent:+03d}"
