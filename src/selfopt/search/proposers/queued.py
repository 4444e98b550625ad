"""What somebody else thought of, such as a model that was asked: proposed in the order it came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from selfopt.variants.space import asking_part, point_text

from .base import Given, Proposal


class Queued:
    """Proposes what it was told. A search stays pure: whoever asks a model tells it what came."""

    def __init__(self) -> None:
        self._waiting: deque[Proposal] = deque()

    def put(self, proposals: Iterable[Proposal]) -> None:
        """Learn of proposals. They are made one at a time, the first ones first."""
        self._waiting.extend(proposals)

    def waits(self) -> bool:
        """Whether there is anything to propose."""
        return bool(self._waiting)

    def propose(self, given: Given) -> Proposal | None:
        """The first one that was not begun. None where none waits."""
        while self._waiting:
            proposal = self._waiting.popleft()
            if point_text(asking_part(proposal.asking)) not in given.archive.looks:
                return proposal
        return None
