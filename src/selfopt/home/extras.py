"""Names the command that installs an extra into this installation, wherever it came from."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

_NAME = "selfopt"
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")
_PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def install_command(extra: str) -> str:
    """The command that installs what an extra needs, for the Python that runs now.

    It names the packages themselves, because `selfopt[extra]` finds nothing where selfopt was
    installed from a folder, an archive or a repository.

    Raises:
        KeyError: there is no such extra.
    """
    return f"{shlex.quote(sys.executable or 'python3')} -m pip install {' '.join(map(shlex.quote, requirements_of(extra)))}"


def extra_needed(extra: str) -> str:
    """The words `the extra 'ray': ...` with both ways to install one: from a folder of selfopt, and without any.

    No package index has selfopt, so `selfopt[ray]` is never advice.

    Raises:
        KeyError: there is no such extra.
    """
    return f"the extra '{extra}': pip install '.[{extra}]' in selfopt's folder, or {install_command(extra)}"


def requirements_of(extra: str) -> list[str]:
    """The packages of an extra, each with its versions. Raises KeyError where there is no such extra."""
    try:
        wanted = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError:
        wanted = []
    parts = (text.partition(";") for text in wanted)
    found = [package.strip() for package, _, marker in parts if extra in _EXTRA.findall(marker)]
    return found or _of_the_source(extra)


def _of_the_source(extra: str) -> list[str]:
    """The same from the sources, for a selfopt that runs without being installed."""
    try:
        body = tomllib.loads(_PYPROJECT.read_text("utf-8"))
    except OSError:
        body = {}
    return list(body.get("project", {}).get("optional-dependencies", {})[extra])
