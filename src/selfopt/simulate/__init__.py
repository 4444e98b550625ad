"""Tries the real policy on synthetic worlds: what it promotes falsely, finds and costs."""

from .bench import BASELINE, Bench, candidate_name, race_start, run_race
from .checks import CheckWorld, LossShape, SimulatedCheck
from .escalation_figures import escalation_figures
from .figures import CYCLES, WORLDS, SimulationPlan, cycle_figures, world_figures
from .forecast import Forecast, forecast
from .many import Means, repeat
from .searches import SearchOptions, SimulatedSearch
from .worlds import World, WorldOptions, make_world

__all__ = [
    "BASELINE",
    "CYCLES",
    "WORLDS",
    "Bench",
    "CheckWorld",
    "Forecast",
    "LossShape",
    "Means",
    "SearchOptions",
    "SimulatedCheck",
    "SimulatedSearch",
    "SimulationPlan",
    "World",
    "WorldOptions",
    "candidate_name",
    "cycle_figures",
    "escalation_figures",
    "forecast",
    "make_world",
    "race_start",
    "repeat",
    "run_race",
    "world_figures",
]
