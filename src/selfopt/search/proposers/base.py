"""The seam of a search's proposers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from selfopt.records import Capability, Phase, WrittenChoice
from selfopt.search.archive import Archive
from selfopt.variants.space import Point, point_text


@dataclass(frozen=True, slots=True)
class Given:
    """What a proposer may look at.

    Attributes:
        archive: what was seen.
        space: ways to ask that the server can take, without readings: all of them where there are
            few, else as many as were drawn.
        capabilities: what the server has.
        rng: the only source of chance, so that a search can be repeated.
        parts: the names of the parts that may differ from their defaults; None: all.
    """

    archive: Archive
    space: Sequence[Point]
    capabilities: frozenset[Capability]
    rng: random.Random
    parts: frozenset[str] | None = None

    @property
    def phase(self) -> Phase:
        """The kind of work that is searched for, which says what parts there are."""
        return self.archive.phase

    def fresh(self) -> Iterator[Point]:
        """Every way to ask that was not begun."""
        return (point for point in self.space if point_text(point) not in self.archive.looks)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A way to ask that may be worth its requests.

    Attributes:
        asking: its choices. Those that only change how replies are read are passed over.
        fixes: prompts that it is expected to pass where `instead_of` fails.
        breaks: prompts that it is expected to fail where `instead_of` passes.
        instead_of: the point that these expectations compare it with. None: there are none.
        written: the choices among them that were written for it. Those of earlier proposals are known.
    """

    asking: Point
    fixes: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()
    instead_of: Point | None = None
    written: tuple[WrittenChoice, ...] = ()


@runtime_checkable
class WayProposer(Protocol):
    """Proposes ways to ask."""

    def propose(self, given: Given, /) -> Proposal | None:
        """Returns a way to ask that was not begun yet; None if it has no idea. What can't be asked or
        was begun before is passed over.
        """
        ...
