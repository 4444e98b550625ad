"""The loop after an update of the program that writes requests in another way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selfopt.loop import spec_by_id
from selfopt.loop.candidates import propose
from selfopt.records import Baseline, Evaluation, SearchSpace, Spec
from selfopt.variants import load_variants
from selfopt.verbs.measuring import MeasureRequest, measure_model

from .kit import World, model
from .proposers.kit import BASE

M = "scripted/m"
Make = Callable[..., World]


async def test_a_baseline_of_earlier_requests_is_measured_anew(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its evidence is not counted for the new requests, and candidates are specs of the new ones."""
    w = world(m=model())
    with monkeypatch.context() as earlier:
        earlier.setattr("selfopt.variants.rendering.rendering_of", lambda variant, suite: 1)
        (first,) = await w.loop("scripted/m atomic constrained")
    (second,) = await w.loop(keys=[(M, "atomic")])
    with w.ledger() as ledger:
        before = spec_by_id(ledger, first.targets[0].baseline_spec_id)
        now = spec_by_id(ledger, second.targets[0].baseline_spec_id)
        assert (before.rendering, now.rendering) == (1, 2)
        old, new = (list(ledger.read(Evaluation, {"spec_id": spec.spec_id})) for spec in (before, now))
        assert old
        assert new
        assert not {run for e in old for run in e.run_ids} & {run for e in new for run in e.run_ids}
        assert [b.source for b in ledger.read(Baseline)] == ["flag", "adapted"]
        tried = [spec_by_id(ledger, result.spec_id) for result in second.targets[0].candidates]
        assert {spec.rendering for spec in tried if spec.variant.constraint == "none" and spec.variant.tools == "native"} <= {1}


async def test_a_run_of_earlier_requests_is_not_gone_on_with(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing changed, the same spec goes on."""
    w = world(m=model())
    specs: dict[str, list[Spec]] = {"constrained": [], "atomic": []}
    for version in (1, None):
        with monkeypatch.context() as earlier:
            if version is not None:
                earlier.setattr("selfopt.variants.rendering.rendering_of", lambda variant, suite: 1)
            with w.app() as app:
                for name, found in specs.items():
                    found.append((await measure_model(app, MeasureRequest(M, "atomic", variant=name))).spec)
    assert specs["constrained"][0].request_id != specs["constrained"][1].request_id
    assert specs["atomic"][0].spec_id == specs["atomic"][1].spec_id


def test_what_was_tried_with_earlier_requests_is_proposed_again() -> None:
    """A candidate counts as tried by the id of its requests as they are now."""

    def rendered(spec: Spec) -> Spec:
        return spec.model_copy(update={"rendering": 2}) if spec.variant.constraint != "none" else spec

    every = propose(BASE, [], SearchSpace(load_variants()), 50)
    tried = {spec.spec_id for spec in every}
    again = propose(BASE, [], SearchSpace(load_variants(), tried=tried), 50, rendered)
    assert {spec.variant.constraint for spec in again} == {"grammar"}
    assert all(spec.rendering == 2 for spec in again)
