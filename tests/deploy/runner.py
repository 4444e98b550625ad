"""Runs a composite action of GitHub as a runner does: its steps in order, with inputs, outputs, conditions and a summary."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(slots=True)
class Runner:
    """A runner in a folder.

    Attributes:
        environ: what steps see besides what the runner gives them.
        artifacts: what was uploaded, by name.
    """

    workspace: Path
    environ: dict[str, str]
    artifacts: dict[str, Path] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    said: str = ""

    def run(self, action: Path, inputs: dict[str, str]) -> tuple[bool, dict[str, str]]:
        """Whether the action succeeded, and its outputs. Inputs that are not given have their defaults."""
        told: dict[str, Any] = yaml.safe_load(action.read_text("utf-8"))
        assert set(inputs) <= set(told["inputs"])
        values = {name: str(entry.get("default", "")) for name, entry in told["inputs"].items()} | inputs
        good = True
        for step in told["runs"]["steps"]:
            if self._holds(str(step.get("if", "success()")), values, good):
                good = (self._uses(step, values) if "uses" in step else self._script(step, values)) and good
        return good, {name: self._filled(entry["value"], values) for name, entry in told["outputs"].items()}

    def _value(self, expression: str, values: dict[str, str]) -> str:
        if found := re.fullmatch(r"inputs\.([\w-]+)", expression):
            return values[found[1]]
        if found := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", expression):
            return self.outputs.get(found[1], {}).get(found[2], "")
        raise AssertionError(f"an expression that this runner does not know: {expression}")

    def _filled(self, text: str, values: dict[str, str]) -> str:
        return _EXPRESSION.sub(lambda found: self._value(found[1], values), text)

    def _holds(self, condition: str, values: dict[str, str], good: bool) -> bool:
        parts = [part.strip() for part in condition.split("&&")]
        always = any(part in ("always()", "failure()") for part in parts)
        for part in parts:
            if part in ("always()", "success()"):
                continue
            found = re.fullmatch(r"([\w.-]+) (!=|==) '([^']*)'", part)
            assert found, f"a condition that this runner does not know: {part}"
            if (self._value(found[1], values) == found[3]) != (found[2] == "=="):
                return False
        return good or always

    def _uses(self, step: dict[str, Any], values: dict[str, str]) -> bool:
        """Setting up Python is the venv on the path; an artifact is copied."""
        given = {name: self._filled(str(value), values) for name, value in step.get("with", {}).items()}
        name = step["uses"].partition("@")[0]
        if name == "actions/upload-artifact":
            path = self.workspace / given["path"]
            if path.exists():
                self.artifacts[given["name"]] = Path(shutil.copy(path, self.workspace.parent))
            return path.exists() or given["if-no-files-found"] == "ignore"
        return bool(name == "actions/setup-python")

    def _script(self, step: dict[str, Any], values: dict[str, str]) -> bool:
        told = {name: self.workspace.parent / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        told["GITHUB_OUTPUT"].write_text("", "utf-8")
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an expression would become part of the script"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={
                **self.environ,
                **{name: str(path) for name, path in told.items()},
                **{name: self._filled(value, values) for name, value in step.get("env", {}).items()},
                "GITHUB_ACTIONS": "true",
                "CI": "true",
            },
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        self.said += done.stdout + done.stderr
        lines = told["GITHUB_OUTPUT"].read_text("utf-8").splitlines()
        self.outputs[step.get("id", step.get("name", ""))] = dict(line.split("=", 1) for line in lines)
        return done.returncode == 0

    @property
    def summary(self) -> str:
        """What the step's summary shows."""
        path = self.workspace.parent / "github_step_summary"
        return path.read_text("utf-8") if path.exists() else ""


def fresh_python(folder: Path, *needs: str) -> Path:
    """A virtual environment of its own with these packages, from the index. Returns the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    if needs:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs]
        subprocess.run(pip, check=True, capture_output=True)
    return folder / "bin"


def bare_environ(programs: Path, home: Path) -> dict[str, str]:
    """Variables of somebody who has installed nothing else: no settings, no home, that Python first on the path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SELFOPT_", "PYTHON", "XDG_", "GITHUB_", "PYTEST"))
    }
    config, data = str(home / "config"), str(home / "data")
    return {
        **kept,
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": config,
        "XDG_DATA_HOME": data,
    }
