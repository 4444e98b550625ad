"""A threshold on log probabilities means the same measured and live, with a real model (`pytest -m model`)."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.store import ModelStore
from selfopt.measure.options import MeasureOptions
from selfopt.measure.readings import read_by_each
from selfopt.measure.stored import stored_replies
from selfopt.records import Rule, Suite, Trial, Variant
from selfopt.routing import rule_id_of
from selfopt.variants.space import composed
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options
from tests.gateway.kit import MemoryJournal
from tests.measure.kit import run_once

pytestmark = pytest.mark.model

SMALL = "local/smollm2-135m"
PROMPTS = 6
CUT = "length"


def threshold(sums: list[float]) -> str:
    """The name of one that lies in the widest gap between the sums: a prompt cache moves these a little."""
    if len(sums) < 2:
        return "sure-1"
    ordered = sorted(sums)
    low, high = max(pairwise(ordered), key=lambda pair: pair[1] - pair[0])
    return f"sure-{round(-(low + high) / 2, 1):g}"


def with_chain(variant: Variant, *names: str) -> Variant:
    return variant.model_copy(update={"name": "sure", "parsers": ("all@2", *names)})


async def live(app: App, suite: Suite, ids: list[str], *, stream: bool) -> dict[str, bool]:
    """Whether the gateway's answer to each prompt has a call."""
    gateway = build_gateway(app, gateway_options(app, None, 0), MemoryJournal())
    await gateway.start()
    found = {}
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            for prompt in (one for one in suite.prompts if one.id in ids):
                tools = [{"type": "function", "function": tool.model_dump(exclude={"beside"})} for tool in suite.tools_of(prompt)]
                said = [{"role": message.role, "content": message.content} for message in prompt.messages]
                body: dict[str, Any] = {"model": SMALL, "messages": said, "tools": tools, "stream": stream}
                async with session.post(f"{gateway.base_url}/chat/completions", json=body) as answer:
                    text = await answer.text()
                    assert answer.status == 200, text
                    assert "x-selfopt-passed" not in answer.headers
                    assert '"top_logprobs"' not in text
                lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")] if stream else [text]
                choices = [choice for line in lines for choice in json.loads(line)["choices"]]
                found[prompt.id] = any((c.get("message") or c.get("delta")).get("tool_calls") for c in choices)
    finally:
        await gateway.close()
    return found


@pytest.mark.parametrize("point", [{"tools": "signatures", "form": "grammar"}, {}])
async def test_live_and_measured_readings_agree(tmp_path: Path, point: dict[str, str]) -> None:
    """Whole and streamed, with tools of the server's own and under a grammar."""
    ModelStore.default().pull(load_catalogue()[SMALL], lambda _: None)
    async with App.open(tmp_path / "home", environ={"HOME": str(Path.home()), "SELFOPT_CONFIG": ""}, cwd=tmp_path) as app:
        suite = app.suite("atomic")
        spec = app.spec(SMALL, "atomic", composed(point), {"suite": "atomic", "isolate": True, "timeout_s": 300.0})
        context = app.measure_context()
        result = await run_once(spec, context, replace(MeasureOptions(), limit=PROMPTS))
        trials = [trial for run_id in result.run_ids for trial in app.ledger.read(Trial, {"run_id": run_id})]
        whole = [one for one in trials if stored_replies(app.ledger, one)[-1].content().finish_reason != CUT]
        sums = {one.prompt_id: found.total for one in whole if (found := stored_replies(app.ledger, one)[-1].logprobs())}
        assert len(sums) == len(whole), "the engine gives them for every reply"
        called = read_by_each(app.ledger, spec, suite, whole, {"any": ("all@2",)})["any"]
        variant = with_chain(spec.variant, threshold([sums[v.prompt_id] for v in called if v.parsed.tool_calls]))
        measured = read_by_each(app.ledger, spec, suite, whole, {"sure": variant.parsers})["sure"]
        calls = {verdict.prompt_id: bool(verdict.parsed.tool_calls) for verdict in measured}
        # This model calls nothing through the server's own interface.
        assert len(set(calls.values())) == (2 if point else 1), "under the grammar one call is withheld and one is not"
        rule = Rule(rule_id=rule_id_of(SMALL, "atomic"), model=SMALL, phase="atomic", allow=True, variant=variant)
        app.enforcer.apply([rule], event="test", reason="")
        for stream in (False, True):
            assert await live(app, suite, list(calls), stream=stream) == calls
