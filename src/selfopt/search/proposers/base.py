"""The seam of a search's proposers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from selfopt.search.archive import Archive
from selfopt.variants.space import Capability, Point


@dataclass(frozen=True, slots=True)
class Given:
    """What a proposer may look at.

    Attributes:
        archive: what was seen.
        space: every way to ask that the server can take, without readings.
        capabilities: what the server has.
        rng: the only source of chance, so that a search can be repeated.
    """

    archive: Archive
    space: Sequence[Point]
    capabilities: frozenset[Capability]
    rng: random.Random


class WayProposer(Protocol):
    """Proposes a way to ask."""

    def __call__(self, given: Given, /) -> Point | None:
        """Returns a way to ask that was not seen yet; None if it has no idea. What it returns beside
        that is passed over.
        """
        ...
