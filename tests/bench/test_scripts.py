"""Every command of the specification, typed in bench/ as it is written there: in its order, and each alone at first."""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from selfopt.home import ProcessLock

from .kit import BENCH, HAIKU, LFM, ROOT, Bench, by_python, clean_environment

SUPERVISE = ("benchmark_supervisor.py", "lfm2.5", "atomic", "--enable-warmup")
RUN = ("run_benchmark.py", "lfm2.5-thinking:1.2b", "extended", "extended")
ENFORCE = ("routing_enforcer.py",)
CYCLE_2 = ("meta_harness_loop.py", "--cycles", "1", "--baseline", "...")
FEEDBACK = ("harness_feedback_loop.py",)
REPORT = ("meta_harness_loop.py", "--report")
WARM_UP_TEST, SAFETY_TEST, ROUTING_TEST = ("warm_up_test.py",), ("extended_suite_safety_test.py",), ("routing_test.py",)
CYCLE = ("meta_harness_loop.py", "--cycles", "1")
IN_ORDER = [SUPERVISE, RUN, ENFORCE, CYCLE_2, FEEDBACK, REPORT, WARM_UP_TEST, SAFETY_TEST, ROUTING_TEST, CYCLE]


@pytest.mark.slow
def test_every_command_in_the_specifications_order(tmp_path: Path) -> None:
    """All of them end with 0 in one home, one after another, and leave the files that the specification names."""
    done = {words: by_python(tmp_path / "home", *words) for words in IN_ORDER}
    failed = {" ".join(words): d.stdout + d.stderr for words, d in done.items() if d.returncode}
    assert not failed
    assert done[SUPERVISE].stdout.count("PPPPPPP") == 12
    assert "Warm-up complete" in done[SUPERVISE].stderr
    assert f"Routed from {LFM} to {HAIKU}" in done[RUN].stderr
    assert "cycle 2 finished" in done[CYCLE].stdout
    home, reports = tmp_path / "home", tmp_path / "home" / "reports"
    names = [
        "harness_feedback.json",
        "routing_config.json",
        "routing_decisions.jsonl",
        "routing_decisions.log",
        "meta_loop_history.json",
    ]
    assert [n for n in names if not (home / n).is_file()] == []
    names = ["SELF_OPTIMIZING_REPORT.md", "META_LEARNINGS.md", "CYCLE_1_RESULTS.json", "CYCLE_2_RESULTS.json"]
    assert [n for n in [*names, "WARM_UP_VALIDATION_RESULTS.json"] if not (reports / n).is_file()] == []


@pytest.mark.parametrize("words", [ENFORCE, CYCLE_2, FEEDBACK, REPORT, ROUTING_TEST], ids=" ".join)
def test_a_command_works_alone_in_a_fresh_state(bench: Bench, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What it needs is measured first, and one line says so."""
    done = bench(tmp_path / "home", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("bench:")]
    assert len(told) == (0 if words == CYCLE_2 else 1)


def test_feedback_recommends_the_enforcer_enforces_and_the_runner_obeys(bench: Bench, tmp_path: Path) -> None:
    """Each does its own part, also where it is the first: feedback puts no rule in force, the enforcer shows those it does."""
    home = tmp_path / "home"
    assert "disable scripted/lfm2.5-thinking:1.2b extended" in bench(home, *FEEDBACK).stdout
    assert not (home / "routing_config.json").exists()
    enforced = bench(home, *ENFORCE)
    assert f"+ {LFM} extended: deny, fallback {HAIKU}" in enforced.stdout
    assert "rules version 1 is in force" in enforced.stdout
    other = tmp_path / "other"
    assert bench(other, *FEEDBACK).returncode == 0
    assert f"Routed from {LFM} to {HAIKU}" in bench(other, *RUN).stderr


def test_extended_is_served_by_haiku_from_the_first_call_on(bench: Bench, tmp_path: Path) -> None:
    """Blocked, routed, 100 %, and an audit line with timestamp, reason and fallback."""
    done = bench(tmp_path / "home", *RUN, "--json")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["served_by"], body["evaluation"]["metrics"]["accuracy"]) == (HAIKU, 1.0)
    lines = [json.loads(line) for line in (tmp_path / "home" / "routing_decisions.jsonl").read_text("utf-8").splitlines()]
    diverted = [line for line in lines if line["event"] == "diverted"]
    assert [(line["original_model"], line["fallback"]) for line in diverted] == [(LFM, HAIKU)]
    assert diverted[0]["timestamp"]
    assert diverted[0]["reason"]
    again = bench(tmp_path / "home", *RUN, "--force-model", "--json")
    body = json.loads(again.stdout)
    assert (body["served_by"], body["evaluation"]["metrics"]["accuracy"]) == (LFM, 0.0)


def test_help_says_what_the_script_is_before_the_commands_own(bench: Bench, tmp_path: Path) -> None:
    """The specification's name first; nothing is measured for it."""
    done = bench(tmp_path / "home", "self_optimizing_policy.py", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("The specification's decision gates.")
    assert "Usage: selfopt decide" in done.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [SAFETY_TEST, ROUTING_TEST], ids=" ".join)
def test_a_test_passes_again_in_the_same_home_whatever_was_measured_in_between(
    bench: Bench, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """A forced pass, a look at one prompt and another variant are no reason for a test to fail that passed before."""
    home = tmp_path / "home"
    assert bench(home, *words).returncode == 0
    for more in ((), ("--limit", "1"), ("--timeout", "1")):
        assert bench(home, *RUN, "--force-model", *more).returncode == 0
    assert bench(home, "run_benchmark.py", "lfm2.5", "extended", "native_api", "--force-model").returncode == 0
    again = bench(home, *words)
    assert (again.returncode, "FAIL" in again.stdout) == (0, False), again.stdout


def marks(output: str) -> list[str]:
    """`PASS 1`, `FAIL 2`, ... of a test script."""
    return [line.split(":")[0] for line in output.splitlines() if line.startswith(("PASS", "FAIL"))]


def test_warm_up_test_fails_when_warm_up_is_switched_off(bench: Bench, tmp_path: Path) -> None:
    """Exit code 100, and what was observed: the same cold rows in both arms."""
    done = bench(tmp_path / "home", *WARM_UP_TEST, SELFOPT_WARM_UP__ENABLED="false")
    assert done.returncode == 100, done.stderr
    assert marks(done.stdout) == ["PASS 1", "FAIL 2", "FAIL 3", "FAIL 4", "FAIL 5", "FAIL 6"]
    assert "not made: warm-up is switched off" in done.stdout
    assert "0.714 -> 0.714" in done.stdout


def test_extended_suite_safety_test_fails_when_enforcement_is_switched_off(bench: Bench, tmp_path: Path) -> None:
    """Exit code 100: nobody is blocked, nobody is routed, nothing is logged."""
    done = bench(tmp_path / "home", *SAFETY_TEST, SELFOPT_ENFORCEMENT__ENABLED="false")
    assert done.returncode == 100, done.stderr
    assert marks(done.stdout)[:3] == ["FAIL 1", "FAIL 2", "FAIL 3"]


def test_extended_suite_safety_test_fails_when_the_gate_is_switched_off(bench: Bench, tmp_path: Path) -> None:
    """Exit code 100: a model with 0 % is allowed then."""
    done = bench(tmp_path / "home", *SAFETY_TEST, SELFOPT_POLICY__EXTENDED_GATE_ENABLED="false")
    assert done.returncode == 100, done.stderr
    assert "FAIL 4" in marks(done.stdout)


def test_dry_run_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    """`--dry-run` prints plan and trials; there is no home afterwards."""
    done = bench(tmp_path / "home", "meta_harness_loop.py", "--dry-run", "--cycles", "1")
    assert done.returncode == 0, done.stderr
    assert "dry run: nothing was written" in done.stdout
    assert not (tmp_path / "home").exists()


def test_candidates_come_from_a_file(bench: Bench, tmp_path: Path) -> None:
    """`--candidates`: other timeouts and retries, and nothing else, are tried."""
    path = tmp_path / "candidates.yaml"
    path.write_text("- timeout_s: 0.3\n- retries: 1\n")
    done = bench(tmp_path / "home", *CYCLE, "--candidates", str(path), "--json")
    assert done.returncode == 0, done.stderr
    changed = [c["changed"] for c in json.loads(done.stdout)[0]["targets"][0]["candidates"]]
    assert len(changed) == 2


def test_a_live_owner_of_the_lock_is_named(bench: Bench, tmp_path: Path) -> None:
    """A second supervisor is refused with the first one's process id, and lock_manager.py shows it."""
    home = tmp_path / "home"
    home.mkdir()
    with ProcessLock(home / "lock")("supervise"):
        done = bench(home, *SUPERVISE)
        shown = bench(home, "lock_manager.py")
    assert done.returncode == 1
    assert str(os.getpid()) in done.stderr
    assert f"held by process {os.getpid()}" in shown.stdout
    assert "free" in bench(home, "lock_manager.py").stdout


def test_a_stale_lock_is_cleared(bench: Bench, tmp_path: Path) -> None:
    """The lock of a process that is gone stands in nobody's way."""
    home = tmp_path / "home"
    home.mkdir()
    gone = {"pid": 2**22 - 1, "process_start_time": 1.0, "purpose": "supervise", "at": "2026-02-23T00:00:00Z"}
    (home / "lock").write_text(json.dumps(gone))
    assert "stale" in bench(home, "lock_manager.py").stdout
    assert bench(home, "benchmark_supervisor.py", "haiku", "atomic").returncode == 0


@pytest.mark.parametrize("script", ["bench/self_optimizing_policy.py", "self_optimizing_policy.py"])
def test_no_activated_environment_is_needed(tmp_path: Path, script: str) -> None:
    """A Python without selfopt hands over to the project's, called from the root or from bench/."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("this checkout has no .venv")
    done = subprocess.run(
        [sys.executable, "-S", script],
        cwd=ROOT if "/" in script else BENCH,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "extended_phase_min_accuracy = 0.3" in done.stdout


@pytest.mark.parametrize("script", sorted(BENCH.glob("*.py")), ids=lambda path: path.name)
def test_an_old_python_can_read_the_script_and_hand_it_over(script: Path) -> None:
    """Python 3.6 syntax: with a newer one the user would see a traceback instead of the project's own interpreter at work."""
    tree = ast.parse(script.read_text("utf-8"), feature_version=(3, 6))
    imported = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert imported[0] == "_bench" or script.name == "_bench.py"
    assert not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


@pytest.mark.parametrize("folder", [BENCH, ROOT], ids=["in bench", "elsewhere"])
def test_a_function_can_be_imported_without_an_activated_environment(tmp_path: Path, folder: Path) -> None:
    """`from routing_log import log_routing_decision` with a Python without selfopt, as the specification's own scripts would."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("this checkout has no .venv")
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from routing_log import log_routing_decision; print(log_routing_decision.__module__)"],
        cwd=folder,
        env={**clean_environment(tmp_path), "PYTHONPATH": str(BENCH)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("selfopt.routing.trail\n", "")


def test_without_any_environment_one_line_says_what_to_do(tmp_path: Path) -> None:
    """No .venv: `make test` or `make quickstart` is named, and nothing else is printed."""
    shutil.copytree(BENCH, tmp_path / "bench", ignore=shutil.ignore_patterns(".selfopt", "__pycache__"))
    done = subprocess.run(
        [sys.executable, "-S", "run_benchmark.py", "lfm2.5", "atomic"],
        cwd=tmp_path / "bench",
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "make quickstart" in done.stderr


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("run_benchmark", ["validate_model_phase_compatibility"]),
        ("routing_enforcer", ["generate_routing_rules"]),
        ("routing_log", ["log_routing_decision"]),
        ("self_optimizing_policy", ["extended_phase_min_accuracy", "decide"]),
        ("lock_manager", ["ProcessLock"]),
        ("config_manager", ["load_settings"]),
        ("meta_harness_loop", ["run_loop"]),
        ("benchmark_supervisor", ["supervise"]),
        ("harness_feedback_loop", ["analyze"]),
    ],
)
def test_a_script_exports_what_the_specification_names(monkeypatch: pytest.MonkeyPatch, module: str, names: list[str]) -> None:
    """Imported, it gives selfopt's own functions and does nothing."""
    monkeypatch.syspath_prepend(str(BENCH))
    loaded = importlib.import_module(module)
    assert [n for n in names if not hasattr(loaded, n) or n not in loaded.__all__] == []


def test_the_gate_has_the_specifications_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """extended_phase_min_accuracy = 0.30."""
    monkeypatch.syspath_prepend(str(BENCH))
    assert importlib.import_module("self_optimizing_policy").extended_phase_min_accuracy == 0.30


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--cycles", "1", "--baseline", "..."], ["--cycles", "1"]),
        (["--baseline=...", "--report"], ["--report"]),
        (["--baseline", "lfm2.5 atomic native_api"], ["--baseline", "lfm2.5 atomic native_api"]),
        (["--cycles", "1", "--baseline"], ["--cycles", "1", "--baseline"]),
        (["--candidates", "..."], ["--candidates", "..."]),
    ],
)
def test_three_dots_mean_the_baseline_there_is(monkeypatch: pytest.MonkeyPatch, typed: list[str], kept: list[str]) -> None:
    """Only as the value of --baseline; anything else is left to the command."""
    monkeypatch.syspath_prepend(str(BENCH))
    assert importlib.import_module("meta_harness_loop").without_ellipsis(typed) == kept
