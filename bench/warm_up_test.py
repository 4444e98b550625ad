"""What a warm-up is worth on a model that is cold: 7 runs without, 7 with, the model unloaded once before each arm. And the
experiment that proves it: 4 runs right after a forced unload in turn with 4 warm ones.

    python3 warm_up_test.py      exit code 0 when every test passes, 100 when one fails

Writes WARM_UP_VALIDATION_RESULTS.json. With warm-up switched off (SELFOPT_WARM_UP__ENABLED=false) it fails.
"""

import _bench

# isort: split
import json
from collections.abc import Mapping
from typing import NamedTuple

from selfopt.errors import SelfoptError
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.opening import App
from selfopt.verbs.reporting import write_artefacts
from selfopt.verbs.specification import full_name, unload
from selfopt.verbs.warming import validate_model_warm_up
from selfopt.words.findings import experiment_text

RUNS = 7
REQUIRED = 0.25
COLD, WARM = "FFPPPPP", "PPPPPPP"
RESULTS = "WARM_UP_VALIDATION_RESULTS.json"
EXPERIMENT_RUNS, EXPERIMENT_PROMPTS = 4, 4


class Arm(NamedTuple):
    """One arm. rows: outcomes over the runs by prompt; variance: of the runs' accuracies."""

    rows: Mapping[str, str]
    accuracy: float
    variance: float
    unloaded: bool

    def observed(self) -> str:
        """Rows, accuracy, variance in one line."""
        same = {row: [p for p, r in self.rows.items() if r == row] for row in dict.fromkeys(self.rows.values())}
        rows = "; ".join(f"[{','.join(row)}] {len(prompts)} prompts" for row, prompts in same.items())
        return f"{rows}; accuracy {self.accuracy:.3f}, variance {self.variance:.4f}"


async def arms(app: App, model: str) -> tuple[Arm, Arm]:
    """Cold and warm. Where warm-up is switched off, what two supervisions that differ in nothing give."""
    if app.settings.warm_up.enabled:
        found = await validate_model_warm_up(app, model, "atomic", variant="native_api", runs=RUNS, once_per_arm=True)
        cold, warm = (Arm(a.rows, a.accuracy, a.variance, found.forced_unload) for a in (found.cold, found.warm))
        return cold, warm
    return await supervised(app, model, warm_up=False), await supervised(app, model, warm_up=True)


async def experiment(app: App, model: str) -> tuple[bool, str]:
    """Whether cold and warm runs in turn confirm that warm-up helps, on a few prompts."""
    if not app.settings.warm_up.enabled:
        return False, "not made: warm-up is switched off"
    found = await validate_model_warm_up(
        app, model, "atomic", variant="native_api", runs=EXPERIMENT_RUNS, limit=EXPERIMENT_PROMPTS
    )
    return (
        (found.experiment.confirmed, experiment_text(found.experiment))
        if found.experiment is not None
        else (False, "not made to the end")
    )


async def supervised(app: App, model: str, *, warm_up: bool) -> Arm:
    """One supervision, unloaded before."""
    unloaded = await unload(app, model)
    request = MeasureRequest(model, "atomic", "native_api", warm_up=warm_up, force_model=True, n_runs=RUNS, resume=False)
    evaluation = (await measure_model(app, request)).evaluation
    if evaluation is None:
        raise SelfoptError("a cap ended the measurement; raise max_trials or max_minutes")
    rows = {row.prompt_id: row.letters for row in evaluation.rows}
    return Arm(rows, evaluation.metrics.accuracy, evaluation.metrics.variance, unloaded)


def results(app: App) -> tuple[bool, str]:
    """Whether the results were written with the keys that the specification names."""
    if not app.settings.warm_up.enabled:
        return False, "not written: warm-up is switched off"
    path = next((p for p in write_artefacts(app) if p.name == RESULTS), None)
    if path is None:
        return False, "not written"
    body = json.loads(path.read_text("utf-8"))
    keys = ("before", "after", "improvement", "variance", "pattern")
    shown = ", ".join(f"{key} {body.get(key)}" for key in keys)
    return set(keys) <= set(body), f"{shown}; {path}"


async def checks(app: App) -> list[tuple[str, bool, str]]:
    """The numbered tests."""
    model = full_name(app, "lfm2.5")
    # First, so that the results show the arms of seven runs.
    proof = await experiment(app, model)
    cold, warm = await arms(app, model)
    gain = warm.accuracy - cold.accuracy
    return [
        (
            "without warm-up the first two runs fail",
            cold.unloaded and set(cold.rows.values()) == {COLD},
            f"{'unloaded before' if cold.unloaded else 'NOT unloaded'}: {cold.observed()}",
        ),
        (
            "with warm-up every run passes",
            warm.unloaded and set(warm.rows.values()) == {WARM},
            f"{'unloaded before' if warm.unloaded else 'NOT unloaded'}: {warm.observed()}",
        ),
        (
            f"accuracy improves by at least {REQUIRED}",
            gain >= REQUIRED,
            f"{cold.accuracy:.3f} -> {warm.accuracy:.3f}, improvement {gain:+.3f}",
        ),
        ("the variance goes to 0", warm.variance == 0 < cold.variance, f"{cold.variance:.4f} -> {warm.variance:.4f}"),
        (f"{RESULTS} is written", *results(app)),
        ("the experiment confirms it", *proof),
    ]


if __name__ == "__main__":
    _bench.run_test(checks, ready=False)
