"""`loop --dry-run --gain`: simulates a cycle's races to forecast how many trials they take."""

from __future__ import annotations

from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.home import counted
from selfopt.loop import LoopContext, newest_evaluation
from selfopt.policy import heldout_claim
from selfopt.records import Evaluation, Spec
from selfopt.simulate import Forecast, WorldOptions, forecast
from selfopt.wiring.app import App

_FIRST_SHARE = 2  # without a horizon the first look gets a half of alpha


@dataclass(frozen=True, slots=True)
class RaceOdds:
    """What to forecast.

    Attributes:
        gain: the improvement to find, as a share.
        power: the probability of finding it.
    """

    gain: float = 0.05
    power: float = 0.9

    def __post_init__(self) -> None:
        """UsageError for figures out of range."""
        if not 0 < self.gain <= 1:
            raise UsageError(f"--gain got {self.gain * 100:g} points: need more than 0 and at most 100")
        if not 0 < self.power < 1:
            raise UsageError(f"--power got {self.power:g}: need a share strictly between 0 and 1, such as 0.9")


@dataclass(frozen=True, slots=True)
class CycleForecast:
    """The forecast for one model and phase.

    Attributes:
        alpha: the error probability assumed for each race.
        flaky: the share of prompts that pass only sometimes.
        measured: whether `flaky` was measured rather than assumed.
        search: the race on the search prompts.
        heldout: the winner's race on held-out prompts; None when the decision is only about this
            suite.
    """

    candidates: int
    prompts: int
    alpha: float
    flaky: float
    measured: bool
    search: Forecast
    heldout: Forecast | None

    def lines(self, odds: RaceOdds) -> list[str]:
        """Say the forecast in words, one line for each race."""
        seen = "as measured" if self.measured else "a guess"
        found = [
            f"if replies differ between runs, a race of {self.candidates} candidates on {counted(self.prompts, 'prompt')} "
            f"({self.flaky:.0%} of them flaky, {seen}): {_takes(self.search, odds)}; if no candidate is better, about "
            f"{counted(self.search.trials_without, 'trial')} until all are dropped"
        ]
        if self.heldout is not None:
            found.append(f"then the winner's race on the held-out prompts: {_takes(self.heldout, odds)}")
        return found


def _takes(found: Forecast, odds: RaceOdds) -> str:
    gain = f"{odds.gain * 100:g} points"
    if found.trials is None:
        return (
            f"a gain of {gain} is found in only {found.power:.0%} of such races, not {odds.power:.0%}, however long they last; "
            f"on average {counted(found.typical_trials, 'trial')}. More prompts or a larger gain help"
        )
    return f"a gain of {gain} is found with a power of {odds.power:.0%} within about {counted(found.trials, 'trial')}, on average {found.typical_trials}"


def foretell(app: App, context: LoopContext, baseline: Spec, candidates: int, odds: RaceOdds) -> CycleForecast | None:
    """Forecast the races of a cycle. Takes a second or two.

    None when nothing races: there are no candidates, or the plain gates decide alone.
    """
    if not context.settings.policy.evidence or candidates == 0:
        return None
    suite = app.suite_for(baseline)
    prompts, heldout = len(suite.select(baseline.split)), len(suite.select("heldout"))
    plan = context.alpha
    alpha = plan.alpha / (plan.horizon or _FIRST_SHARE)
    seen = _flaky_share(newest_evaluation(context.ledger, baseline.spec_id))
    flaky = seen if seen is not None else WorldOptions().flaky
    world = WorldOptions(prompts=prompts, candidates=candidates, flaky=flaky, gain=odds.gain)
    later = None
    if heldout_claim(suite.scope, heldout) == "prompts_like_these":
        alone = WorldOptions(prompts=heldout, candidates=1, flaky=flaky, gain=odds.gain)
        later = forecast(alone, power=odds.power, alpha=alpha, settings=context.heldout_race)
    search = forecast(world, power=odds.power, alpha=alpha, settings=context.race)
    return CycleForecast(candidates, prompts, alpha, flaky, seen is not None, search, later)


def _flaky_share(evaluation: Evaluation | None) -> float | None:
    """Return the share of prompts whose runs differ. None unless the spec was found stochastic."""
    if evaluation is None or evaluation.determinism != "stochastic" or not evaluation.rows:
        return None
    return sum(len(set(row.outcomes)) > 1 for row in evaluation.rows) / len(evaluation.rows)
