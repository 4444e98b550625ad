"""The hook of pre-commit, run by pre-commit itself: it installs this repository and validates what changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.world import ATOMIC

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.services


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_pre_commit_installs_the_hook_and_it_says_no_to_a_broken_suite(tmp_path: Path) -> None:
    """A good suite passes, a broken one fails with its error, and other files start nothing."""
    pytest.importorskip("pre_commit", reason="make test-services installs pre-commit")
    if not (ROOT / ".git").exists():
        pytest.skip("pre-commit clones this repository, and this is only its files")
    project = tmp_path / "project"
    (project / "suites").mkdir(parents=True)
    git(project, "init", "-q")
    (project / "suites" / "small.yaml").write_text(ATOMIC, "utf-8")
    (project / "suites" / "broken.yaml").write_text(ATOMIC.replace("get_weather, arg", "get_wether, arg"), "utf-8")
    (project / "README.md").write_text("Nothing.\n", "utf-8")
    git(project, "add", ".")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SELFOPT_", "PYTHONPATH", "GIT_"))}
    environ |= {"PRE_COMMIT_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path)}

    def tried(name: str) -> subprocess.CompletedProcess[str]:
        words = ["try-repo", str(ROOT), "selfopt-suites", "--ref", git(ROOT, "rev-parse", "HEAD"), "--files", name]
        command = [sys.executable, "-m", "pre_commit", *words]
        return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=900, check=False)

    good = tried("suites/small.yaml")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout
    broken = tried("suites/broken.yaml")
    assert broken.returncode == 1
    assert "get_wether" in broken.stdout
    assert "(no files to check)" in tried("README.md").stdout
