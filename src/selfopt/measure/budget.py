"""Caps on what a measurement may spend in total."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from selfopt.records import Usage

from .silence import Silence


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps; None means no cap. max_cost is in the currency of the context's prices."""

    max_trials: int | None = None
    max_minutes: float | None = None
    max_tokens: int | None = None
    max_cost: float | None = None


class BudgetMeter:
    """Counts what has been spent, and says why to stop.

    The measurements of one command may share a meter.

    Trials in flight are reserved, so max_trials is never exceeded. Tokens, cost and time are known
    only afterwards, so the trials in flight can exceed those caps.

    Attributes:
        silence: notices that no server of the command replies.
        trials: committed trials.
        tokens: input and output tokens of all trials.
        cost: of all trials with a known price.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.budget = budget
        self._bounded = budget != Budget()
        self._clock = clock
        self._began = clock()
        self._reserved = 0
        self.silence = Silence()
        self.trials = 0
        self.tokens = 0
        self.cost = 0.0
        self._unpriced: str | None = None

    @property
    def stop_reason(self) -> str | None:
        """The cap that is reached, in words; None while the budget lasts."""
        if not self._bounded:
            return None
        budget = self.budget
        if budget.max_trials is not None and self.trials + self._reserved >= budget.max_trials:
            # Trials in flight count, so the number of committed ones would mislead.
            return f"max_trials = {budget.max_trials} reached by this command; raise max_trials to go on"
        if budget.max_minutes is not None and (self._clock() - self._began) / 60 >= budget.max_minutes:
            return f"max_minutes = {_shown(budget.max_minutes)} reached after {self.trials} trials; raise max_minutes to go on"
        if budget.max_tokens is not None and self.tokens >= budget.max_tokens:
            return f"max_tokens = {budget.max_tokens} reached ({self.tokens} used); raise max_tokens to go on"
        if budget.max_cost is not None:
            if self._unpriced is not None:
                return f"max_cost = {_shown(budget.max_cost)} is set, but what {self._unpriced} costs is unknown: it has no price, or its server counts no tokens"
            if self.cost >= budget.max_cost:
                return f"max_cost = {_shown(budget.max_cost)} reached ({self.cost:.4f} spent); raise max_cost to go on"
        return None

    def shortfall(self, trials: int) -> str | None:
        """The cap that so many more trials would exceed, judged by what trials took so far.

        None when none is known to.
        """
        if self.stop_reason is not None:
            return self.stop_reason
        budget, made = self.budget, self.trials
        left = None if budget.max_trials is None else budget.max_trials - made - self._reserved
        if left is not None and trials > left:
            made += self._reserved
            return f"max_trials = {budget.max_trials}: {left} are left, the next block takes {trials}; raise it to {made + trials} or more"
        each = 0 if made == 0 else trials / made
        minutes = (self._clock() - self._began) / 60
        for name, cap, spent in (
            ("max_minutes", budget.max_minutes, minutes),
            ("max_tokens", budget.max_tokens, self.tokens),
            ("max_cost", budget.max_cost, self.cost),
        ):
            if cap is not None and spent + each * spent > cap:
                return (
                    f"{name} = {_shown(cap)}: {_shown(spent)} are spent, the next block of {trials} trials would take about "
                    f"{_shown(each * spent, 2)}; "
                    f"raise {name} to go on"
                )
        return None

    def affords(self) -> int | None:
        """How many more trials the caps leave, at what trials took so far. None where no cap bounds them,
        or nothing was made yet that tells.
        """
        budget, left = self.budget, []
        if budget.max_trials is not None:
            left.append(budget.max_trials - self.trials - self._reserved)
        minutes = (self._clock() - self._began) / 60
        for cap, spent in ((budget.max_minutes, minutes), (budget.max_tokens, self.tokens), (budget.max_cost, self.cost)):
            if cap is not None and self.trials and spent > 0:
                left.append(int((cap - spent) / (spent / self.trials)))
        return max(0, min(left)) if left else None

    def ends_in_s(self, trials: int, keeping: int) -> float | None:
        """In how many seconds so many more trials are made, at the pace so far, or a cap leaves no more
        than other trials will take that are kept back. None while neither is known.

        Args:
            trials: how many more are to be made at most.
            keeping: how many are kept back.
        """
        spent_s, budget = self._clock() - self._began, self.budget
        if budget.max_trials is not None:
            trials = max(0, min(trials, budget.max_trials - self.trials - self._reserved - keeping))
        pace_s = spent_s / self.trials if self.trials else None
        ends = [] if pace_s is None else [trials * pace_s]
        if budget.max_minutes is not None:
            ends.append(max(0.0, budget.max_minutes * 60 - spent_s - keeping * (pace_s or 0.0)))
        return min(ends, default=None)

    def reserve(self) -> bool:
        """Reserve one trial. Returns False when a cap is reached."""
        if self.stop_reason is not None:
            return False
        self._reserved += 1
        return True

    def release(self) -> None:
        """Give back the reservation of a trial that was not committed."""
        self._reserved -= 1

    def charge(self, usage: Usage, cost: float | None, model: str, *, replied: bool = True) -> None:
        """Count what a measured trial took.

        Args:
            cost: None: not known. A cap on cost then holds no more.
            replied: False: there was no reply. What it cost is what is known of it, or nothing.
        """
        self.tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)
        if cost is not None:
            self.cost += cost
        elif replied:
            self._unpriced = model

    def commit(self) -> None:
        """Count a reserved trial as committed."""
        self._reserved -= 1
        self.trials += 1


def _shown(amount: float, digits: int = 4) -> str:
    """A whole number as it is, another one with so many significant digits. Never with an exponent."""
    return str(int(amount)) if amount == int(amount) else f"{float(f'{amount:.{digits}g}'):.12g}"
