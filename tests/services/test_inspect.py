"""Logs of Inspect, read back by Inspect."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]
pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

THINKER = """\
  thinker:
    replies:
      - match: {contains: oslo}
        sequence:
          - {thinking: "Oslo. <script>alert(1)</script>", tool_calls: [{name: get_weather, arguments: {city: Oslo}}]}
          - {thinking: "Hmm.", text: "It rains."}
          - {fault: {kind: status, status: 500, body: "no"}}
        then: repeat_last
    default: {thinking: "Nothing to call.", text: "Hello."}
  mute:
"""
TASK = """\
from inspect_ai import Task, eval, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import generate, system_message, use_tools
from inspect_ai.tool import tool


@tool
def get_weather():
    async def execute(city: str) -> str:
        \"\"\"Look up the weather.

        Args:
            city: Where.
        \"\"\"
        return f"It rains in {city}."

    return execute


@scorer(metrics=[accuracy()])
def judged():
    async def score(state, target):
        return Score(value="C")

    return score


def counted(output):
    output.usage = ModelUsage(input_tokens=5, output_tokens=3, total_tokens=8)  # else it fetches a tokenizer
    return output


def answers():
    for _ in range(2):
        yield counted(ModelOutput.for_tool_call("mockllm/model", "get_weather", {"city": "Oslo"}))
        yield counted(ModelOutput.from_content("mockllm/model", "It rains in Oslo."))
        yield counted(ModelOutput.from_content("mockllm/model", "Good morning."))


@task
def weather():
    samples = [Sample(id="oslo", input="weather in Oslo?"), Sample(id="hello", input="hello")]
    return Task(dataset=samples, solver=[system_message("Be brief."), use_tools(get_weather()), generate()], scorer=judged())


model = get_model("mockllm/model", custom_outputs=answers())
(log,) = eval(weather(), model=model, epochs=2, log_dir="theirs", display="none", max_samples=1)
assert log.status == "success", log.error
"""


def test_inspect_reads_every_sample_with_its_calls_and_scores(project: Project) -> None:
    """Epochs are runs; accuracy, usage, messages and tool calls are those of the ledger."""
    log = pytest.importorskip("inspect_ai.log")
    project.ok("supervise", "good", "atomic", "--runs", "3")
    project.ok("run", "mute", "extended")
    out = project.root / "logs"
    told = project.ok("export", "inspect", "--out", str(out), "--json").json()
    assert [row["samples"] for row in told] == [9, 3]
    assert project.ok("export", "inspect", "--out", str(out)).out.startswith("nothing new")
    found = {Path(row["path"]).name: log.read_eval_log(row["path"]) for row in told}
    good = next(each for each in found.values() if each.eval.model == "scripted/good")
    assert good.status == "success"
    assert good.eval.config.epochs == 3
    assert good.results.scores[0].metrics["accuracy"].value == 1.0
    assert {(sample.id, sample.epoch) for sample in good.samples} == {(p, n) for p in ("A1", "A2", "A3") for n in (1, 2, 3)}
    first = next(sample for sample in good.samples if sample.id == "A1")
    assert first.input[-1].text == "weather in Oslo?"
    assert first.messages[-1].tool_calls[0].function == "get_weather"
    assert first.messages[-1].tool_calls[0].arguments == {"city": "Oslo"}
    assert first.scores["selfopt"].value == "C"
    assert first.target == 'get_weather(city="Oslo" or "Oslo, Norway")'
    assert first.scores["selfopt"].answer == 'get_weather(city="Oslo")'
    assert good.stats.started_at < good.stats.completed_at
    mute = next(each for each in found.values() if each.eval.model == "scripted/mute")
    assert {sample.id: sample.scores["selfopt"].value for sample in mute.samples} == {"E1": "I", "E2": "I", "E3": "C"}
    assert not list(out.glob(".*"))


def test_a_single_file_holds_the_newest_and_is_not_replaced_unasked(project: Project) -> None:
    """By the ending, as `.eval` or `.json`."""
    log = pytest.importorskip("inspect_ai.log")
    project.ok("run", "mute", "extended")
    project.ok("run", "scripted/evil_tool", "atomic")
    for name in ("one.eval", "one.json"):
        project.ok("export", "inspect", "--out", name)
        assert log.read_eval_log(str(project.root / name)).eval.model == "scripted/evil_tool"
        project.run("export", "inspect", "--out", name).assert_refused(2, "exists")
    project.run("export", "inspect", "--out", "selfopt.toml").assert_refused(2, "no folder")


def test_a_log_that_we_wrote_is_a_suite_again(project: Project) -> None:
    """With the same messages, tools and expectations. Inspect replaces nothing of asyncio for the process meanwhile."""
    pytest.importorskip("inspect_ai.log")
    project.ok("run", "mute", "extended")
    project.ok("export", "inspect", "--out", "one.eval")
    project.ok("suites", "import", "inspect", "one.eval", "--name", "again")
    again, first = (project.ok("suites", "show", name, "--json").json()["prompts"] for name in ("again", "extended.yaml"))
    for name in ("id", "messages", "expected", "tools"):
        assert [prompt[name] for prompt in again] == [prompt[name] for prompt in first], name
    assert asyncio.run.__module__ == "asyncio.runners"


@contextmanager
def viewer(folder: Path) -> Iterator[str]:
    """`inspect view` on a folder of logs; yields the address of its server, which has accepted a connection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["view", "start", "--log-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    start = "import sys; from inspect_ai._cli.main import main; sys.argv[1:] = %r; main()"
    with (folder / "viewer.txt").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", start % words], stdout=said, stderr=said, cwd=folder)
        try:
            for _ in range(600):
                assert process.poll() is None, (folder / "viewer.txt").read_text("utf-8")
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def told(address: str, path: str) -> Any:
    """What the viewer's server says, as JSON."""
    with urllib.request.urlopen(f"{address}/api/{path}", timeout=60) as reply:
        return json.loads(reply.read())


def test_the_viewer_shows_headers_and_samples(project: Project) -> None:
    """Of a model that thinks, calls, talks and fails: messages, calls, scores, usage, errors, how long it took."""
    pytest.importorskip("inspect_ai.log")
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", script.replace("  mute:\n", THINKER, 1))
    project.ok("supervise", "scripted/thinker", "atomic", "--runs", "3", "--max-trials", "200")
    folder = project.root / "logs"
    project.ok("export", "inspect", "--out", str(folder))
    with viewer(folder) as address:
        (listed,) = told(address, "logs")["files"]
        name = urllib.parse.quote(listed["name"], safe="")
        (header,) = told(address, f"log-headers?file={name}")
        whole = told(address, f"logs/{name}")
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"Inspect View" in page.read()
    assert (header["status"], header["eval"]["model"], header["eval"]["config"]["epochs"]) == ("success", "scripted/thinker", 3)
    assert header["eval"]["dataset"]["samples"] == 3
    assert header["stats"]["started_at"] < header["stats"]["completed_at"]
    assert {"accuracy", "call_accuracy", "restraint"} <= set(header["results"]["scores"][0]["metrics"])
    samples = {(sample["id"], sample["epoch"]): sample for sample in whole["samples"]}
    assert len(samples) == 9
    called, talked, failed = (samples["A1", epoch] for epoch in (1, 2, 3))
    answer = called["messages"][-1]
    assert [part["type"] for part in answer["content"]] == ["reasoning"]
    assert (answer["tool_calls"][0]["function"], answer["tool_calls"][0]["arguments"]) == ("get_weather", {"city": "Oslo"})
    assert [one["scores"]["selfopt"]["value"] for one in (called, talked, failed)] == ["C", "I", "I"]
    assert talked["scores"]["selfopt"]["answer"] == "It rains."
    assert called["model_usage"]["scripted/thinker"]["output_tokens"] > 0
    assert [bool(one.get("error")) for one in (called, talked, failed)] == [False, False, True]
    assert failed["error"]["message"].startswith("error")


def test_a_log_of_a_task_that_inspect_ran_becomes_a_suite(project: Project) -> None:
    """A task with a tool, in two epochs, by its own mock of a model: each sample once, with its tool and its first reply."""
    pytest.importorskip("inspect_ai.log")
    (project.root / "task.py").write_text(TASK, "utf-8")
    subprocess.run([sys.executable, "task.py"], check=True, capture_output=True, cwd=project.root)
    (log,) = (project.root / "theirs").glob("*.eval")
    project.ok("suites", "import", "inspect", str(log), "--name", "theirs")
    prompts = {prompt["id"]: prompt for prompt in project.ok("suites", "show", "theirs", "--json").json()["prompts"]}
    assert set(prompts) == {"oslo", "hello"}
    asked = [(message["role"], message["content"]) for message in prompts["oslo"]["messages"]]
    assert asked == [("system", "Be brief."), ("user", "weather in Oslo?")]
    assert [tool["name"] for tool in prompts["oslo"]["tools"]] == ["get_weather"]
    assert prompts["oslo"]["expected"] == [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]
    assert prompts["hello"]["expected"] == [[]]
