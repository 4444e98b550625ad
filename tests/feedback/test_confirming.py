"""What the reload experiment says of cold starts, in findings and recommendations."""

from __future__ import annotations

from typing import Any

from selfopt.feedback import analyze
from selfopt.records import Environment, Feedback, Recommendation, Remedy, WarmUpExperiment
from tests.feedback.world import evaluation, numbers, options
from tests.ledger import samples

COLD = [True, True, True, False, False, False, False]
MODEL = "local/small"


def experiment(**changes: Any) -> WarmUpExperiment:
    """One that confirms a cold start of the small model, in outcomes and in latency."""
    return samples.experiment(model=MODEL, evaluation_ids=("eval-cold", "eval-warm")).model_copy(update=changes)


REFUTED = experiment(outcomes_confirmed=False, latency_confirmed=False, log_bayes_factor=-4.0)
WAITED = evaluation(["TTPPPPP"] * 12, loaded=[COLD] * 12)
UNSEEN = evaluation(["WWPPPPP"] * 8 + ["PPPPPPP"] * 4)
STEADY = evaluation(["PPPPPPP"] * 12)


def warm_up(feedback: Feedback) -> Recommendation | None:
    """The recommendation to warm up, if there is one."""
    return next((r for r in feedback.recommendations if r.action == "enable_warm_up"), None)


def test_without_an_experiment_a_cold_start_is_not_confirmed_and_the_reason_says_how_to() -> None:
    """The finding itself stays what it was."""
    feedback = analyze([WAITED], options())
    (found,) = [f for f in feedback.findings if f.type == "cold_start"]
    assert not found.confirmed
    made = warm_up(feedback)
    assert made is not None
    assert made.reason.endswith(f"not confirmed yet: run selfopt supervise {MODEL} atomic --validate-warm-up --runs 4")


def test_an_experiment_confirms_the_finding_and_its_figures_stand_in_both() -> None:
    """Bayes factor, runs, the evaluations of both arms."""
    feedback = analyze([WAITED], options(experiments=[experiment()]))
    (found,) = [f for f in feedback.findings if f.type == "cold_start"]
    assert found.confirmed
    assert (numbers(found)["bayes_factor"], numbers(found)["cold_runs"], numbers(found)["warm_runs"]) == ("320", 4, 4)
    assert {"eval-cold", "eval-warm"} <= set(found.evaluation_ids)
    made = warm_up(feedback)
    assert made is not None
    assert made.reason.endswith("confirmed (Bayes factor 320, 1 prompt, 4 cold and 4 warm runs)")
    assert found.finding_id in made.evidence
    assert "eval-cold" in made.evidence
    unaided = analyze([WAITED], options())
    assert found.finding_id not in {f.finding_id for f in unaided.findings}


def test_a_latency_that_is_confirmed_does_not_confirm_outcomes() -> None:
    """Each case by its own figure."""
    slow = WAITED.model_copy(update={"metrics": WAITED.metrics.model_copy(update={"first_call_ms": 2000.0})})
    feedback = analyze([slow], options(experiments=[experiment(outcomes_confirmed=False)]))
    assert {f.figures.model_dump()["case"]: f.confirmed for f in feedback.findings if f.type == "cold_start"} == {
        "accuracy": False,
        "latency": True,
    }
    made = warm_up(feedback)
    assert made is not None
    assert "confirmed for latency (first call 745 -> 74 ms" in made.reason


def test_a_warm_up_that_is_proven_is_recommended_where_the_baseline_no_longer_shows_the_need() -> None:
    """It was measured warmed up, or found the model loaded."""
    for seen in (STEADY, STEADY.model_copy(update={"warm_up": True})):
        made = warm_up(analyze([seen], options(experiments=[experiment()])))
        assert made is not None
        assert made.requirements.warm_up is True
        assert made.evidence == ("eval-cold", "eval-warm")
        assert "confirmed (Bayes factor 320" in made.reason
        assert warm_up(analyze([seen], options(experiments=[REFUTED]))) is None
    withdrawn = options(experiments=[experiment()], withdrawn=frozenset({Remedy(MODEL, "atomic", "warm_up")}))
    assert warm_up(analyze([STEADY], withdrawn)) is None


def test_an_experiment_against_it_outweighs_the_order_of_failures_but_not_a_load_that_was_seen() -> None:
    """Rows alone can have another cause; trials that were refused while the model was loading cannot."""
    feedback = analyze([UNSEEN], options(experiments=[REFUTED]))
    assert warm_up(feedback) is None
    assert any(
        "another cause than a cold start; not confirmed (Bayes factor 0.0183" in r.reason for r in feedback.recommendations
    )
    assert warm_up(analyze([UNSEEN], options())) is not None
    made = warm_up(analyze([WAITED], options(experiments=[REFUTED])))
    assert made is not None
    assert "not confirmed (Bayes factor 0.0183" in made.reason


def test_the_newest_conclusive_experiment_of_this_model_phase_and_place_counts() -> None:
    """Not that of another model or phase, not an open one after a conclusive one, not one of another build of the model."""
    others = [experiment(model="local/other"), experiment(phase="extended")]
    made = warm_up(analyze([WAITED], options(experiments=others)))
    assert made is not None
    assert "not confirmed yet" in made.reason
    later = experiment(conclusive=False, outcomes_confirmed=False, latency_confirmed=False, at="2027-01-01T00:00:00.000Z")
    made = warm_up(analyze([WAITED], options(experiments=[experiment(), later])))
    assert made is not None
    assert "Bayes factor 320" in made.reason
    here, there = (Environment(endpoint="local", model=MODEL, digest=f"sha256:{n}") for n in (1, 2))
    known = {e.environment_id: e for e in (here, there)}
    moved = WAITED.model_copy(update={"environment_id": here.environment_id})
    for place, words in ((here, "Bayes factor 320"), (there, "not confirmed yet")):
        made = warm_up(
            analyze([moved], options(experiments=[experiment(environment_id=place.environment_id)], environments=known))
        )
        assert made is not None
        assert words in made.reason
