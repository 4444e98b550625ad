"""How sure a real model is of an answer is the same measured and live, and so is what is served (`pytest -m model`)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.store import ModelStore
from selfopt.measure.lookup import find
from selfopt.measure.options import MeasureOptions
from selfopt.measure.stored_signals import SignalledTrial, signalled
from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    Rule,
    Run,
    ServedBound,
    ServeWhen,
    SignalTerm,
    Spec,
    Suite,
    Trial,
    evidence_key,
)
from selfopt.routing import rule_id_of
from selfopt.variants.space import composed
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options
from tests.gateway.kit import MemoryJournal
from tests.measure.kit import run_once

pytestmark = pytest.mark.model

SMALL, LARGE = "local/smollm2-135m", "big/large"
PROMPTS = 6
SCRIPT = {"models": {"large": {"default": {"text": "I am the larger one."}}}}
NEAR = 0.05
"""A prompt cache moves each log probability by up to a few hundredths of a nat, and so the confidence by less than this."""
TERMS = tuple(
    SignalTerm(signal=signal, low=low, high=0.0, weight=weight, unknown=0.0)
    for signal, low, weight in (("reply", -30.0, 3.0), ("choice", -5.0, 1.0), ("mean_value", -3.0, 1.0))
)
MODEL = ConfidenceModel(calls=ConfidenceTerms(intercept=-2.0, terms=TERMS), text=ConfidenceTerms(intercept=-2.0, terms=TERMS))
BOUND = ServedBound(claim="these_tools", max_bad_share=0.5, confidence=0.95, n=6, tool_sets=1, served=3, bad=1, upper=0.9)


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers to a few prompts, and what made them."""

    spec: Spec
    suite: Suite
    environment: Environment
    answers: dict[str, SignalledTrial]


async def measured(app: App, point: dict[str, str]) -> Measured:
    """Ask the small model, once."""
    suite = app.suite("atomic")
    spec = app.spec(SMALL, "atomic", composed(point), {"suite": "atomic", "timeout_s": 300.0})
    result = await run_once(spec, app.measure_context(), replace(MeasureOptions(), limit=PROMPTS))
    trials = [trial for run_id in result.run_ids for trial in app.ledger.read(Trial, {"run_id": run_id})]
    run = find(app.ledger, Run, result.run_ids[0])
    assert run is not None
    environment = find(app.ledger, Environment, run.environment_id)
    assert environment is not None
    # One that ended at the variant's limit may go on live.
    answers = {one.prompt.id: one for one in signalled(app.ledger, spec, suite, trials) if one.trial.fault is None}
    assert all(one.observed for one in answers.values()), "the engine gives them for every reply"
    return Measured(spec, suite, environment, answers)


def threshold(confidences: list[float]) -> float:
    """One in the widest gap, so that a prompt cache changes nothing about what is served."""
    ordered = [0.0, *sorted(confidences), 1.0] if len(confidences) < 2 else sorted(confidences)
    low, high = max(pairwise(ordered), key=lambda pair: pair[1] - pair[0])
    return (low + high) / 2


@asynccontextmanager
async def serving(app: App, found: Measured, least: float) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client of a gateway whose rule serves the small model when it is sure."""
    when = ServeWhen(
        calibration_id="calibration-1",
        model=MODEL,
        least=least,
        bound=BOUND,
        fitted_on="a",
        calibrated_on="b",
        evidence_key=evidence_key(found.spec.spec_id, found.environment),
        environment=found.environment,
    )
    rule = Rule(
        rule_id=rule_id_of(SMALL, "atomic"),
        model=SMALL,
        phase="atomic",
        allow=True,
        fallback=LARGE,
        variant=found.spec.variant,
        spec_id=found.spec.spec_id,
        serve_when=when,
    )
    app.enforcer.apply([rule], event="test", reason="")
    gateway = build_gateway(app, gateway_options(app, None, 0), MemoryJournal())
    await gateway.start()
    try:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0, timeout=300) as client:
            yield client
    finally:
        await gateway.close()


@pytest.mark.parametrize("point", [{"tools": "signatures", "form": "grammar"}, {}])
async def test_live_and_measured_confidence_agree(tmp_path: Path, point: dict[str, str]) -> None:
    """Whole and streamed, and what is served is what the measurement says."""
    ModelStore.default().pull(load_catalogue()[SMALL], lambda _: None)
    (tmp_path / "large.yaml").write_text(json.dumps(SCRIPT), "utf-8")
    (tmp_path / "own.toml").write_text(f'[endpoints.big]\nkind = "scripted"\nscript = "{tmp_path}/large.yaml"\n', "utf-8")
    environ = {"HOME": str(Path.home()), "SELFOPT_CONFIG": str(tmp_path / "own.toml")}
    async with App.open(tmp_path / "home", environ=environ, cwd=tmp_path) as app:
        found = await measured(app, point)
        sure = {name: MODEL.confidence(one.signals) for name, one in found.answers.items()}
        least = threshold(list(sure.values()))
        async with serving(app, found, least) as client:
            for prompt in (one for one in found.suite.prompts if one.id in sure):
                tools = found.suite.tools_of(prompt)
                body: dict[str, Any] = {
                    "model": SMALL,
                    "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
                    "tools": [{"type": "function", "function": tool.model_dump(exclude={"beside"})} for tool in tools],
                }
                for stream in (False, True):
                    raw = await client.chat.completions.with_raw_response.create(**body, stream=stream)
                    answer: Any = raw.parse()
                    pieces = [piece async for piece in answer] if stream else [answer]
                    assert float(raw.headers["x-selfopt-confidence"]) == pytest.approx(sure[prompt.id], abs=NEAR)
                    served = sure[prompt.id] >= least
                    assert raw.headers["x-selfopt-model"] == (SMALL if served else LARGE)
                    said = "".join((c.delta if stream else c.message).content or "" for piece in pieces for c in piece.choices)
                    assert (said == "I am the larger one.") == (not served)
