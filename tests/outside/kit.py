"""Cases as data, and the processes that they run against."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["DATA", "Answer", "cases", "expected_failures", "marked", "post"]

DATA = Path(__file__).parent / "data"
EXPECTED: dict[str, dict[str, str]] = json.loads((DATA / "expected_failures.json").read_text("utf-8"))


def expected_failures(group: str) -> dict[str, str]:
    """The cases of a group that are not right yet, with the issue that they wait for. Who mends one takes its line out."""
    return EXPECTED.get(group, {})


def marked(group: str, name: str, *values: Any) -> Any:
    """One case of a group as a parameter of a test; a strict expected failure where it is not right yet."""
    reason = expected_failures(group).get(name)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason is not None else []
    return pytest.param(*values, id=name, marks=marks)


def cases(group: str, file: str) -> list[Any]:
    """Every case of a file of the data, by its id."""
    return [marked(group, case["id"], case) for case in json.loads((DATA / file).read_text("utf-8"))]


class Answer:
    """What a gateway answered to a chat: status, headers (lower case), and the choice that was streamed or sent whole."""

    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.text, self.error, self.done = "", "", False
        self.finish: str | None = None
        self.calls: list[tuple[str, str]] = []
        if "text/event-stream" in headers.get("content-type", ""):
            self._read_events(body.splitlines())
        else:
            self._read_whole(json.loads(body))

    @property
    def read_calls(self) -> list[tuple[str, Any]]:
        """Name and arguments of each call; arguments that are no JSON stay text."""
        return [(name, _json_or_text(arguments)) for name, arguments in self.calls]

    def _read_whole(self, body: Any) -> None:
        self.error = json.dumps(body["error"]) if body.get("error") else ""
        if self.error:
            return
        choice = body["choices"][0]
        message = choice["message"]
        self.text, self.finish, self.done = message.get("content") or "", choice["finish_reason"], True
        self.calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]

    def _read_events(self, lines: Iterable[str]) -> None:
        parts: dict[int, list[str]] = {}
        for line in lines:
            data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
            if data == "[DONE]":
                self.done = True
            elif data:
                body = json.loads(data)
                self.error = json.dumps(body["error"]) if body.get("error") else self.error
                for choice in body.get("choices") or []:
                    self._read_delta(choice.get("delta") or {}, parts)
                    self.finish = choice.get("finish_reason") or self.finish
        self.calls = [(name, arguments) for name, arguments in parts.values()]

    def _read_delta(self, delta: dict[str, Any], parts: dict[int, list[str]]) -> None:
        self.text += delta.get("content") or ""
        for piece in delta.get("tool_calls") or []:
            call = parts.setdefault(piece["index"], ["", ""])
            function = piece.get("function") or {}
            call[0] += function.get("name") or ""
            call[1] += function.get("arguments") or ""


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def post(port: int, body: Any, **headers: str) -> Answer:
    """One chat as a client of the OpenAI dialect sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **named})
    reply = connection.getresponse()
    text = reply.read().decode("utf-8", "replace")
    connection.close()
    return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, text)
