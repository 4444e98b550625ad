"""Leaves a model alone while it fails, though its server answers for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from selfopt.errors import EndpointError, EndpointFault

BreakerState = Literal["closed", "open", "half_open"]
LONGEST_BREAK_S = 60.0
# What a server or model does when it is broken. The other kinds are answers.
DOWN: frozenset[EndpointFault] = frozenset({"timeout", "connect", "server", "protocol"})


def down(name: str, wait_s: float) -> EndpointError:
    """Return the error for a request that is not sent, since who would answer it is left alone."""
    wait_s = max(1.0, wait_s)
    return EndpointError(
        f"{name} is down; try again in {wait_s:.0f} s", kind="server", status=503, retry_after_s=wait_s, final=True
    )


class ModelBreaker:
    """The breaker of one model.

    Whether a model works shows only when it is asked. So once the break is over, one request goes
    through, and the others wait for what becomes of it.

    Attributes:
        state: `closed` lets requests through, `open` does not, `half_open` lets one through.
        faults: how many there were in a row.
    """

    __slots__ = ("_allowed", "_break_s", "_clock", "_trial", "_until", "faults", "state")

    def __init__(self, allowed: int, break_s: float, clock: Callable[[], float]) -> None:
        """Begin closed.

        Args:
            allowed: faults in a row that open it.
            break_s: for how long; doubled each time that the trial fails.
            clock: seconds.
        """
        self.state: BreakerState = "closed"
        self._allowed = allowed
        self._break_s = break_s
        self._clock = clock
        self.faults = 0
        self._until = 0.0
        self._trial = False

    def check(self, name: str) -> None:
        """Raise EndpointError while the model is left alone. name: the model's, for the message."""
        if self.state == "closed":
            return
        left_s = self._until - self._clock()
        if left_s > 0 or self._trial:
            raise down(f"endpoint {name.partition('/')[0]}: model {name.partition('/')[2]}", left_s)
        self.state, self._trial = "half_open", True

    def failed(self) -> bool:
        """Note a fault of the model. Returns whether the breaker opened."""
        self.faults += 1
        again = self.state == "half_open"
        if not again and (self.state == "open" or self.faults < self._allowed):
            return False
        if again:
            self._break_s = min(self._break_s * 2, LONGEST_BREAK_S)
        self.state, self._trial = "open", False
        self._until = self._clock() + self._break_s
        return True

    def undecided(self) -> None:
        """Note that a trial showed nothing about the model. The next request is a trial again."""
        if self.state == "half_open":
            self.state, self._trial = "open", False
