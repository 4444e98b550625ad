"""What it costs to serve when sure: a confidence, and an escalation.

    python perf/escalation.py [--replies N] [--requests N] [--json]

Confidence: CPU time of judging one reply, beside the variant's own reading of it, in this process. Aim: at most 0.1 ms. `--replies 1000000` is a
million. Escalation: a gateway in this process in front of a scripted upstream, whose models answer after 2 and 30 ms. What an escalated request takes
beyond the smaller model's attempt and beyond a request to the stronger model itself; asked in turn; the fastest tenth of each, and medians. Aim: at most 1 ms. The decision is on disk before
the answer begins; that wait runs beside the stronger model's. An aim that is missed is said; it is no failure. Ratios hardly depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from selfopt.dialects.chat_body import BodyLimits, at_once, reading_body
from selfopt.dialects.openai_client import reading_request
from selfopt.gateway.sureness import sureness_of
from selfopt.gateway.ticket import RequestRecord
from selfopt.reading import read_calls
from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    LogProbs,
    ParsedReply,
    ReplyContent,
    Rule,
    ServedBound,
    ServeWhen,
    SignalTerm,
    ToolCall,
    Variant,
    evidence_key,
)
from selfopt.routing import rule_id_of
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options

CPU_AIM_MS, WAIT_AIM_MS = 0.1, 1.0
SMALL_MS, LARGE_MS = 2.0, 30.0
VARIANT = Variant(name="reads", parsers=("all@2", "fit@2"))
SIGNALS = ("reply", "choice", "least_value", "mean_value", "backed", "covered", "fits", "unrepaired")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Look up the {what} of a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "unit": {"type": "string", "enum": ["metric", "imperial"]},
                    "days": {"type": "integer"},
                },
                "required": ["city"],
            },
        },
    }
    for name, what in (("get_weather", "weather"), ("get_traffic", "traffic"), ("get_events", "events"))
]
CALL: dict[str, Any] = {"name": "get_weather", "arguments": {"city": "Oslo", "unit": "metric", "days": 3}}


class KeptRecords:
    """A journal that keeps what it gets."""

    lag_s = 0.0

    def __init__(self) -> None:
        self.records: list[Any] = []

    def add(self, record: Any) -> None:
        """Keep a record."""
        self.records.append(record)

    def check(self) -> None:
        """Never fails."""

    async def close(self) -> None:
        """Does nothing."""


def serve_when(least: float) -> ServeWhen:
    """A rule's part that reads every signal."""
    terms = tuple(SignalTerm(signal=name, low=-10.0, high=1.0, weight=1.0, unknown=0.5) for name in SIGNALS)
    model = ConfidenceModel(calls=ConfidenceTerms(intercept=0.0, terms=terms), text=ConfidenceTerms(intercept=0.0, terms=terms))
    bound = ServedBound(
        claim="these_tools", max_bad_share=0.1, confidence=0.95, n=300, tool_sets=2, served=200, bad=8, upper=0.07
    )
    known = Environment(endpoint="up", model="up/small")
    return ServeWhen(
        calibration_id="none",
        model=model,
        least=least,
        bound=bound,
        fitted_on="none",
        calibrated_on="none",
        evidence_key=evidence_key("", known),
        environment=known,
    )


def body(model: str, number: int = 0) -> dict[str, Any]:
    """A chat that asks for the call; with another number it is another conversation."""
    content = f"What is the weather in Oslo for the next 3 days, in metric units? I ask as guest {number}."
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "tools": TOOLS,
    }


def observed(said: str) -> LogProbs:
    """Log probabilities of a text, four characters a token, with five alternatives each."""
    tokens = tuple(said[at : at + 4] for at in range(0, len(said), 4))
    others = ("the", "<tool", "{", "get", "None")
    return LogProbs(
        tokens=tokens,
        logprobs=(-0.05,) * len(tokens),
        top_tokens=(others,) * len(tokens),
        top_logprobs=((-0.05, -3.0, -4.0, -5.0, -6.0),) * len(tokens),
    )


def cpu_of_confidence(n: int) -> dict[str, float]:
    """Milliseconds of CPU to judge a reply, and to read it as a variant does."""
    text = f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>"
    prose = "It will be sunny for the next three days, as far as I know, but please ask somebody who can look out of the window."
    kinds = [
        ReplyContent(tool_calls=(ToolCall(**CALL),), logprobs=observed(text)),
        ReplyContent(text=text, logprobs=observed(text)),
        ReplyContent(text=prose, logprobs=observed(prose)),
    ]
    when = {True: serve_when(0.0), False: serve_when(1.0)}
    judging = reading = 0.0
    for number in range(n):
        kept = kinds[number % len(kinds)]
        # A live conversation and its reply come once: what is remembered of an earlier one would flatter the figure.
        # Its tools come again and again.
        asked = at_once(reading_request(at_once(reading_body(json.dumps(body("up/small", number)).encode(), BodyLimits()))))
        content = kept.model_copy(update={"logprobs": LogProbs.model_construct(**dict(kept.logprobs)) if kept.logprobs else None})
        began = time.process_time()
        parsed: ParsedReply = read_calls(VARIANT.parsers, content, asked.request.tools, asked.request.messages)
        read = time.process_time()
        sureness_of(when[bool(number % 2)], content, parsed, asked)
        judging += time.process_time() - read
        reading += read - began
    return {"judging_ms": judging / n * 1000, "reading_ms": reading / n * 1000}


async def waits(n: int) -> dict[str, float]:
    """Medians in milliseconds of escalated requests, the smaller model's attempts, and requests to the stronger model."""
    reply = {"tool_calls": [CALL], "logprob": -0.5}
    script = Script.model_validate(
        {
            "models": {
                "small": {"latency_ms": SMALL_MS, "default": reply},
                "large": {"latency_ms": LARGE_MS, "default": reply},
            }
        }
    )
    upstream = await serve_scripted(script)
    with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
        config = Path(folder) / "own.toml"
        config.write_text(
            f'[endpoints.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\nlocal = true\n', "utf-8"
        )
        environ = {"SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(Path(folder) / "home")}
        async with App.open(environ=environ, cwd=Path(folder)) as app, aiohttp.ClientSession() as session:
            small, large = (
                Rule(rule_id=rule_id_of(model, "atomic"), model=model, phase="atomic", allow=True, variant=VARIANT, **more)
                for model, more in (("up/small", {"fallback": "up/large", "serve_when": serve_when(1.0)}), ("up/large", {}))
            )
            app.enforcer.apply([small, large], event="perf", reason="")
            kept = KeptRecords()
            gateway = build_gateway(app, gateway_options(app, None, 0), kept)
            await gateway.start()
            try:
                for number in range(2 * n + 20):
                    model = "up/small" if number % 2 else "up/large"
                    async with session.post(f"{gateway.base_url}/chat/completions", json=body(model)) as answer:
                        assert answer.status == 200, await answer.text()
                        await answer.read()
            finally:
                await gateway.close()
                await upstream.close()
    records = [record for record in kept.records if isinstance(record, RequestRecord)][20:]
    escalated = [record for record in records if record.escalated]
    direct = [record.latency_ms for record in records if not record.escalated]
    attempts = [record.attempts[0].ms for record in escalated]
    beyond = [record.latency_ms - ms for record, ms in zip(escalated, attempts, strict=True)]
    return {
        "escalated_ms": statistics.median([record.latency_ms for record in escalated]),
        "small_attempt_ms": statistics.median(attempts),
        "large_alone_ms": statistics.median(direct),
        "added_ms": _fast(beyond) - _fast(direct),
        "added_median_ms": statistics.median(beyond) - statistics.median(direct),
    }


def _fast(times_ms: Sequence[float]) -> float:
    """The time that a tenth of the requests stays below: what others do on the machine meets it least."""
    return statistics.quantiles(times_ms, n=10)[0]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a confidence and an escalation cost")
    parser.add_argument("--replies", type=int, default=20_000, help="replies that are judged")
    parser.add_argument("--requests", type=int, default=100, help="requests of each kind")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    options = parser.parse_args()
    figures = {**cpu_of_confidence(options.replies), **asyncio.run(waits(options.requests))}
    if not options.json:
        judging, added = figures["judging_ms"], figures["added_ms"]
        print(
            f"confidence: {judging:.4f} ms of CPU a reply (aim {CPU_AIM_MS:g}: {_met(judging, CPU_AIM_MS)}), "
            f"{judging / figures['reading_ms']:.2f} times the variant's reading ({figures['reading_ms']:.4f} ms)"
        )
        print(
            f"escalation: {figures['escalated_ms']:.2f} ms, of which {figures['small_attempt_ms']:.2f} ms are the smaller model's and "
            f"{figures['large_alone_ms']:.2f} ms what the stronger one alone takes; {added:.2f} ms are added by the fastest tenth of each, {figures['added_median_ms']:.2f} by medians (aim {WAIT_AIM_MS:g}: {_met(added, WAIT_AIM_MS)})"
        )
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))
    return 0


def _met(value: float, aim: float) -> str:
    return "met" if value <= aim else "missed"


if __name__ == "__main__":
    sys.exit(main())
