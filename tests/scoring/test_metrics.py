"""Outcomes -> metrics."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import Message, Outcome, Prompt, Suite, ToolDefinition, TrivialPolicy, Usage
from selfopt.scoring import ScoredTrial, compute_metrics, trivial_policies
from selfopt.suites import load_suite

NOBODY = TrivialPolicy(accuracy=0.0, call_accuracy=None, restraint=None)

TRIALS = st.builds(
    ScoredTrial,
    prompt_id=st.sampled_from(["A1", "A2", "A3"]),
    run_index=st.integers(0, 3),
    needs_call=st.booleans(),
    outcome=st.sampled_from(list(Outcome)),
    latency_ms=st.floats(0, 1e7),
    usage=st.builds(Usage, input_tokens=st.none() | st.integers(0, 9), output_tokens=st.none() | st.integers(0, 9)),
    first_of_run=st.booleans(),
)


def trial(letter: str, run: int = 0, *, needs_call: bool = True, latency_ms: float = 1.0, first: bool = False) -> ScoredTrial:
    """P: pass, W: wrong, T: timeout, U: unparsed."""
    outcome = {"P": Outcome.PASS, "W": Outcome.WRONG, "T": Outcome.TIMEOUT, "U": Outcome.UNPARSED}[letter]
    return ScoredTrial("A1", run, needs_call, outcome, latency_ms, Usage(input_tokens=5), first)


def test_the_shares_are_what_the_words_say() -> None:
    """Five prompts that need a call, three that need none."""
    items = [trial(x) for x in "PPWTU"] + [trial(x, needs_call=False) for x in "PPU"]
    metrics = compute_metrics(items, NOBODY, NOBODY)
    assert metrics.n == 8
    assert metrics.accuracy == 4 / 8
    assert metrics.call_accuracy == 2 / 5
    assert metrics.restraint == 2 / 3
    assert metrics.capability == 4 / 5
    assert metrics.counts == {Outcome.PASS: 4, Outcome.WRONG: 1, Outcome.TIMEOUT: 1, Outcome.UNPARSED: 2}
    assert (metrics.input_tokens, metrics.output_tokens) == (40, 0)


def test_variance_is_that_of_the_runs() -> None:
    """Population form; a single run has none."""
    items = [trial("W", 0), trial("W", 0), trial("P", 2), trial("W", 2), trial("P", 1), trial("P", 1)]
    metrics = compute_metrics(items, NOBODY, NOBODY)
    assert metrics.run_accuracies == (0.0, 1.0, 0.5)
    assert metrics.variance == pytest.approx(1 / 6)
    assert compute_metrics(items[:1], NOBODY, NOBODY).variance == 0.0


def test_latencies_are_order_statistics_and_first_calls_a_median() -> None:
    """p50 of 1..100 lies between 50 and 51; the first call of each run counts once."""
    items = [trial("P", latency_ms=float(n)) for n in range(1, 101)]
    metrics = compute_metrics(items, NOBODY, NOBODY)
    assert metrics.p50_ms == pytest.approx(50.5)
    assert metrics.p95_ms == pytest.approx(95.05)
    assert metrics.first_call_ms is None
    firsts = [trial("P", run, latency_ms=ms, first=True) for run, ms in enumerate((740.0, 70.0, 80.0))]
    assert compute_metrics([*items, *firsts], NOBODY, NOBODY).first_call_ms == 80.0


def test_what_was_not_measured_is_none() -> None:
    """No trial, no prompt of a sort, nothing that says something about the model."""
    empty = compute_metrics([], NOBODY, NOBODY)
    assert (empty.n, empty.accuracy, empty.run_accuracies, empty.variance) == (0, 0.0, (), 0.0)
    assert (empty.call_accuracy, empty.restraint, empty.capability) == (None, None, None)
    assert (empty.p50_ms, empty.p95_ms, empty.first_call_ms) == (None, None, None)
    faults = compute_metrics([trial("T")], NOBODY, NOBODY)
    assert (faults.call_accuracy, faults.restraint, faults.capability) == (0.0, None, None)


@given(st.lists(TRIALS, max_size=30))
def test_metrics_are_shares_and_agree_with_the_counts(items: list[ScoredTrial]) -> None:
    """Within [0, 1], accuracy = passes / n, the sorts add up, percentiles within the latencies."""
    metrics = compute_metrics(items, NOBODY, NOBODY)
    shares = [metrics.accuracy, metrics.call_accuracy, metrics.restraint, metrics.capability, *metrics.run_accuracies]
    assert all(0.0 <= share <= 1.0 for share in shares if share is not None)
    assert sum(metrics.counts.values()) == metrics.n == len(items)
    assert metrics.counts == Counter(i.outcome for i in items)
    passes = metrics.counts.get(Outcome.PASS, 0)
    assert metrics.accuracy == (passes / metrics.n if items else 0.0)
    needing = sum(i.needs_call for i in items)
    by_sort = (metrics.call_accuracy or 0.0) * needing + (metrics.restraint or 0.0) * (len(items) - needing)
    assert by_sort == pytest.approx(passes)
    assert 0.0 <= metrics.variance <= 0.25
    if items:
        latencies = [i.latency_ms for i in items]
        assert metrics.p50_ms is not None
        assert metrics.p95_ms is not None
        assert min(latencies) <= metrics.p50_ms <= metrics.p95_ms <= max(latencies) * (1 + 1e-12)


@given(st.lists(TRIALS, max_size=12), st.randoms())
def test_the_order_of_trials_does_not_matter(items: list[ScoredTrial], random: object) -> None:
    """Interleaved measurement gives the same metrics."""
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compute_metrics(items, NOBODY, NOBODY) == compute_metrics(shuffled, NOBODY, NOBODY)


@pytest.mark.parametrize(("name", "accuracy"), [("atomic", 3 / 12), ("extended", 5 / 18)])
def test_a_mute_model_scores_the_share_of_prompts_that_need_nothing(name: str, accuracy: float) -> None:
    """The silent policy has full restraint and no right call; calling with empty arguments has neither."""
    suite = load_suite(name)
    silent, always = trivial_policies(suite, suite.prompts)
    assert silent == TrivialPolicy(accuracy=accuracy, call_accuracy=0.0, restraint=1.0)
    assert always == TrivialPolicy(accuracy=0.0, call_accuracy=0.0, restraint=0.0)


def test_the_always_calling_policy_is_judged_like_any_reply() -> None:
    """Where empty arguments are right it is right; without tools it is silent; without prompts nothing is known."""
    ping = ToolDefinition(name="ping")
    messages = (Message(role="user", content="x"),)
    prompts = (
        Prompt(id="A1", kind="k", tool_set="t", messages=messages, expected="any"),
        Prompt(id="A2", kind="k", tool_set="none", messages=messages, expected=((),)),
    )
    suite = Suite(name="m", phase="atomic", tool_sets={"t": (ping,), "none": ()}, prompts=prompts)
    silent, always = trivial_policies(suite, prompts)
    assert silent == TrivialPolicy(accuracy=0.5, call_accuracy=0.0, restraint=1.0)
    assert always == TrivialPolicy(accuracy=1.0, call_accuracy=1.0, restraint=1.0)
    assert trivial_policies(suite, ()) == (NOBODY, NOBODY)
