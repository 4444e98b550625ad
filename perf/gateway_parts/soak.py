"""A soak with faults: no answer may be wrong, and no request may be missing from the records.

Upstream is a scripted endpoint (`selfopt scripted`) that hangs, resets, answers 500, cuts replies in their middle, trickles them and sends garbage,
each for a share of the requests. Its models answer every question with a text of their own, so that an answer that reaches the wrong client,
or comes from another model than its headers say, is seen. Some clients leave in the middle of a stream.

Wrong: a complete answer with status 200 that is not what the model named in `x-selfopt-model` says to that question. An error told as one, or a stream
that is visibly broken off, is no wrong answer. Lost: a request whose id stands in no record, or a record that says something else.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from .ours import Ours, our_gateway, soak_world
from .processes import OTHER_CORE, free_port, start, wait_until_answers
from .requests import TOOLS

__all__ = ["Soaked", "soak"]

QUESTIONS = 40
WORKERS = 16
FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"kind": "hang"},
    "reset": {"kind": "close"},
    "500": {"kind": "status", "status": 500},
    "truncated": {"kind": "truncated"},
    "slow": {"kind": "slow", "chunk_bytes": 64, "chunk_ms": 3},
}


@dataclass(slots=True)
class Soaked:
    """What came of it. asked: requests that the gateway answered or began to; ids: model served by the id of each."""

    seconds: float = 0.0
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    ids: dict[str, str] = field(default_factory=dict)
    records: int = 0
    lost: list[str] = field(default_factory=list)
    verified: str = ""


def _script() -> dict[str, Any]:
    def replies(who: str, *, faulty: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        share = 0.02
        for number in range(QUESTIONS):
            text, call = _said(who, number), _call_text(who, number)
            for tools in (True, False):
                reply = {"text": call if tools else text}
                match = {"contains": f"question {number} ?", "tools": tools}
                if faulty:
                    found += [{"match": {**match, "chance": share}, "fault": fault, **reply} for fault in FAULTS.values()]
                found.append({"match": match, **reply})
        return found

    models = {
        "flaky": {"replies": replies("flaky", faulty=True)},
        "steady": {"replies": replies("steady", faulty=False)},
    }
    return {"models": models}


def _said(who: str, number: int) -> str:
    return f"{who} says {number * 7919}, and that is all there is to say."


def _call_text(who: str, number: int) -> str:
    return json.dumps({"name": "get_weather", "arguments": {"city": f"{who}-{number}"}})


async def _client(worker: int, gateway: Ours, until: float, found: Soaked) -> None:
    draw = random.Random(worker)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        while time.perf_counter() < until:
            number = draw.randrange(QUESTIONS)
            streamed, tools, leaves = draw.random() < 0.3, draw.random() < 0.3, draw.random() < 0.01
            model = draw.choice(("flaky/flaky", "flakier/flaky", "steady/steady"))
            body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": f"question {number} ?"}]}
            body |= {"stream": True} if streamed else {}
            body |= {"tools": TOOLS} if tools else {}
            headers = {"Authorization": f"Bearer {gateway.key}"}
            try:
                async with session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as answer:
                    found.asked += 1
                    served = answer.headers.get("x-selfopt-model", "")
                    found.ids[answer.headers.get("x-request-id", "")] = served
                    if leaves and streamed:
                        found.statuses["left"] += 1
                        answer.close()
                        continue
                    text = await answer.text()
                    found.statuses[str(answer.status)] += 1
                    problem = _problem(answer.status, text, served.partition("/")[2], number, streamed=streamed, tools=tools)
                    if problem:
                        found.wrong.append(f"{answer.headers.get('x-request-id')} {body}: {problem}"[:600])
            except aiohttp.ClientPayloadError:
                found.statuses["broken off"] += 1
            except aiohttp.ClientError as error:
                found.statuses[type(error).__name__] += 1
                found.wrong.append(f"no answer at all: {error}")


def _problem(status: int, text: str, who: str, number: int, *, streamed: bool, tools: bool) -> str:
    """What is wrong with a complete answer; "" when it is right or an error that is told as one."""
    try:
        if status != 200:
            return "" if isinstance(json.loads(text)["error"]["message"], str) else f"no error object: {text[:200]}"
        said, calls = _streamed(text) if streamed else _whole(text)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"{type(error).__name__} {error} in {text[:300]!r}"
    if said is None:
        return ""
    wanted = _call_text(who, number) if tools else _said(who, number)
    if calls:
        return "" if [json.loads(wanted)] == calls and tools else f"called {calls}, wanted {wanted}"
    return "" if said == wanted else f"said {said!r}, wanted {wanted!r}"


def _calls(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": c["function"]["name"], "arguments": json.loads(c["function"]["arguments"])} for c in raw]


def _whole(text: str) -> tuple[str | None, list[dict[str, Any]]]:
    message = json.loads(text)["choices"][0]["message"]
    return message["content"] or "", _calls(message.get("tool_calls") or [])


def _streamed(text: str) -> tuple[str | None, list[dict[str, Any]]]:
    """(text, calls) of a stream; no text where it tells an error: then it is not complete, and says so."""
    calls: list[dict[str, Any]] = []
    said, ended = "", False
    for line in text.splitlines():
        event = line.removeprefix("data:").strip()
        if not event:
            continue
        if event == "[DONE]":
            ended = True
            continue
        body = json.loads(event)
        if "error" in body:
            return None, []
        for choice in body["choices"]:
            said += choice["delta"].get("content") or ""
            calls += choice["delta"].get("tool_calls") or []
    if not ended:
        raise ValueError("the stream ended without its end")
    return said, _calls(calls)


def soak(folder: Path, seconds: float) -> Soaked:
    """Ask for so long, end the gateway, and look at what it recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    script, port, found = folder / "script.yaml", free_port(), Soaked()
    script.write_text(json.dumps(_script()), "utf-8")  # JSON is YAML
    with ExitStack() as stack:
        command = [sys.executable, "-m", "selfopt", "--home", str(folder / "none"), "scripted", str(script), "--port", str(port)]
        upstream = start("scripted", command, folder, core=OTHER_CORE)
        stack.callback(upstream.end)
        wait_until_answers(upstream, f"http://127.0.0.1:{port}/health", 60)
        gateway = stack.enter_context(our_gateway(folder / "ours", soak_world(f"http://127.0.0.1:{port}")))
        began = time.perf_counter()
        asyncio.run(_ask(gateway, began + seconds, found))
        found.seconds = time.perf_counter() - began
    _look_up(gateway, found)
    return found


async def _ask(gateway: Ours, until: float, found: Soaked) -> None:
    await asyncio.gather(*(_client(worker, gateway, until, found) for worker in range(WORKERS)))


def _look_up(gateway: Ours, found: Soaked) -> None:
    """After the end: is everything recorded, and does it verify?"""
    recorded: dict[str, dict[str, Any]] = {}
    for path in sorted((gateway.home / "requests").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record.get("kind") == "request":
                recorded[record["id"]] = record
                found.records += 1
    for request_id, served in found.ids.items():
        record = recorded.get(request_id)
        if record is None:
            found.lost.append(f"{request_id}: no record")
        elif served and record["served"] != served:
            found.lost.append(f"{request_id}: served by {served}, recorded {record['served']}")
    if found.records != found.asked:
        found.lost.append(f"{found.asked} requests, {found.records} records")
    command = [sys.executable, "-m", "selfopt", "--home", str(gateway.home), "audit", "verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found.verified = "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[:500]
