"""Whichever variant asks, an answer is as sure live as the measurement of the same replies says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from selfopt.measure.stored_signals import signalled
from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    Run,
    SignalName,
    SignalTerm,
    Trial,
    Variant,
    evidence_key,
)
from selfopt.variants import load_variants

from .kit import World, gateway_world
from .test_escalation import asking, serve_when
from .test_harness import PLAY, WEATHER, promote
from .test_observing import told
from .test_round_trip import told_by

VARIANTS = {name: variant for name, variant in load_variants().items() if name.endswith("@2")}
CALL = ("get_weather", {"city": "Oslo"})
SAID = "What is the weather in Oslo?"
NAMES: tuple[SignalName, ...] = ("reply", "choice", "least_value", "mean_value", "backed", "fits", "unrepaired")
TERMS = ConfidenceTerms(
    intercept=-1.5, terms=tuple(SignalTerm(signal=name, low=-9.0, high=1.0, weight=0.7, unknown=0.3) for name in NAMES)
)
MODEL = ConfidenceModel(calls=TERMS, text=TERMS)
"""It reads every signal of one reply, so that none may differ."""


def models(variant: Variant) -> dict[str, Any]:
    """A model that makes the call in as many replies as the variant asks for, each as sure as it is."""
    replies = []
    for number, said in enumerate(told_by(variant, [CALL])):
        calls = [
            {"name": one["function"]["name"], "arguments": one["function"]["arguments"]} for one in said.get("tool_calls", ())
        ]
        replies.append({"text": said.get("content", ""), "tool_calls": calls, "logprob": -0.05 - 0.1 * number})
    return {"m": {"replies": [{"sequence": replies, "then": "cycle"}]}}


def suite() -> str:
    """One prompt."""
    return json.dumps(
        {
            "name": "one",
            "phase": "atomic",
            "tool_sets": {"t": [WEATHER["function"], PLAY["function"]]},
            "prompts": [
                {
                    "id": "A1",
                    "kind": "direct",
                    "tool_set": "t",
                    "messages": [{"role": "user", "content": SAID}],
                    "expected": [[{"name": CALL[0], "arguments": {"city": ["Oslo"]}}]],
                }
            ],
        }
    )


async def measured(world: World, tmp_path: Path, variant: Variant) -> float:
    """The confidence in the stored answer."""
    from tests.measure.kit import run_once

    app, file = world.app, tmp_path / "one.yaml"
    file.write_text(suite(), "utf-8")
    spec = app.spec("up/m", "atomic", variant, {"suite": str(file)})
    result = await run_once(spec, app.measure_context())
    trials = [trial for run_id in result.run_ids for trial in app.ledger.read(Trial, {"run_id": run_id})]
    (run,) = app.ledger.read(Run)
    (environment,) = app.ledger.read(Environment, {"id": run.environment_id})
    (one,) = signalled(app.ledger, spec, app.suite(str(file)), trials)
    assert one.observed
    when = serve_when(model=MODEL, least=0.0, environment=environment, evidence_key=evidence_key(spec.spec_id, environment))
    await promote(world, variant, "up/m", fallback="up/other", serve_when=when, spec_id=spec.spec_id)
    return MODEL.confidence(one.signals)


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_call_is_as_sure_live_as_it_was_measured(tmp_path: Path, name: str) -> None:
    """Whole and streamed, in one step or several."""
    variant = VARIANTS[name]
    async with gateway_world(tmp_path, models(variant)) as world:
        wanted = await measured(world, tmp_path, variant)
        for stream in (False, True):
            answer = await world.post(asking(SAID, stream=stream))
            assert told(answer, stream=stream)[0] == ["get_weather"]
            assert "x-selfopt-escalated" not in answer.headers
            assert float(answer.headers["x-selfopt-confidence"]) == math.floor(wanted * 10_000) / 10_000
            assert world.records[-1].attempts[0].confidence == pytest.approx(wanted, rel=1e-12)
