"""The machine-readable results have the keys that the specification names, and only measured figures."""

from __future__ import annotations

import json

import pytest

from selfopt.ledger import MemoryLedger
from selfopt.report import cycle_results, find_warm_up_pairs, gather, history, warm_up_results
from tests.ledger.samples import put
from tests.report import world


def test_cycle_results_have_the_specifications_keys() -> None:
    """Candidates tested, winner, improvement."""
    results = cycle_results(world.CYCLE)
    assert [c["variant"] for c in results["candidates_tested"]] == ["restrained", "constrained", "constrained"]
    assert results["winner"]["variant"] == "restrained"
    assert results["winner"]["model"] == world.SMALL
    assert results["improvement"] == 0.5
    assert [t["winner"] is None for t in results["targets"]] == [False, True]
    assert json.loads(json.dumps(results)) == results


def test_a_cycle_without_a_winner_says_null() -> None:
    """Nothing is invented: no winner, no improvement."""
    held = world.CYCLE.model_copy(update={"targets": world.CYCLE.targets[1:]})
    results = cycle_results(held)
    assert results["winner"] is None
    assert results["improvement"] is None
    assert len(results["candidates_tested"]) == 1


def test_the_winner_is_the_target_that_gained_most() -> None:
    """With several winners the largest improvement stands on top; the first of equals."""
    first = world.CYCLE.targets[0]
    second = first.model_copy(update={"model": world.TINY, "improvement": 0.6})
    unknown = first.model_copy(update={"model": world.CLOUD, "improvement": None})
    cycle = world.CYCLE.model_copy(update={"targets": (unknown, first, second)})
    assert cycle_results(cycle)["winner"]["model"] == world.TINY


def test_history_lists_baseline_candidates_winner_improvement() -> None:
    """In order of the cycles' numbers."""
    ledger = world.full_ledger()
    later = world.CYCLE.model_copy(update={"cycle_id": "cycle-0", "number": 2, "targets": ()})
    put(ledger, [later])
    found = history(ledger)
    assert [c["cycle"] for c in found["cycles"]] == [1, 2]
    entry = found["cycles"][0]
    assert {"baseline", "candidates", "winner", "improvement"} <= set(entry)
    assert entry["baseline"][0]["variant"] == "native_api"
    assert history(MemoryLedger()) == {"schema_version": 1, "cycles": []}


def test_warm_up_results_have_exactly_the_specifications_keys() -> None:
    """before, after, improvement, variance, pattern; details below them."""
    results = warm_up_results(world.COLD, world.WARM)
    assert list(results) == ["before", "after", "improvement", "variance", "pattern", "details"]
    assert results["before"] == pytest.approx(17 / 21)
    assert results["after"] == 1.0
    assert results["improvement"] == pytest.approx(4 / 21)
    assert results["variance"] == {"before": pytest.approx(0.0907, abs=1e-4), "after": 0.0}
    assert results["pattern"] == {"before": "FFPPPPP", "after": "PPPPPPP"}
    assert results["details"]["run_ids"]["before"] == list(world.COLD.run_ids)
    assert results["details"]["first_call_ms"] == {"before": 10_000.0, "after": 74.0}
    assert results["details"]["model"] == world.SMALL


def test_the_details_of_warm_up_results_hold_the_experiment() -> None:
    """What it says in words, whether it confirms, and the Bayes factor of every prompt; null where none was made."""
    assert warm_up_results(world.COLD, world.WARM)["details"]["experiment"] is None
    shown = warm_up_results(world.COLD, world.WARM, experiment=world.EXPERIMENT)
    found = shown["details"]["experiment"]
    assert list(shown) == ["before", "after", "improvement", "variance", "pattern", "details"]
    assert found["told"] == "confirmed (Bayes factor 4447, 2 prompts, 4 cold and 4 warm runs)"
    assert found["confirmed"] is True
    assert [p["log_bayes_factor"] for p in found["prompts"]] == [5.768, 3.074]
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_the_pattern_of_arms_that_agree_is_the_commonest_row() -> None:
    """Warm-up changed no outcome: the row that most prompts have."""
    assert warm_up_results(world.WARM, world.WARM)["pattern"] == {"before": "PPPPPPP", "after": "PPPPPPP"}


def test_arms_of_a_validation_come_before_separate_measurements() -> None:
    """The pair of forced arms is found even when newer plain measurements exist."""
    ledger = world.full_ledger()
    (pair,) = find_warm_up_pairs(ledger)
    assert pair.validation
    assert (pair.cold.evaluation_id, pair.warm.evaluation_id) == ("eval-cold", "eval-warm")


def test_two_supervisions_make_a_pair_too() -> None:
    """One without, one with warm-up, of the same variant."""
    ledger = MemoryLedger()
    put(ledger, [world.COLD, world.WARM])
    (pair,) = find_warm_up_pairs(ledger)
    assert not pair.validation


def test_what_does_not_compare_is_no_pair() -> None:
    """Another variant, another model, or one side missing."""
    for other in ({"variant": "few_shot"}, {"model": world.TINY}, {"warm_up": False}, {"suite_hash": "suite-other"}):
        ledger = MemoryLedger()
        put(ledger, [world.COLD, world.WARM.model_copy(update=other)])
        assert find_warm_up_pairs(ledger) == ()
    assert find_warm_up_pairs(MemoryLedger()) == ()


def test_the_newest_pair_of_each_model_and_phase_is_told_and_the_newest_of_all_comes_last() -> None:
    """Two models were validated one after the other; the file of the specification holds the last."""
    later = {"model": world.TINY, "at": "2027-01-01T00:00:00.000Z"}
    ledger = MemoryLedger()
    put(ledger, [world.COLD, world.WARM])
    put(ledger, [e.model_copy(update={**later, "evaluation_id": f"{e.evaluation_id}-b"}) for e in (world.COLD, world.WARM)])
    assert [p.warm.model for p in find_warm_up_pairs(ledger)] == [world.SMALL, world.TINY]


def test_a_baseline_is_shown_by_its_whole_measurements() -> None:
    """A later look at one prompt would show 1.00."""
    ledger = world.full_ledger()
    look = world.BETTER.model_copy(
        update={"evaluation_id": "eval-look", "rows": world.BETTER.rows[:1], "at": "2027-01-01T00:00:00.000Z"}
    )
    put(ledger, [look])
    data = gather(ledger)
    found = data.newest(world.SMALL, "atomic", world.BETTER.spec_id)
    assert found is not None
    assert found.evaluation_id == world.BETTER.evaluation_id
