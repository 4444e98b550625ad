"""The action of GitHub, the job of GitLab and the hook of pre-commit do what they say, in a project of their own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import project
from tests.cli.world import ATOMIC, Project

__all__ = ["project"]

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "deploy/github-action/action.yml").read_text("utf-8"))
JOB: dict[str, Any] = yaml.safe_load((ROOT / "deploy/gitlab/selfopt.gitlab-ci.yml").read_text("utf-8"))["selfopt-check"]
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


def programs(project: Project) -> Path:
    """A folder with `selfopt` as an installation has it, and a `python` that says what it was asked to install."""
    folder = project.root / "bin"
    folder.mkdir()
    asked = f'exec {shlex.quote(sys.executable)} -m selfopt "$@"'
    for name, body in (("selfopt", asked), ("python", "printf '%s\\n' \"$@\" > installed.txt")):
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n", "utf-8")
        (folder / name).chmod(0o755)
    return folder


def bash(project: Project, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub runs a step with `shell: bash`."""
    folder = project.root / "bin"
    path = f"{folder if folder.exists() else programs(project)}{os.pathsep}{os.environ['PATH']}"
    environ = {**project.environ(), "PYTHONPATH": str(ROOT / "src"), "PATH": path, **environ}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=project.root,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def step(project: Project, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the action with these inputs; the others have their defaults."""
    found = next(one for one in STEPS if one.get("name") == name)
    values = {key: entry["default"] for key, entry in ACTION["inputs"].items()} | {
        key.replace("_", "-"): value for key, value in inputs.items()
    }

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: values[found[1]], text)

    environ = {key: filled(value) for key, value in found["env"].items()}
    written = {name: str(project.root / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return bash(project, found["run"], GITHUB_ACTIONS="true", **written, **environ)


def test_no_input_becomes_part_of_a_script() -> None:
    """Inputs are variables of a step; every script is read by bash, and every other action has its version."""
    for one in STEPS:
        assert "${{" not in one.get("run", "")
        assert ("run" in one) == (one.get("shell") == "bash")
        assert "run" in one or re.fullmatch(r"actions/[a-z-]+@v\d+", one["uses"])
    assert all(not name.startswith("SELFOPT_") for one in STEPS for name in one.get("env", {}))


@pytest.mark.parametrize(("model", "code"), [("good", 0), ("mute", 100)])
def test_the_action_checks(project: Project, model: str, code: int) -> None:
    """Its exit code, its output, the JUnit file, the summary, and annotations if it fails."""
    project.write("selfopt.check.yaml", f"suite: atomic.yaml\nmodel: scripted/{model}\nvariant: native_api\nmin_accuracy: 0.9\n")
    done = step(project, "Check", max_trials="500")
    assert done.returncode == code, done.stdout + done.stderr
    assert (project.root / "github_output").read_text("utf-8") == f"exit-code={code}\n"
    assert "selfopt check" in (project.root / "github_step_summary").read_text("utf-8")
    assert f"scripted/{model}" in (project.root / "selfopt-check.md").read_text("utf-8")
    root = ET.parse(project.root / "selfopt-junit.xml").getroot()
    assert (root.get("failures") == "0") == (code == 0)
    assert ("::error " in done.stdout) == (code == 100)


@pytest.mark.parametrize("name", ["$(touch owned).yaml", "`touch owned`", '"; touch owned; "', "--record=owned", "'"])
def test_a_hostile_input_is_a_file_that_is_not_there(project: Project, name: str) -> None:
    """One line, exit code 2, and nothing of it was executed."""
    done = step(project, "Check", file=name)
    assert done.returncode == 2
    assert (project.root / "github_output").read_text("utf-8") == "exit-code=2\n"
    assert not (project.root / "owned").exists()
    assert "Traceback" not in done.stderr


def test_the_action_installs_what_it_is_told(project: Project) -> None:
    """As one argument of pip, after the options."""
    assert step(project, "Install", requirement="x; touch owned").returncode == 0
    words = (project.root / "installed.txt").read_text("utf-8").splitlines()
    assert words[:3] == ["-m", "pip", "install"]
    assert words[-2:] == ["--", "x; touch owned"]
    assert not (project.root / "owned").exists()


def test_without_a_requirement_the_action_installs_the_copy_that_it_came_with(project: Project) -> None:
    """No package index has selfopt, so its name alone would be somebody else's package."""
    folder = next(one for one in STEPS if one.get("name") == "Install")
    done = bash(project, folder["run"], CHECK_REQUIREMENT="", GITHUB_ACTION_PATH=str(ROOT / "deploy/github-action"))
    assert done.returncode == 0, done.stderr
    assert Path((project.root / "installed.txt").read_text("utf-8").splitlines()[-1]).resolve() == ROOT
    (project.root / "installed.txt").unlink()
    alone = bash(project, folder["run"], CHECK_REQUIREMENT="", GITHUB_ACTION_PATH=str(project.root))
    assert alone.returncode == 2
    assert "::error::" in alone.stdout
    assert not (project.root / "installed.txt").exists()
    assert "selfopt" not in {str(entry["default"]) for entry in ACTION["inputs"].values()}


def test_the_job_of_gitlab_wants_to_be_told_what_to_install(project: Project) -> None:
    """One line, before anything is installed."""
    done = bash(project, "\n".join(JOB["before_script"]))
    assert done.returncode == 2
    assert "CHECK_REQUIREMENT" in done.stdout
    assert not (project.root / "installed.txt").exists()


def test_the_job_of_gitlab_checks(project: Project) -> None:
    """Its script, with its variables, writes what its artifacts name."""
    project.write("selfopt.check.yaml", "suite: atomic.yaml\nmodel: scripted/mute\nvariant: native_api\nmin_accuracy: 0.9\n")
    done = bash(project, "\n".join(JOB["before_script"] + JOB["script"]), CHECK_REQUIREMENT="x", **JOB["variables"])
    assert done.returncode == 100, done.stdout + done.stderr
    assert "::" not in done.stdout
    for name in (JOB["artifacts"]["reports"]["junit"], *JOB["artifacts"]["paths"]):
        assert (project.root / name).stat().st_size > 100


def test_the_hook_validates_suites_that_changed(project: Project) -> None:
    """It is given the files that its pattern finds, and says no to one that is broken."""
    (hook,) = HOOKS
    assert (hook["id"], hook["language"]) == ("selfopt-suites", "python")
    for name, found in (("suites/a.yaml", True), ("my/suites/b.json", True), ("suites/README.md", False), ("a.yaml", False)):
        assert bool(re.search(hook["files"], name)) == found
    (project.root / "suites").mkdir()
    (project.root / "suites" / "small.yaml").write_text(ATOMIC, "utf-8")
    assert bash(project, f"{hook['entry']} suites/small.yaml").returncode == 0
    (project.root / "suites" / "broken.yaml").write_text(ATOMIC.replace("get_weather, arg", "get_wether, arg"), "utf-8")
    done = bash(project, f"{hook['entry']} suites/small.yaml suites/broken.yaml")
    assert done.returncode == 1
    assert "get_wether" in done.stdout
    assert not project.home.exists()
