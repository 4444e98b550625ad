"""What a cycle cost: trials, tokens, time and money."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from selfopt.records import Ledger, Run, RunEnd, Trial
from selfopt.wiring.app import App

from .costing import trial_cost

MOST_TRIALS = 10_000
"""How many trials of a cycle are read at most, so that a page stays quick."""


@dataclass(frozen=True, slots=True)
class SpentOn:
    """What some trials took.

    Attributes:
        busy_s: how long servers were busy with them, in seconds.
        money: in the currency of the settings; None where a price or a number of tokens is not known.
        whole: whether these are all trials; a very long cycle is counted up to a limit.
    """

    trials: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    busy_s: float = 0.0
    money: float | None = 0.0
    whole: bool = True

    def plus(self, other: SpentOn) -> SpentOn:
        """Both together."""
        money = None if self.money is None or other.money is None else self.money + other.money
        return SpentOn(
            self.trials + other.trials,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.busy_s + other.busy_s,
            money,
            self.whole and other.whole,
        )


_LOCK = threading.Lock()
_RUNS: WeakKeyDictionary[Ledger, dict[str, SpentOn]] = WeakKeyDictionary()


def cycle_cost(app: App, cycle_id: str) -> SpentOn:
    """What the runs of a cycle took. A run that has ended is counted once, and remembered."""
    total = SpentOn()
    if not app.has_ledger:
        return total
    with _LOCK:
        known = _RUNS.setdefault(app.ledger, {})
    for run in app.ledger.read(Run, {"cycle_id": cycle_id}):
        if total.trials >= MOST_TRIALS:
            return total.plus(SpentOn(whole=False))
        spent = known.get(run.run_id)
        if spent is None:
            spent = _of_run(app, run)
            if next(iter(app.ledger.read(RunEnd, {"id": run.run_id}, limit=1)), None) is not None:
                known[run.run_id] = spent
        total = total.plus(spent)
    return total


def _of_run(app: App, run: Run) -> SpentOn:
    trials = tokens_in = tokens_out = 0
    busy, money = 0.0, 0.0
    known = True
    for trial in app.ledger.read(Trial, {"run_id": run.run_id}):
        trials += 1
        tokens_in += trial.usage.input_tokens or 0
        tokens_out += trial.usage.output_tokens or 0
        busy += trial.busy_ms / 1000
        cost = trial_cost(app.settings, run.model, trial) if trial.asked else 0.0
        if cost is not None:
            money += cost
        elif trial.fault is None:
            known = False
    return SpentOn(trials, tokens_in, tokens_out, busy, money if known else None)
