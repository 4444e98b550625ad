"""docs/EXTENDING.md is true: its package is installed, and every contract suite passes on what it adds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "EXTENDING.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))
PROJECT: dict[str, Any] = tomllib.loads(FILES["pyproject.toml"])["project"]
ADDED = [(group, name) for group, entries in PROJECT["entry-points"].items() for name in entries]


def installed(folder: Path) -> dict[str, str]:
    """The package of the page, as pip would leave it; the variables with which it is found."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    info = folder / f"selfopt_acme-{PROJECT['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n", "utf-8")
    entries = [
        "\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in found.items())])
        for group, found in PROJECT["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(entries) + "\n", "utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SELFOPT_", "PYTEST_"))}
    return kept | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "SELFOPT_HOME": str(folder / "home")}


def test_what_the_page_adds_passes_the_contracts(tmp_path: Path) -> None:
    """Installed by entry points; every contract of a kind runs on what is added to it."""
    environ = installed(tmp_path)
    results = tmp_path / "results.xml"
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/contracts", f"--junitxml={results}"]
    done = subprocess.run(
        [*words, "-k", " or ".join(name for _, name in ADDED)], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    ran = Counter(
        name
        for case in ElementTree.parse(results).iter("testcase")
        for name in re.findall(r"\w+", case.get("name", "").partition("[")[2])
    )
    assert [name for _, name in ADDED if not ran[name]] == []


def test_doctor_names_what_the_page_adds(tmp_path: Path) -> None:
    """Each with the package and its version."""
    environ = installed(tmp_path)
    command = [sys.executable, "-m", "selfopt", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    for group, name in ADDED:
        assert f"ok    {group} {name}: of {PROJECT['name']} {PROJECT['version']}" in done.stdout, done.stdout


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith(".py")])
def test_the_code_of_the_page_is_formatted(file: str, tmp_path: Path) -> None:
    """As the code of this repository is."""
    path = tmp_path / Path(file).name
    path.write_text(FILES[file], "utf-8")
    config = f"--config={ROOT / 'pyproject.toml'}"
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "format", "--check", config, str(path)], check=True)
    subprocess.run([*ruff, "check", config, "--ignore", "I", str(path)], check=True)


def test_the_page_shows_every_kind() -> None:
    """One example for each group of entry points that it names."""
    assert {group for group, _ in ADDED} == set(re.findall(r"`(selfopt\.\w+)` \| `test_", TEXT))
