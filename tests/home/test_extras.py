"""The advice on how to install an extra works wherever selfopt came from."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from selfopt.home.extras import extra_needed, install_command, requirements_of

PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_names_this_python_and_every_package_of_the_extra(extra: str) -> None:
    """And never selfopt, which no registry may have under this name."""
    words = shlex.split(install_command(extra))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert words[4:] == requirements_of(extra)
    assert not any("selfopt" in word for word in words[4:])


@pytest.mark.parametrize("extra", EXTRAS)
def test_both_ways_to_install_an_extra_work_without_an_index(extra: str) -> None:
    """From a folder of selfopt, or the packages by their own names; never the name of selfopt."""
    said = extra_needed(extra)
    assert f"pip install '.[{extra}]'" in said
    assert said.endswith(install_command(extra))
    assert "selfopt[" not in said


def test_no_message_installs_selfopt_from_an_index() -> None:
    """Wherever it stands in the code or in a page."""
    root = Path(__file__).resolve().parents[2]
    files = [
        f
        for folder in ("src", "docs", "deploy", "perf")
        for f in (root / folder).rglob("*")
        if f.suffix in (".py", ".md", ".yml", ".yaml")
    ]
    assert [str(f) for f in files if re.search(r"pip install (-U |--upgrade )?['\"\\]*selfopt", f.read_text("utf-8"))] == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_without_an_installation_the_sources_tell(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a selfopt that runs from its folder."""

    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert requirements_of(extra) == EXTRAS[extra]


def test_of_an_installation_only_the_extras_own_packages_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the others, and those that everybody has, are there already or not asked for."""
    told = ["always<2", 'one==1; extra == "mine"', "two>=2 ; python_version > '3' and extra == 'mine'", "no==1; extra == 'other'"]
    monkeypatch.setattr(metadata, "requires", lambda name: told)
    assert requirements_of("mine") == ["one==1", "two>=2"]


def test_an_extra_that_is_not_there_is_an_error() -> None:
    """A misspelt name must not become advice."""
    with pytest.raises(KeyError):
        requirements_of("motor")
