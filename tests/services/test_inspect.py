"""Logs of Inspect, read back by Inspect."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]
pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


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
    assert json.loads(first.target)[0][0]["name"] == "get_weather"
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
