"""What measured requests cost, by the prices that are set now."""

from __future__ import annotations

from collections.abc import Iterable

from selfopt.records import Evaluation, Trial
from selfopt.report.costs import CostFigures, RequestCost
from selfopt.settings import Settings
from selfopt.wiring.app import App


def cost_figures(app: App) -> CostFigures:
    """What the requests of evaluations cost. Each is looked up when it is asked for."""

    def of(evaluation: Evaluation) -> RequestCost:
        trials = (trial for run_id in evaluation.run_ids for trial in app.ledger.read(Trial, {"run_id": run_id}))
        return request_cost(app.settings, evaluation.model, trials)

    return CostFigures(app.settings.currency, of)


def request_cost(settings: Settings, model: str, trials: Iterable[Trial]) -> RequestCost:
    """What a trial of a model costs on average. A fault whose cost nobody told counts for none."""
    costs: list[float] = []
    unpriced = settings.price_of(model) is None
    unknown = False
    for trial in trials:
        if not trial.asked:
            continue
        cost = settings.cost_of(model, trial.usage, trial.busy_ms / 1000)
        if cost is not None:
            costs.append(cost)
        elif trial.fault is None:
            unknown = True
    mean = None if unknown or not costs else sum(costs) / len(costs)
    return RequestCost(mean, len(costs), unpriced)
