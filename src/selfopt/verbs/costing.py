"""What measured requests cost, by the prices that are set now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from selfopt.records import Baseline, Calibration, Evaluation, Rule, Trial
from selfopt.report.costs import CostFigures, RequestCost, calibrated_costs, escalated_share
from selfopt.report.gather import ReportData
from selfopt.settings import Settings
from selfopt.wiring.app import App


@dataclass(frozen=True, slots=True)
class RulePays:
    """When a rule that serves when sure pays, beside its fallback alone.

    Attributes:
        cost_below, time_below: the shares of escalations below which it costs less, and takes less time.
            None where that is not known.
        escalated: the share that was escalated of the calibration prompts.
    """

    cost_below: float | None
    time_below: float | None
    escalated: float


def rules_pay(app: App, rules: Iterable[Rule]) -> dict[str, RulePays]:
    """When each rule that serves when sure pays, by its id, as far as both of its models were measured.

    One that asks both at once has none: its cost does not rest on what is escalated.
    """
    sure = [
        (rule, rule.serve_when)
        for rule in rules
        if rule.allow and rule.voided is None and rule.serve_when is not None and not rule.serve_when.parallel
    ]
    if not sure or not app.has_ledger:
        return {}
    data = ReportData(
        evaluations={one.evaluation_id: one for one in app.ledger.read(Evaluation)},
        baselines=tuple({(one.model, one.phase): one for one in app.ledger.read(Baseline)}.values()),
        costs=cost_figures(app),
    )
    found: dict[str, RulePays] = {}
    for rule, when in sure:
        for calibration in app.ledger.read(Calibration, {"id": when.calibration_id}, limit=1):
            costs = calibrated_costs(data, calibration, rule.fallback)
            if costs is not None and (costs.pays_below, costs.faster_below) != (None, None):
                found[rule.rule_id] = RulePays(costs.pays_below, costs.faster_below, escalated_share(when))
    return found


def cost_figures(app: App) -> CostFigures:
    """What the requests of evaluations and calibrations cost. Each is looked up when it is asked for."""

    def of(evaluation: Evaluation) -> RequestCost:
        trials = (trial for run_id in evaluation.run_ids for trial in app.ledger.read(Trial, {"run_id": run_id}))
        return request_cost(app.settings, evaluation.model, trials)

    def calibrated(one: Calibration) -> RequestCost:
        trials = (trial for trial_id in one.calibration_trials for trial in app.ledger.read(Trial, {"id": trial_id}, limit=1))
        return request_cost(app.settings, one.model, trials)

    return CostFigures(app.settings.currency, of, calibrated)


def trial_cost(settings: Settings, model: str, trial: Trial) -> float | None:
    """What all attempts of a trial cost, tokens and time, in the currency of the settings; None where that is not known."""
    return settings.cost_of(model, trial.usage, trial.busy_ms / 1000)


def request_cost(settings: Settings, model: str, trials: Iterable[Trial]) -> RequestCost:
    """What a trial of a model costs on average. A fault whose cost nobody told counts for none."""
    costs: list[float] = []
    waits: list[float] = []
    unpriced = settings.price_of(model) is None
    unknown = False
    for trial in trials:
        if not trial.asked:
            continue
        waits.append(trial.latency_ms / 1000)
        cost = trial_cost(settings, model, trial)
        if cost is not None:
            costs.append(cost)
        elif trial.fault is None:
            unknown = True
    mean = None if unknown or not costs else sum(costs) / len(costs)
    return RequestCost(mean, len(costs), unpriced, fmean(waits) if waits else None)
