"""What is asked, of whom, and what has to come back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .upstream import TEXT

__all__ = ["SHAPES", "Shape", "Target", "chat"]

Shape = Literal["plain", "tools", "stream", "beat"]
SHAPES: tuple[Shape, ...] = ("plain", "tools", "stream")
NUMBER = "1000001"
CITY = {"type": "string", "description": "Name of the city."}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": properties, "required": sorted(properties)[:1]},
        },
    }
    for name, description, properties in (
        ("get_weather", "Weather in a city.", {"city": CITY, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}),
        ("play_song", "Play a song.", {"title": {"type": "string"}, "artist": {"type": "string"}}),
        ("send_text", "Send a text message.", {"recipient": {"type": "string"}, "body": {"type": "string"}}),
    )
]


def chat(model: str, shape: Shape) -> bytes:
    """A chat's body. No two of a load are alike: NUMBER stands where their number goes."""
    said = "What is the weather in Paris?" if shape == "tools" else "What is the capital of France?"
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": f"{said} ({NUMBER})"}], "temperature": 0}
    if shape == "tools":
        body["tools"] = TOOLS
    if shape in ("stream", "beat"):
        body["stream"] = True
    if shape == "beat":
        body["user"] = "beat"
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of request to one server. calls: a tool call has to come back, since a harness reads it in the text."""

    name: str
    url: str
    shape: Shape
    model: str
    key: str = ""
    calls: bool = False
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Of the request."""
        key = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {"Content-Type": "application/json", **key, **self.more}

    @property
    def body(self) -> bytes:
        """Of the request."""
        return chat(self.model, self.shape)

    def check(self) -> None:
        """Ask once and look at the answer. RuntimeError when it is not what the upstream said."""
        request = urllib.request.Request(self.url, self.body, self.headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                problem = self.problem(answer.read().decode())
        except OSError as error:
            problem = str(error)
        if problem:
            raise RuntimeError(f"{self.name} answers wrongly ({self.shape}): {problem}")

    def problem(self, text: str) -> str:
        """What is wrong with an answer; "" when it is right."""
        try:
            return self._problem(text)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            return f"{type(error).__name__} {error} in {text[:200]!r}"

    def _problem(self, text: str) -> str:
        if self.shape in ("stream", "beat"):
            events = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
            pieces = [json.loads(event)["choices"] for event in events if event != "[DONE]"]
            said = "".join(choices[0]["delta"].get("content") or "" for choices in pieces if choices)
            return "" if said == TEXT and events[-1] == "[DONE]" else f"streamed {said!r}"
        message = json.loads(text)["choices"][0]["message"]
        if self.calls:
            function = message["tool_calls"][0]["function"]
            right = (function["name"], json.loads(function["arguments"])) == ("get_weather", {"city": "Paris"})
            return "" if right else f"called {function!r}"
        if self.shape == "tools":
            return "" if "get_weather" in json.dumps(message) else f"said {message!r}"
        return "" if message["content"] == TEXT else f"said {message!r}"
