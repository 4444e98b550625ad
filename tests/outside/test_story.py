"""A model whose calls nothing reads, from the first run to the gateway that serves it, with nothing but commands."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from selfopt.reading import FAMILIES
from selfopt.records import ToolCall

from .conftest import selfopt, serving

CITIES = ("Oslo", "Rome", "Graz")
FORMATS = ("glm45", "gpt_oss", "mistral_args", "kimi_k2", "minimax_m2")
LIES = ("perfect restraint", "never calls a tool", "capability limit", "disable")
SUITE = {
    "name": "cities",
    "phase": "atomic",
    "scope": "whole",
    "tool_sets": {
        "t": [
            {
                "name": "get_weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }
        ]
    },
    "prompts": [
        *(
            {
                "id": f"A{i}",
                "kind": "direct",
                "tool_set": "t",
                "messages": [{"role": "user", "content": f"Weather in {city}?"}],
                "expected": [[{"name": "get_weather", "arguments": {"city": [city]}}]],
            }
            for i, city in enumerate(CITIES)
        ),
        *(
            {
                "id": f"N{i}",
                "kind": "greeting",
                "tool_set": "t",
                "messages": [{"role": "user", "content": text}],
                "expected": [[]],
            }
            for i, text in enumerate(("Hello there.", "Thank you!"))
        ),
    ],
}


def unknown(city: str) -> str:
    """A call in a format that no family has."""
    return f'<|zz_call|>get_weather|{{"city": "{city}"@@<|zz_end|>'


def written(family: str, city: str) -> str:
    """A call as models of a family write it."""
    row = FAMILIES.get(family)
    assert row is not None
    return row.write([ToolCall(name="get_weather", arguments={"city": city})])


def model(**texts: str) -> dict[str, Any]:
    """A model that answers each city with a text of its own, and else with a greeting."""
    replies = [{"match": {"contains": city}, "text": text} for city, text in texts.items()]
    return {"initially_loaded": True, "digest": "d1", "replies": replies, "default": {"text": "Hello."}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with a scripted model for each format."""
    models = {family: model(**{city: written(family, city) for city in CITIES}) for family in FORMATS}
    models["unknown"] = model(**{city: unknown(city) for city in CITIES})
    models["silent"] = model()
    (tmp_path / "script.yaml").write_text(json.dumps({"models": models}), "utf-8")
    (tmp_path / "suite.yaml").write_text(json.dumps(SUITE), "utf-8")
    (tmp_path / "user.toml").write_text(
        f'[endpoints.un]\nkind = "scripted"\nscript = "{tmp_path}/script.yaml"\n[suites]\natomic = "{tmp_path}/suite.yaml"\n'
        "[loop]\ndeterminism_sample = 2\n",
        "utf-8",
    )
    return tmp_path


def ok(folder: Path, *arguments: str) -> str:
    """What a command printed, which has to succeed."""
    done = selfopt(folder, *arguments, COLUMNS="200")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked(port: int, name: str, text: str, *, stream: bool) -> str:
    """The body of a chat through the gateway."""
    tools = [{"type": "function", "function": tool} for tool in SUITE["tool_sets"]["t"]]  # type: ignore[index]
    body = {"model": name, "messages": [{"role": "user", "content": text}], "tools": tools, "stream": stream}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return str(reply.read().decode())


def streamed(body: str) -> tuple[str, str]:
    """The text and the arguments of the calls of a stream."""
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [call["function"].get("arguments", "") for delta in deltas for call in delta.get("tool_calls", ())]
    return "".join(delta.get("content") or "" for delta in deltas), "".join(calls)


@pytest.mark.parametrize("family", FORMATS)
def test_the_advice_against_unread_calls_works_when_it_is_typed_as_printed(folder: Path, family: str) -> None:
    """It names the family, how many, and an example; after the command every reply is read."""
    ok(folder, "run", f"un/{family}", "atomic", "native_api")
    told = ok(folder, "feedback")
    title = FAMILIES.get(family).title  # type: ignore[union-attr]
    assert f"3 of 5 replies hold a tool call in a format that this variant does not read (mostly {family}: {title}" in told
    assert not [lie for lie in LIES if lie in told]
    (command,) = re.findall(r"`selfopt (rescore \w+ --parser all@2)`", told)
    assert "5 trials judged by all@2: 5 new verdicts, 3 outcomes changed" in ok(folder, *command.split())
    assert "in a format that this variant does not read" not in ok(folder, "feedback")


def test_a_format_that_nobody_knows_is_not_silence(folder: Path) -> None:
    """The model that says nothing is still told from it."""
    for name in ("unknown", "silent"):
        ok(folder, "run", f"un/{name}", "atomic", "native_parsed@2")
    told = ok(folder, "feedback")
    assert "never calls a tool" in told, "of the silent one"
    of_unknown = [line for line in told.splitlines() if "un/unknown on atomic: " in line]
    assert not [lie for lie in LIES if lie in "\n".join(of_unknown)]
    assert "of no family that is known; such as '<|zz_call|>get_weather|" in told
    (command,) = re.findall(r"`selfopt (run un/unknown [\w ]+@2)`", told)
    ok(folder, *command.split())


def test_a_rule_moves_to_the_chain_that_reads_and_the_gateway_serves_it(folder: Path) -> None:
    """Calls come out as calls, whole and streamed; text stays text; the trail verifies."""
    out = ok(folder, "loop", "--baseline", "un/glm45 atomic native_api")
    assert "PROMOTED  un/glm45 atomic: native_parsed@2 (variant native_api -> native_parsed@2)" in out
    assert "un/glm45 atomic: allow (variant native_parsed@2)" in ok(folder, "routes", "show")
    with serving(folder) as port:
        message = json.loads(asked(port, "un/glm45", "Weather in Rome?", stream=False))["choices"][0]["message"]
        assert (message["content"], json.loads(message["tool_calls"][0]["function"]["arguments"])) == (None, {"city": "Rome"})
        text, arguments = streamed(asked(port, "un/glm45", "Weather in Rome?", stream=True))
        assert (text, json.loads(arguments)) == ("", {"city": "Rome"})
        message = json.loads(asked(port, "un/glm45", "Hello there.", stream=False))["choices"][0]["message"]
        assert (message["content"], "tool_calls" in message) == ("Hello.", False)
        assert streamed(asked(port, "un/glm45", "Hello there.", stream=True)) == ("Hello.", "")
    assert "the audit trail verifies" in ok(folder, "audit", "verify")
