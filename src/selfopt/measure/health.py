"""Checks whether the server of a race answers and is still the same.

Asked at fixed places, whatever the outcomes are.
"""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.records import ModelStatus

from .attempt import NOT_LOADED, status_of
from .context import Desk
from .trial import OpenArm

_FIXED = ("digest", "quantization", "template_hash", "engine", "engine_build")


class Health:
    """The health of a block's endpoints, compared with their state when the block began.

    Attributes:
        found: what is wrong; None as far as is known.
    """

    def __init__(self, desk: Desk, arms: Mapping[str, OpenArm]) -> None:
        self._desk = desk
        self._arms: dict[tuple[str, str], OpenArm] = {}
        for arm in arms.values():
            self._arms.setdefault((arm.spec.endpoint, arm.spec.model), arm)
        silent = [arm for arm in self._arms.values() if arm.status.answers is False]
        self.found: str | None = _unanswered(silent[0]) if silent else None

    async def problem(self) -> str | None:
        """Ask the servers now.

        Returns what is wrong; None when nothing is. A server need not tell everything.
        """
        for arm in self._arms.values():
            if self.found is None:
                self.found = _compare(arm, await status_of(self._desk.context.residency_for(arm.spec), arm.model))
        return self.found


def _unanswered(arm: OpenArm) -> str:
    return f"the server of {arm.spec.model} does not answer"


def _compare(arm: OpenArm, now: ModelStatus) -> str | None:
    then = arm.status
    if now.answers is False or (now.state == "unknown" and then.state != "unknown"):
        return _unanswered(arm)
    if then.state == "loaded" and now.state in NOT_LOADED:
        return f"{arm.spec.model} was loaded and is {now.state} in the middle of the block"
    told = ((name, getattr(then, name), getattr(now, name)) for name in _FIXED)
    changed = [name for name, before, after in told if before != after and "unknown" not in (before, after)]
    return f"what serves {arm.spec.model} has changed in the middle of the block: {', '.join(changed)}" if changed else None
