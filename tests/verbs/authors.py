"""A world with a model that writes prompts for a weather tool, solvers that agree, and a model that is tuned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfopt.loop import Listener
from selfopt.verbs.tuning import Tuned, TuneListener, TuneRequest, tune_model
from tests.loop.kit import Script, World

CITIES = ("Oslo", "Lisbon", "Nairobi", "Kyoto", "Quito", "Dublin", "Hanoi", "Prague", "Denver", "Tunis", "Riga", "Perth")
WRITE = "^(Can|Topic): |^This does not say"
"""How every question to a writer begins."""
NEAR = (
    "What is a cold front, roughly?",
    "I love rainy mornings at home.",
    "Who invented the barometer?",
    "Thanks, the forecast was right yesterday.",
    "Is climate the same thing as weather?",
    "My umbrella broke last week, sadly.",
    "Explain to me how clouds form.",
    "Do you also like thunderstorms?",
)
MISSING = (
    "What's the weather like there right now?",
    "Tell me whether I need a coat today.",
    "Check the forecast for me, will you?",
    "Will it rain tomorrow where I am going?",
    "How warm is it over there?",
    "Give me the current conditions, please.",
)
PHRASINGS = {
    "short": "Weather in {}?",
    "polite": "I am off to {}, do I need an umbrella, please?",
    "chatty": "Tell me how warm it is in {} just now.",
    "question": "What is it like outside in {} today?",
}
TOOL = {
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def writing(*replies: Script, agree: bool = True) -> Script:
    """A model that writes what it is asked for, and solves it, natively and in text.

    replies: what it answers instead to all that is asked of a writer, in turn.
    """
    rules: list[Script] = [{"match": {"regex": WRITE}, "sequence": list(replies)}] if replies else []
    for city in CITIES:
        for style, form in PHRASINGS.items():
            rules.append({"match": {"contains": [f"Say: city = {city}", f"Style: {style}"]}, "text": form.format(city)})
    rules.append({"match": {"contains": "Topic:"}, "sequence": [{"text": text} for text in NEAR]})
    rules.append({"match": {"contains": "Leave out:"}, "sequence": [{"text": text} for text in MISSING]})
    for city in CITIES if agree else ():
        call = {"name": "get_weather", "arguments": {"city": city}}
        rules.append({"match": {"contains": city, "tools": True}, "tool_calls": [call]})
        rules.append({"match": {"contains": city}, "text": json.dumps(call)})
    return {"initially_loaded": True, "digest": "w1", "default": {"text": "Hm."}, "replies": rules}


def tuned_model() -> Script:
    """A model that calls for one city, and for all of them where the tools are in the prompt."""
    rules: list[Script] = []
    for city in CITIES:
        call = {"name": "get_weather", "arguments": {"city": city}}
        rules.append({"match": {"contains": city, "tools": False}, "text": json.dumps(call)})
        if city == "Oslo":
            rules.append({"match": {"contains": city}, "tool_calls": [call]})
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": rules}


def tools_file(folder: Path, *tools: Any) -> str:
    """A file of tools, as OpenAI takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tools.json"
    path.write_text(json.dumps([{"type": "function", "function": tool} for tool in tools or (TOOL,)]), "utf-8")
    return str(path)


async def tuned(
    world: World, on_step: Callable[[str], None] | None = None, settings: dict[str, Any] | None = None, **asked: Any
) -> Tuned:
    """Tune the model `m` of a world."""
    if "tools" not in asked:
        asked["tools"] = tools_file(world.folder)
    asked = {"writer": "scripted/w", "prompts": 24, **asked}
    with world.app(**{"loop": {"search_trials": 80, "max_candidates": 2}, **(settings or {})}) as app:
        app.on_step = on_step or app.on_step
        request = TuneRequest("scripted/m", **asked)
        return await tune_model(app, request, TuneListener(loop=Listener(world.events.append)))


def asked_of(world: World, model: str) -> list[str]:
    """The last user messages of every chat that a model got."""
    assert world.engine is not None
    return [entry.last_user for entry in world.engine.journal if entry.model == model and not entry.load_only]
