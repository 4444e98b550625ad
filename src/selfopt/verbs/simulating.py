"""`simulate`: runs the policy on synthetic worlds. Needs no home, no model and no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selfopt.errors import UsageError
from selfopt.simulate import CYCLES, WORLDS, SimulationPlan, cycle_figures, escalation_figures, world_figures


def simulate_worlds(
    worlds: Sequence[str] = ("12x4",),
    *,
    changes: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda text: None,
    **plan: Any,
) -> dict[str, dict[str, Any]]:
    """Simulate worlds and return their figures by name; see `world_figures` and `cycle_figures`.

    Args:
        changes: options of `WorldOptions` to change in each world.
        plan: options of `SimulationPlan`.

    Raises:
        UsageError: a world does not exist, or a figure is out of range.
    """
    known = (*WORLDS, CYCLES)
    for name in worlds:
        if name not in known:
            raise UsageError(f"unknown world {name!r}: choose from {', '.join(known)}")
    made = SimulationPlan(progress=progress, **plan)
    wanted = dict(changes or {})
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(worlds):
        if name == CYCLES:
            found[name] = cycle_figures(made, replace(WORLDS["12x4"], **wanted))
        else:
            found[name] = world_figures(name, replace(WORLDS[name], **wanted), made)
    return found


def simulate_escalation(
    replications: int = 2000,
    *,
    seed: str = "0",
    processes: int | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Choose thresholds on worlds where the truth is known, and return the figures; see `escalation_figures`.

    Raises:
        UsageError: a figure is out of range.
    """
    return escalation_figures(replications, seed=seed, processes=processes, progress=progress)
