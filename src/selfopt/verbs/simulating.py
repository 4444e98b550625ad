"""`simulate`: the policy on synthetic worlds. Needs no home, no model and no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selfopt.errors import UsageError
from selfopt.simulate import CYCLES, WORLDS, SimulationPlan, cycle_figures, world_figures


def simulate_worlds(
    worlds: Sequence[str] = ("12x4",),
    *,
    changes: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda text: None,
    **plan: Any,
) -> dict[str, dict[str, Any]]:
    """The figures of these worlds by name, as `world_figures` and `cycle_figures` tell them.

    changes: options of `WorldOptions` that differ from each named world's; plan: options of `SimulationPlan`. UsageError for a world that
    does not exist and for figures out of range.
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
