"""A project whose pytest has the plug-in, as an installed selfopt gives it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.cli.world import Project

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Said:
    """What one run of pytest gave."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> str:
        """The last line."""
        return self.out.strip().splitlines()[-1]


def installed(folder: Path) -> Path:
    """A folder with the entry points of pyproject.toml, as an installation writes them."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    info = folder / "selfopt_here-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: selfopt-here\nVersion: 1.0\n", "utf-8")
    lines = "\n".join(f"{name} = {module}" for name, module in points.items())
    (info / "entry_points.txt").write_text(f"[pytest11]\n{lines}\n", "utf-8")
    return folder


def run_pytest(project: Project, *arguments: str, **environ: str) -> Said:
    """Run pytest in the project, in a process of its own."""
    folder = project.root.parent / f"{project.root.name}-installed"
    path = os.pathsep.join((str(ROOT / "src"), str(folder if folder.exists() else installed(folder))))
    env = {k: v for k, v in project.environ().items() if not k.startswith(("PYTEST", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:asyncio", *arguments],
        cwd=project.root,
        env={**env, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
