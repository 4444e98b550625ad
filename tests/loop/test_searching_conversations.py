"""A search over conversations: what it finds wins by the gates, and the gateway serves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfopt.loop import Listener
from selfopt.records import Decision, Run, SearchEnd, SearchStart, Trial
from selfopt.verbs.looping import run_loop
from tests.gateway.kit import chat, gateway_world
from tests.gateway.test_harness import promote

from .kit import World, says, suite
from .race_kit import towns

Make = Callable[..., World]
TARGET = "scripted/m extended native_parsed@2"
SEARCH = {"loop": {"search": True, "search_trials": 120, "max_candidates": 2}}
ASKED, HELD_OUT = 24, 72


def conversations() -> dict[str, Any]:
    """Every third one ends with the result of a tool, which is to be told; the others ask for another town."""
    body = suite("long", "extended", "And in", small_talk=())
    prompts: list[dict[str, Any]] = []
    for i, town in enumerate(towns(ASKED + HELD_OUT)):
        call = {"id": "c1", "name": "get_weather", "arguments": {"city": town}}
        behind = [
            {"role": "user", "content": f"And in {town}?"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 12}'},
        ]
        before = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."}]
        ends = i % 3 == 0
        prompts.append(
            {
                "id": f"t{i:03d}",
                "kind": "result" if ends else "direct",
                "split": "search" if i < ASKED else "heldout",
                "tool_set": "t" if i < ASKED else "u",
                "messages": [*before, *(behind if ends else behind[:1])],
                "expected": [[]] if ends else [[{"name": "get_weather", "arguments": {"city": [town]}}]],
            }
        )
    tools = body["tool_sets"]["t"]
    return {**body, "scope": "sample", "tool_sets": {"t": tools, "u": tools}, "prompts": prompts}


def repeating() -> dict[str, Any]:
    """A model that calls what is asked for, and calls it again when it is shown the result."""
    asks = [{"match": {"contains": f"And in {town}?", "tools": True}, **says(town, "native")} for town in towns(ASKED + HELD_OUT)]
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": asks}


async def searched(world: World) -> None:
    """A cycle that searches for what conversations need."""
    world.write(long=conversations())
    with world.app(**SEARCH) as app:
        await run_loop(app, [TARGET], listener=Listener(world.events.append))


async def test_calls_that_are_made_again_are_found_promoted_and_withheld(world: Make, tmp_path: Path) -> None:
    """The search finds a reading that leaves them out, held-out tools prove it, and the gateway then
    answers from the result. Without the rule the client gets the repeated call, as it came.
    """
    w = world(m=repeating())
    await searched(w)
    with w.ledger() as ledger:
        (start,), (end,) = ledger.read(SearchStart), ledger.read(SearchEnd)
        runs = {run.run_id: run for run in ledger.read(Run)}
        splits = {runs[trial.run_id].split for trial in ledger.read(Trial) if runs[trial.run_id].purpose == "search"}
        verdicts = [decision.verdict for decision in ledger.read(Decision)]
    assert start.phase == "extended"
    assert splits == {"search"}
    assert end.ranking[0].point["repeats"] in ("turn", "ever")
    assert "promote" in verdicts
    variant = w.rules()[("scripted/m", "extended")].variant
    assert variant is not None
    assert {"repeat", "repeat_ever"} & set(variant.parsers)

    tool = {"type": "function", "function": conversations()["tool_sets"]["t"][0]}
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Town003"}'}}
    behind = [
        {"role": "user", "content": "And in Town003?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 12}'},
    ]
    model = {**repeating(), "default": {"text": "12 degrees."}}
    async with gateway_world(tmp_path, {"m": model}) as gateway:
        await promote(gateway, variant, "up/m")
        asked = await gateway.post(chat("up/m", messages=behind[:1], tools=[tool]))
        assert json.loads(calls(asked.body)[0]["function"]["arguments"]) == {"city": "Town003"}
        for stream in (False, True):
            answer = await gateway.post(chat("up/m", messages=behind, tools=[tool], stream=stream))
            said = pieces(answer.text) if stream else [answer.body["choices"][0]["message"]]
            assert not any(one.get("tool_calls") for one in said)
            assert "".join(one.get("content") or "" for one in said) == "12 degrees."
        plain = await gateway.post(chat("up/m", messages=behind, tools=[tool]), {"x-selfopt-variant": "off"})
        assert len(calls(plain.body)) == 1


def pieces(text: str) -> list[Any]:
    """What the events of a stream add."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for event in events for choice in json.loads(event)["choices"]]


def calls(body: Any) -> list[Any]:
    """The calls of a whole answer."""
    found: list[Any] = body["choices"][0]["message"].get("tool_calls") or []
    return found
