"""An isolated sample stands for the same requests under another warm-up, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.measure.blocks import measure_specs
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.records import ChatRequest, ReplyContent, Run, WarmUp

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, make_suite, right_answer

WARM = WarmUp(enabled=True)


def known(digest: str) -> FakeResidency:
    """Of a server that tells the digest of what it serves."""
    return FakeResidency(extra={"digest": digest})


def purposes(bench: Bench) -> list[str]:
    return [run.purpose for run in bench.ledger.read(Run)]


async def test_the_sample_of_the_same_requests_is_taken_over_where_only_warm_up_differs(bench: Bench) -> None:
    bench.residency = known("sha256:1")
    cold, warm = make_spec(bench.suite), make_spec(bench.suite, warm_up=WARM)
    (first,) = (await measure_specs([cold], context=bench.context())).values()
    (second,) = (await measure_specs([warm], context=bench.context())).values()
    assert purposes(bench) == ["measure", "determinism", "measure"]
    assert (second.determinism, second.n_runs) == ("sampled", 1)
    assert second.determinism_run_ids == first.determinism_run_ids
    assert bench.events[-1].done == bench.events[-1].total == 6, "what was not asked again is not counted"


async def test_a_pass_that_disagrees_with_the_earlier_sample_is_repeated(bench: Bench) -> None:
    bench.residency = known("sha256:1")
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    bench.endpoint = FakeEndpoint(lambda request: ReplyContent(text="Hm.", finish_reason="stop"))
    (second,) = (await measure_specs([make_spec(bench.suite, warm_up=WARM)], context=bench.context())).values()
    assert (second.determinism, second.n_runs) == ("stochastic", 7)


@pytest.mark.parametrize("digest", ["sha256:2", "unknown"])
async def test_another_or_an_unknown_model_file_takes_a_sample_of_its_own(bench: Bench, digest: str) -> None:
    bench.residency = known("sha256:1" if digest != "unknown" else digest)
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    bench.residency = known(digest)
    await measure_specs([make_spec(bench.suite, warm_up=WARM)], context=bench.context())
    assert purposes(bench) == ["measure", "determinism"] * 2


@pytest.mark.parametrize("change", [{"timeout_s": 7.0}, {"context_size": 512}, {"retries": 2}])
async def test_what_differs_in_more_than_warm_up_takes_a_sample_of_its_own(bench: Bench, change: dict[str, Any]) -> None:
    bench.residency = known("sha256:1")
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    await measure_specs([make_spec(bench.suite, warm_up=WARM, **change)], context=bench.context())
    assert purposes(bench) == ["measure", "determinism"] * 2


async def test_a_smaller_sample_does_not_stand_for_a_larger_one(bench: Bench) -> None:
    bench.residency = known("sha256:1")
    await measure_specs([make_spec(bench.suite)], context=bench.context(), options=MeasureOptions(sample_size=2, sampling=True))
    await measure_specs([make_spec(bench.suite, warm_up=WARM)], context=bench.context())
    assert purposes(bench) == ["measure", "determinism"] * 2


async def test_a_sample_that_a_server_had_a_hand_in_is_not_taken_over(bench: Bench) -> None:
    bench.residency = known("sha256:1")

    def answer(request: ChatRequest) -> ReplyContent | EndpointError:
        return EndpointError("slow", kind="timeout") if request.isolate else right_answer(request)

    bench.endpoint = FakeEndpoint(answer)
    await measure_specs([make_spec(bench.suite)], context=bench.context(), options=MeasureOptions(n_runs=2, sampling=True))
    bench.endpoint = FakeEndpoint()
    (second,) = (await measure_specs([make_spec(bench.suite, warm_up=WARM)], context=bench.context())).values()
    assert second.determinism == "sampled"
    assert purposes(bench)[-2:] == ["measure", "determinism"]


async def test_after_an_interruption_the_same_sample_is_found_again(bench: Bench) -> None:
    bench.residency = known("sha256:1")
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    warm, options = make_spec(bench.suite, warm_up=WARM), MeasureOptions(labels=Labels(group_id="g"), sampling=True)
    (one,) = (await measure_specs([warm], context=bench.context(), options=options)).values()
    (again,) = (await measure_specs([warm], context=bench.context(), options=options)).values()
    assert again.evaluation_id == one.evaluation_id
    assert purposes(bench) == ["measure", "determinism", "measure"]


async def test_a_sample_of_other_prompts_is_not_taken_over(bench: Bench) -> None:
    bench.residency = known("sha256:1")
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    other = make_suite(n_calls=3)
    assert other.content_id() != bench.suite.content_id()
    bench.suite = other
    await measure_specs([make_spec(other, warm_up=WARM)], context=bench.context())
    assert purposes(bench) == ["measure", "determinism"] * 2
