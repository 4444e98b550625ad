"""Who makes the trials of this process: itself, or workers on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from selfopt.settings import Settings
from selfopt.settings.executing import LOCAL

if TYPE_CHECKING:
    from selfopt.measure.executor import Executor, Work
    from selfopt.measure.trial import TrialJob, TrialResult
    from selfopt.records import Ledger

    from .ray_pool import RayPool


class Executors:
    """Makes executors as the settings say. The cluster is there from the first trial until `close`."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._pool: RayPool | None = None

    def require(self, models: Iterable[str]) -> None:
        """Check that the executor of the settings can make trials of these models. Raises as `require_far`, and `require_ray`."""
        if self._settings.executor == LOCAL:
            return
        from .ray_cluster import require_ray
        from .ray_pool import require_far

        for model in models:
            require_far(self._settings, self._settings.endpoint_of(model)[0])
        require_ray(self._settings.executor)

    def of(self, ledger: Ledger, slots: int) -> Executor:
        """See `MeasureContext.executor_for`."""
        from selfopt.measure.executor import AsyncExecutor

        inner = AsyncExecutor(ledger, slots)
        if self._settings.executor == LOCAL:
            return inner
        if self._pool is None:
            from .ray_pool import RayPool

            self._pool = RayPool(self._settings, self._environ)
        return RayExecutor(inner, self._pool, slots)

    @property
    def worker_pids(self) -> list[int]:
        """The process of each worker of a cluster, on its own node."""
        return self._pool.pids if self._pool is not None else []

    async def close(self) -> None:
        """End the workers. A second call does nothing."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()


class RayExecutor:
    """Has trials made on a cluster.

    This process hands them out, looks at each result, and commits it: each trial once, by its id. So a worker may be
    lost at any time. What this process had not committed when it died is abandoned and asked again by the next one.
    """

    def __init__(self, inner: Executor, pool: RayPool, slots: int) -> None:
        self._inner = inner
        self._pool = pool
        self._slots = max(1, slots)

    async def run(self, work: Work) -> None:
        """Do all jobs. Raises ClusterError, too."""

        async def elsewhere(job: TrialJob, slot: int) -> TrialResult:
            return await self._pool.make(job, slot, self._slots)

        async def measure(job: TrialJob, slot: int) -> TrialResult:
            return await work.measure(replace(job, make=elsewhere), slot)

        await self._inner.run(replace(work, measure=measure))
