"""Synthetic worlds on which the real policy is tried: what it promotes falsely, finds, and costs."""

from .bench import BASELINE, Bench, candidate_name, race_start, run_race
from .worlds import World, WorldOptions, make_world

__all__ = ["BASELINE", "Bench", "World", "WorldOptions", "candidate_name", "make_world", "race_start", "run_race"]
