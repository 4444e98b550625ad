"""Points with a temperature or an allowance to think, from the command line over real HTTP to the ledger."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from selfopt.ledger import open_ledger
from selfopt.measure.stored import stored_replies
from selfopt.records import Evaluation, Run, SearchBatch, SearchStart, Trial
from selfopt.scripted.script import Script
from selfopt.variants.space import point_text

from .servers import scripted_server
from .test_logprobs import lab, own_endpoint
from .world import Project

CALL = '{"name": "play", "arguments": {"title": "x"}}'
MODEL: dict[str, Any] = {
    "digest": "d1",
    "template": "{{ '<think>' }}",
    "replies": [
        {"match": {"contains": "Oslo", "chance": 0.5}, "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        {"match": {"contains": "Rome"}, "text": f"<think>Shall I {CALL}?</think>I would rather not."},
    ],
    "default": {"text": "Hello.", "thinking": CALL},
}
SCRIPT = Script.model_validate({"models": {"m": MODEL, "plain": {**MODEL, "template": ""}}})


def bodies(url: str) -> list[dict[str, Any]]:
    """What the server was asked in chats."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/scripted/journal") as answer:
        entries = json.load(answer)["requests"]
    return [entry["body"] for entry in entries if entry["body"] and "messages" in entry["body"]]


def test_repeats_of_a_sampled_point_are_draws_each_a_trial_of_its_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests have no seed, and the replies to the same prompt differ."""
    with scripted_server(SCRIPT) as url:
        own_endpoint(project, monkeypatch, lab(url, "ollama"))
        for _ in range(6):
            project.ok("run", "lab/m", "atomic", "temperature=0.7", "--json")
        options = [body["options"] for body in bodies(url)]
    assert len(options) == 18
    assert all(one["temperature"] == 0.7 and "seed" not in one for one in options)
    ledger = open_ledger(project.home / "ledger.sqlite3")
    trials = [trial for trial in ledger.read(Trial) if trial.prompt_id == "A1"]
    said = {bool(reply.content().tool_calls) for trial in trials for reply in stored_replies(ledger, trial)}
    runs = list(ledger.read(Run))
    ledger.close()
    assert len({trial.trial_id for trial in trials}) == len({run.run_id for run in runs}) == 6
    assert said == {True, False}


@pytest.mark.parametrize("kind", ["ollama", "openai_compatible", "anthropic"])
def test_an_allowance_leaves_the_answer_its_room_and_no_thought_is_a_call(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """In each dialect: thoughts between marks and thoughts in a field of their own."""
    with scripted_server(SCRIPT) as url:
        own_endpoint(project, monkeypatch, lab(url, kind))
        verdicts = project.run("run", "lab/m", "atomic", "thinking=short", "--json").json()["verdicts"]
        plain = project.run("run", "lab/m", "atomic", "native", "--json")
        asked = bodies(url)
    assert plain.code == 0
    thinking, silent = asked[0], asked[-1]
    found = {one["prompt_id"]: one["parsed"] for one in verdicts}
    assert found["A2"]["tool_calls"] == found["A3"]["tool_calls"] == []
    if kind == "ollama":
        assert (thinking["think"], thinking["options"]["num_predict"]) == (True, 160 + 256)
        assert (silent["think"], silent["options"]["num_predict"]) == (False, 160)
    elif kind == "anthropic":  # its least budget is larger, and with one it takes no temperature
        assert (thinking["thinking"], thinking["max_tokens"]) == ({"type": "enabled", "budget_tokens": 1024}, 160 + 1024)
        assert "temperature" not in thinking
        assert (silent["temperature"], silent["max_tokens"]) == (0.0, 160)
    else:
        assert thinking["max_tokens"] == 160 + 256
        assert silent["max_tokens"] == 160


def test_variants_say_how_a_point_is_sampled(project: Project) -> None:
    """show, diff, parts and render, in lines of 80 columns."""
    point = "temperature=0.7 thinking=long"
    assert "sampling.temperature: 0.7" in project.ok("variants", "show", point).out
    differs = project.ok("variants", "diff", "native", point).out
    assert "sampling.seed: 0 -> not set" in differs
    assert "sampling.thinking_tokens: 0 -> 1024" in differs
    assert "thinking: how many tokens the model may think before it answers" in project.ok("variants", "parts").out
    rendered = project.ok("variants", "render", point, "Rain?", "--tools", "tools.json").out
    assert "sampling: temperature 0.7 without a seed, at most 160 tokens after at most 1024 of thinking" in " ".join(
        rendered.split()
    )
    wrong = project.run("variants", "show", "thinking=lng")
    assert wrong.code == 2
    assert "did you mean long" in wrong.err


def test_doctor_says_whether_the_first_model_of_a_server_thinks(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its server tells; of one that doesn't say nothing is said."""
    quiet = Script.model_validate({"models": {"quiet": {"template": "{{ m }}"}}})
    with scripted_server(SCRIPT) as url, scripted_server(quiet) as other:
        tables = (lab(url, "ollama"), lab(other, "ollama").replace("lab]", "off]"), lab(url).replace("lab]", "blind]"))
        own_endpoint(project, monkeypatch, *tables)
        said = {check["name"]: check["detail"] for check in project.run("doctor", "--json").json()}
        told = project.ok("models", "ps", "lab/m", "blind/m", "--json").json()
    assert "m:latest can think" in said["endpoint lab"]
    assert "quiet:latest does not think" in said["endpoint off"]
    assert "think" not in said["endpoint blind"]
    assert [row["thinking"] for row in told] == [True, None]


def test_a_search_tries_both_where_the_model_takes_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asks a sampled way each prompt once; a model that is not known to think is not given time to."""
    with scripted_server(SCRIPT) as url:
        own_endpoint(project, monkeypatch, lab(url, "ollama"))
        for model in ("lab/m", "lab/plain"):
            project.run("loop", "--search", "--max-trials", "90", "--baseline", f"{model} atomic temperature=0.7")
    ledger = open_ledger(project.home / "ledger.sqlite3")
    starts = {start.model: start for start in ledger.read(SearchStart)}
    searches = {start.search_id: start.model for start in starts.values()}
    batches = list(ledger.read(SearchBatch))
    trials = {trial.trial_id: trial for trial in ledger.read(Trial)}
    baseline = next(iter(ledger.read(Evaluation)))
    ledger.close()
    assert (baseline.model, baseline.determinism, baseline.n_runs > 1) == ("lab/m", "stochastic", True)
    has = {model: set(start.capabilities) & {"temperature", "thinking"} for model, start in starts.items()}
    assert has == {"lab/m": {"temperature", "thinking"}, "lab/plain": {"temperature"}}
    tried = {model: {part for b in batches if searches[b.search_id] == model for part in b.asking} for model in has}
    assert "temperature" in tried["lab/m"] & tried["lab/plain"]
    assert "thinking" not in tried["lab/plain"]
    seen = [(b.search_id, point_text(b.asking), trials[one].prompt_id) for b in batches for one in b.trial_ids]
    assert len(seen) == len(set(seen))
