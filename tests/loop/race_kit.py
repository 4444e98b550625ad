"""Worlds for races: models that are right only now and then, and a suite with prompts that nothing is tuned on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfopt.measure.show import show_trial
from selfopt.records import Message, Trial
from selfopt.scripted.player import ScriptedChat

from .kit import CITIES, Script, World, says, suite

M = "scripted/m"
ATOMIC = "scripted/m atomic native_api"
HINT = "call the tools that the request needs"


def sometimes(native: float, restrained: float, cities: Sequence[str] = CITIES, **more: Any) -> Script:
    """A model that calls rightly in this share of the askings: of a plain request, and of one with the restraint sentence."""
    replies: list[Script] = []
    for city in cities:
        asks = {"contains": f"Weather in {city}?", "tools": True}
        replies.append({"match": {**asks, "system_contains": HINT, "chance": restrained}, **says(city, "native")})
        replies.append({"match": {**asks, "system_contains": HINT}, "text": "Hm."})
        replies.append({"match": {**asks, "chance": native}, **says(city, "native")})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies, **more}


def steady(native: Sequence[str], restrained: Sequence[str], **more: Any) -> Script:
    """A model that is right about these cities, always: where it is asked plainly, and with the restraint sentence."""
    every = dict.fromkeys([*native, *restrained])
    replies: list[Script] = []
    for city in every:
        asks = {"contains": f"Weather in {city}?", "tools": True}
        right, wrong = says(city, "native"), {"text": "Hm."}
        replies.append({"match": {**asks, "system_contains": HINT}, **(right if city in restrained else wrong)})
        replies.append({"match": asks, **(right if city in native else wrong)})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies, **more}


def towns(count: int) -> list[str]:
    """Names for prompts."""
    return [f"Town{i:03d}" for i in range(count)]


def sample_suite(search: int, heldout: int) -> dict[str, Any]:
    """A suite that stands for other prompts: Town000 and so on are searched, the last ones held out, with a tool set of their own."""
    body = suite("small", "atomic", "Weather in", small_talk=())
    prompts = []
    for i, town in enumerate(towns(search + heldout)):
        split = "search" if i < search else "heldout"
        prompts.append(
            {
                "id": f"t{i:03d}",
                "kind": "direct",
                "split": split,
                "tool_set": "t" if split == "search" else "u",
                "messages": [{"role": "user", "content": f"Weather in {town}?"}],
                "expected": [[{"name": "get_weather", "arguments": {"city": [town]}}]],
            }
        )
    return {
        **body,
        "scope": "sample",
        "tool_sets": {"t": body["tool_sets"]["t"], "u": body["tool_sets"]["t"]},
        "prompts": prompts,
    }


def candidates(folder: Path, *entries: dict[str, Any]) -> Path:
    """A candidates file."""
    path = folder / "candidates.json"
    path.write_text(json.dumps(list(entries) or [{"variant": "restrained"}]), "utf-8")
    return path


def with_suite(world: World, body: dict[str, Any]) -> World:
    """The world with this suite of single requests."""
    world.write(small=body)
    return world


def recalled(world: World) -> None:
    """A model whose process was killed goes on with its draws where the committed trials end, as if it had lived on."""
    with world.app() as app:
        assert world.engine is not None
        for trial in app.ledger.read(Trial) if app.has_ledger else ():
            for exchange in show_trial(app.ledger, trial.trial_id).exchanges:
                for attempt in exchange.attempts:
                    world.engine.recall(_chat(json.loads(attempt.request or "{}")))


def _chat(body: dict[str, Any]) -> ScriptedChat:
    messages = tuple(Message(role=m["role"], content=m["content"]) for m in body["messages"])
    return ScriptedChat(body["model"], "in_process", messages, tuple(tool["function"]["name"] for tool in body.get("tools", ())))
