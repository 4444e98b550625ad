"""Proposers of a search: each names ways to ask that may be worth their requests."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Given, WayProposer
from .crossed import crossed
from .nearby import nearby
from .randomly import randomly

SEARCHERS: Mapping[str, WayProposer] = {"random": randomly, "single change": nearby, "crossover": crossed}
"""Every proposer by name. They need nothing that is not there."""

__all__ = ["SEARCHERS", "Given", "WayProposer", "crossed", "nearby", "randomly"]
