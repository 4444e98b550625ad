"""Caps that several processes share: what they spend is counted in one file, under a lock."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from selfopt.errors import CorruptError
from selfopt.home.files import flock_wait, open_private, read_text_bounded, write_all
from selfopt.measure.budget import Budget
from selfopt.records import Usage
from selfopt.wiring.app import App


@dataclass(frozen=True, slots=True)
class Spent:
    """What all processes took so far. trials counts those under way, too. unpriced: a model of unknown cost."""

    trials: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: str = ""


class SharedCaps:
    """Caps on what the processes that name the same file spend together.

    Args:
        path: a file that one of them made, empty at first.
        began_at: when the work began, in seconds since the epoch.
    """

    def __init__(self, path: Path, budget: Budget, began_at: float, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._budget = budget
        self._began_at = began_at
        self._clock = clock

    def reserve(self) -> str | None:
        """Count one trial more. Returns the cap that forbids it, in words; None where none does."""
        with self._held() as descriptor:
            spent = self._read()
            reason = self._reason(spent)
            if reason is None:
                _write(descriptor, replace(spent, trials=spent.trials + 1))
        return reason

    def charge(self, usage: Usage, cost: float | None, model: str) -> None:
        """Count what a trial took. cost: None: not known; a cap on cost then holds no more."""
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        with self._held() as descriptor:
            spent = self._read()
            unpriced = model if cost is None else spent.unpriced
            made = replace(spent, tokens=spent.tokens + tokens, cost=spent.cost + (cost or 0.0), unpriced=unpriced)
            _write(descriptor, made)

    def _reason(self, spent: Spent) -> str | None:
        caps = self._budget
        minutes = (self._clock() - self._began_at) / 60
        for name, cap, taken in (
            ("max_trials", caps.max_trials, spent.trials),
            ("max_minutes", caps.max_minutes, minutes),
            ("max_tokens", caps.max_tokens, spent.tokens),
            ("max_cost", caps.max_cost, spent.cost),
        ):
            if cap is not None and taken >= cap:
                return f"{name} = {cap:g} is reached; raise it to ask the rest"
        if caps.max_cost is not None and spent.unpriced:
            return f"max_cost = {caps.max_cost:g} is set, but what {spent.unpriced} costs is unknown"
        return None

    @contextmanager
    def _held(self) -> Iterator[int]:
        descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
        try:
            flock_wait(descriptor, exclusive=True, what="the count of what was spent")
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self) -> Spent:
        text = read_text_bounded(self._path, "the count of what was spent", 10_000)
        try:
            return Spent(**json.loads(text)) if text else Spent()
        except (ValueError, TypeError):
            raise CorruptError(f"the count of what was spent ({self._path}) is damaged; repeat the command") from None


def shared_caps(app: App, path: Path, began_at: float) -> SharedCaps:
    """The caps of the settings, for all processes that name the same file."""
    return SharedCaps(path, app.budget, began_at)


def _write(descriptor: int, spent: Spent) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)
    write_all(descriptor, json.dumps(asdict(spent)).encode())
