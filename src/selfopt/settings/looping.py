"""The loop's table of selfopt.toml."""

from __future__ import annotations

from pydantic import Field

from .endpoint import Table
from .objective import ObjectiveSettings
from .reflection import ReflectionSettings


class LoopSettings(Table):
    """The loop.

    Attributes:
        n_runs: Runs of a stochastic spec.
        determinism_sample: How many prompts to repeat in isolation before replies count as
            deterministic. None: 4, and 20 for suites with more than 40 prompts.
        max_candidates: Candidates per model and cycle.
        search: Search the space of variants for what a cycle tries.
        search_trials: How many trials a search may make.
        search_fresh: A search asks anew what the ledger already holds a reply to.
        objective: What a search looks for.
        baseline: "MODEL PHASE VARIANT" of the first baseline.
        reflection: the model that a search asks what would mend failures.
    """

    n_runs: int = Field(default=7, ge=1, le=1000)
    determinism_sample: int | None = Field(default=None, ge=1, le=1000)
    max_candidates: int = Field(default=3, ge=0, le=100)
    search: bool = False
    search_trials: int = Field(default=1500, ge=1, le=1_000_000)
    search_fresh: bool = False
    objective: ObjectiveSettings = ObjectiveSettings()
    baseline: str = "local/smollm2-135m atomic native_api"
    reflection: ReflectionSettings = ReflectionSettings()

    def sample_of(self, prompts: int) -> int:
        """Returns how many prompts to repeat of a suite with this many."""
        wanted = self.determinism_sample
        return min(prompts, wanted if wanted is not None else 4 if prompts <= 40 else 20)
