"""The Python API: the documented example runs, and every verb gives what its command gives."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

import selfopt
from selfopt.errors import LockedError, RefusedError, SelfoptError, SuiteError, UsageError
from selfopt.loop import LoopEvent
from selfopt.measure.progress import Progress
from selfopt.records import ToolDefinition
from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]

ROOT = Path(__file__).resolve().parent.parent


def test_the_documented_example_runs_as_it_stands(project: Project) -> None:
    """The first code block of docs/PYTHON.md, on a scripted model called demo."""
    text = (ROOT / "docs" / "PYTHON.md").read_text("utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", script.replace("  good:\n", "  demo:\n", 1))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(example[1], "docs/PYTHON.md", "exec"), {})
    lines = out.getvalue().splitlines()
    assert lines[:4] == ["scripted/demo 1.0", "A1 PPP", "A2 PPP", "A3 PPP"]
    assert lines[-2:] == ["True", "True"]


def test_every_command_has_a_verb_in_the_table(project: Project) -> None:
    """docs/PYTHON.md names each command, and each name it gives exists."""
    from selfopt.cli.main import COMMANDS

    text = (ROOT / "docs" / "PYTHON.md").read_text("utf-8")
    for command in COMMANDS:
        assert f"`selfopt {command}" in text, command
    with selfopt.open() as harness:
        for cell in re.findall(r"^\| `selfopt[^|]*\| (.*) \|$", text, re.MULTILINE):
            group = ""
            for name in re.findall(r"`(?:with harness\.)?(\.?[a-z_.]+)\(", cell):
                group, _, verb = (name if not name.startswith(".") else group + name).rpartition(".")
                assert hasattr(getattr(harness, group) if group else harness, verb), name


def test_measuring_deciding_enforcing_and_asking(project: Project) -> None:
    """The way from a measurement to a diverted request, as with the commands."""
    seen: list[Progress] = []
    with selfopt.open(settings={"limits": {"timeout_s": 2.0}}) as harness:
        assert harness.home == project.home
        assert harness.settings.limits.timeout_s == 2.0
        for model in ("mute", "good"):
            harness.supervise(model, "extended", runs=3, on_progress=seen.append)
        assert seen
        assert harness.run("good", "atomic", limit=1).spec.timeout_s == 2.0
        assert {r.action for r in harness.feedback(write=False).recommendations} >= {"disable"}
        harness.feedback()
        assert harness.enforce(dry_run=True).changes
        assert harness.enforce().after.version == 1
        served = harness.run("mute", "extended")
        assert served.spec.model == "scripted/good"
        trial = served.verdicts[0].trial_id
        assert harness.show(trial).trial.trial_id == trial
        assert harness.rescore(served.result.run_ids, parsers=["json"]).rescored.trials
        decided = harness.decide("good", "extended", "native_api", "native_api")
        assert decided.decisions[0].verdict == "hold"
        assert harness.report()
        harness.routes.set("mute", "extended", allow=False)
        with pytest.raises(RefusedError):
            harness.run("mute", "extended")
        assert len(harness.routes.history()) == 2
        assert harness.routes.rollback(1).version == 3
        assert harness.audit.verify().ok
        assert harness.audit.show(1)[0].event
        assert harness.audit.trace("mute extended").trials


def test_comparing_models(project: Project) -> None:
    """The best first, with its interval; signs of life on the way."""
    seen: list[Progress] = []
    with selfopt.open() as harness:
        found = harness.compare("mute", "good", variants=["native_api"], limit=2, on_progress=seen.append)
        assert [row.model for row in found.rows] == ["scripted/good", "scripted/mute"]
    assert seen


def test_the_loop_and_its_plan(project: Project) -> None:
    """plan writes nothing; loop tells what it does and returns the cycles."""
    events: list[LoopEvent] = []
    project.write("c.yaml", "- variant: native_parsed\n")
    with selfopt.open() as harness:
        plan = harness.plan(baselines=["scripted/writer atomic native_api"], candidates="c.yaml")
        assert plan.targets[0][2]
        assert not project.home.exists()
        cycles = harness.loop(
            1, baselines=["scripted/writer atomic native_api"], candidates=project.root / "c.yaml", on_event=events.append
        )
        assert cycles[0].targets[0].winner_variant == "native_parsed"
        assert {e.kind for e in events} >= {"cycle", "decision", "finished"}


def test_validating_warm_up(project: Project) -> None:
    """Both arms and the reports."""
    with selfopt.open() as harness:
        shown = harness.validate_warm_up("scripted/cold", "atomic", runs=1, timeout_s=0.1)
        assert shown.validation.after > shown.validation.before
        assert shown.reports


def test_looking(project: Project) -> None:
    """Suites, variants, models, doctor, try, a rules file, a scripted server."""
    tool = ToolDefinition(name="get_weather")
    project.write("rules.json", '{"rules": [{"model": "mute", "phase": "atomic", "allow": true}]}')
    with selfopt.open() as harness:
        assert {s["name"] for s in harness.suites.list()} >= {"atomic", "extended"}
        assert harness.suites.show("atomic.yaml")["name"] == "small"
        assert harness.suites.validate("atomic") == []
        assert harness.suites.warnings("atomic") == []
        assert "few_shot" in harness.variants.list()
        assert harness.variants.show("few_shot").name == "few_shot"
        assert harness.variants.render("native_api", "hi", tools=[tool])[0]["tools"] == (tool,)
        assert harness.models.list()[0]["installed"] is False
        assert harness.models.ps("good")[0]["state"] == "unloaded"
        assert harness.models.rm("local/smollm2-135m") is False
        with pytest.raises(UsageError):
            harness.models.pull("good")
        assert all(check["status"] != "FAIL" for check in harness.doctor())
        assert harness.try_("good", "weather in Oslo?", tools="tools.json").parsed is not None
        assert harness.routes.import_file("rules.json").rules
        assert harness.routes.show().rules
        with harness.scripted("script.yaml") as url, urllib.request.urlopen(f"{url}/v1/models", timeout=120) as reply:
            assert "good" in {entry["id"] for entry in json.load(reply)["data"]}
        with pytest.raises(SelfoptError), harness.scripted("missing.yaml"):
            pass


def test_serving_live_traffic(project: Project) -> None:
    """The gateway answers while the block lasts and is gone after it; a failing start is an error of the block."""
    with selfopt.open() as harness:
        body = json.dumps({"model": "good", "messages": [{"role": "user", "content": "hello"}]}).encode()
        with harness.serve() as url:
            request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=120) as reply:
                assert json.load(reply)["choices"]
        with pytest.raises(URLError):
            urllib.request.urlopen(f"{url}/health", timeout=120)
        with pytest.raises(SelfoptError), harness.serve(host="nowhere.invalid"):
            pass


def test_making_suites(project: Project) -> None:
    """A starter, imports, failed trials; tools as a file or as definitions."""
    line = {"messages": [{"role": "user", "content": "hello"}], "expected": []}
    project.write("lines.jsonl", json.dumps(line))
    project.write("foo.yaml", "tests: [{vars: {prompt: hi}, assert: [{type: is-valid-openai-tools-call}]}]")
    tool = ToolDefinition(name="get_weather")
    with selfopt.open() as harness:
        assert harness.suites.new("mine", "extended").phase == "extended"
        assert harness.suites.new("two", tools="tools.json", to=project.root / "two.yaml").tools == 1
        assert harness.suites.import_jsonl("lines.jsonl", "lines", tools=[tool]).prompts == 1
        assert harness.suites.import_promptfoo("foo.yaml", "foo", tools=Path("tools.json"), phase="atomic").prompts == 1
        project.write("bar.yaml", (project.root / "foo.yaml").read_text().replace("assert: [", "assert: [{type: latency}, "))
        assert harness.suites.import_promptfoo("bar.yaml", "bar", tools=Path("tools.json")).prompts == 1
        with pytest.raises(SuiteError, match="latency"):
            harness.suites.import_promptfoo("bar.yaml", "baz", tools=Path("tools.json"), strict=True)
        verdict = harness.run("mute", "atomic").verdicts[0]
        assert harness.suites.add_from_ledger(verdict.trial_id, to="review.yaml").prompts == {verdict.trial_id: verdict.prompt_id}
        assert [w.code for w in harness.suites.warnings("review.yaml")] == ["to-review"]


async def test_it_works_where_a_loop_is_running_already(project: Project) -> None:
    """As in a notebook: the verbs block, and do not mind the caller's event loop."""
    with selfopt.open() as harness:
        assert harness.run("good", "atomic").evaluation is not None
        await asyncio.sleep(0)


def test_errors_come_as_they_are_and_closing_is_final(project: Project) -> None:
    """UsageError, LockedError; after close the verbs that measure say how to go on; a second close is fine."""
    from selfopt.home import Home, ProcessLock

    harness = selfopt.open()
    with pytest.raises(UsageError):
        harness.run("nope", "atomic")
    with ProcessLock(Home(project.home).ensure().lock)("test"), pytest.raises(LockedError):
        harness.run("good", "atomic")
    harness.close()
    harness.close()
    with pytest.raises(SelfoptError, match=r"selfopt\.open"):
        harness.run("good", "atomic")


def test_names_of_the_package(project: Project) -> None:
    """`selfopt.open` and `selfopt.Selfopt` are there, anything else is an AttributeError."""
    assert selfopt.Selfopt.__name__ == "Selfopt"
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = selfopt.nope


def test_ctrl_c_ends_a_measurement_tidily(project: Project) -> None:
    """KeyboardInterrupt reaches the caller after the run was closed, and the same call continues it."""
    project.write("script.yaml", "models: {slow: {latency_ms: 300, default: {text: x}}}")
    code = (
        "import selfopt, sys\n"
        "with selfopt.open() as h:\n"
        "    try:\n"
        "        h.supervise('scripted/slow', 'atomic', runs=3, on_progress=lambda e: print(e.done, flush=True))\n"
        "    except KeyboardInterrupt:\n"
        "        print('caught', flush=True)\n"
        "        sys.exit(130)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=project.environ())
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == "2":
            break
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=120)
    assert "caught" in out
    assert child.returncode == 130
    project.write("script.yaml", "models: {slow: {default: {text: x}}}")
    with selfopt.open() as harness:
        result = harness.supervise("scripted/slow", "atomic", runs=3).result
    assert result.resumed >= 2
    assert result.resumed + result.trials == 9
