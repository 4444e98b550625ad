"""`doctor` names what installed packages add, and why some of it is left out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from selfopt.verbs.doctor import MAX_DETAIL, REGISTRIES

ROOT = Path(__file__).resolve().parents[2]


def checks_with(tmp_path: Path, entry_points: str, version: str = "1.2") -> list[dict[str, Any]]:
    """What doctor says of extensions with a package on the path that offers these."""
    (tmp_path / "offered.py").write_text(
        "from selfopt.suites.importers.jsonl import JsonLines\n"
        "good = JsonLines()\nwrong = object()\n"
        "def __getattr__(name):\n    raise RuntimeError('a\\x1b[31m \\n b' + 'x' * 100_000)\n",
        "utf-8",
    )
    info = tmp_path / "offering-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: offering\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(entry_points, "utf-8")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SELFOPT_")}
    environ |= {"PYTHONPATH": str(tmp_path), "SELFOPT_HOME": str(tmp_path / "home"), "SELFOPT_CONFIG": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "selfopt", "doctor", "--json"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return [check for check in json.loads(done.stdout) if check["name"].startswith("selfopt.")]


def test_extensions_are_named_with_their_package_or_the_reason(tmp_path: Path) -> None:
    """Loaded, of another type, under a taken name, missing; errors of others are cut and escaped."""
    offered = "good = offered:good\nwrong = offered:wrong\njsonl = offered:good\nraises = offered:absent\ngone = nowhere:x\n"
    found = {c["name"]: (c["status"], c["detail"]) for c in checks_with(tmp_path, f"[selfopt.importers]\n{offered}")}
    assert found["selfopt.importers good"] == ("ok", "of offering 1.2")
    assert found["selfopt.importers wrong"] == ("FAIL", "of offering 1.2 is left out: it does not satisfy Importer")
    assert found["selfopt.importers jsonl"] == ("FAIL", "of offering 1.2 is left out: it takes a name that is taken")
    assert found["selfopt.importers gone"][0] == "FAIL"
    status, detail = found["selfopt.importers raises"]
    assert (status, detail.isprintable()) == ("FAIL", True)
    assert detail.startswith("of offering 1.2 is left out: it cannot be loaded: RuntimeError: a")
    assert len(detail) < 2 * MAX_DETAIL


def test_nothing_is_said_where_there_are_none(tmp_path: Path) -> None:
    """A package that offers something else is none."""
    assert checks_with(tmp_path, "[console_scripts]\nx = offered:good\n") == []


def test_doctor_knows_every_registry() -> None:
    """Whatever packages may add to is looked at."""
    files = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py") if path.name != "extensions.py"]
    declared = {group for text in files for group in re.findall(r"Registry\(\s*\"(selfopt\.\w+)\"", text)}
    assert {registry.group for registry in REGISTRIES} == declared
