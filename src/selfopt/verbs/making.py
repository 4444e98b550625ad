"""Makes suites of the user's own: starters, and imports from other formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfopt.errors import SuiteError, UsageError
from selfopt.home import atomic_write_text
from selfopt.records import Phase, Suite
from selfopt.suites import (
    IMPORTERS,
    Importer,
    ImportRequest,
    StoredSuite,
    check_new_name,
    parse_suite,
    starter_text,
    store_suite,
    store_suites,
    suite_yaml,
)
from selfopt.wiring.app import App

from .tools import Tools, read_tools, tools_label

__all__ = ["ImportRequest", "ImportedSuites", "Importer", "MadeSuite", "import_suites", "importers", "new_suite", "read_tools"]


@dataclass(frozen=True, slots=True)
class MadeSuite:
    """A suite that was written.

    Attributes:
        named: the name or path by which commands find it.
        prompts, tools, tool_sets: how many it has.
        search, heldout: how many prompts these splits have.
        origin: where its content comes from.
    """

    name: str
    path: Path
    named: str
    phase: Phase
    prompts: int
    tools: int
    state: Literal["new", "replaced", "unchanged"] = "new"
    search: int = 0
    heldout: int = 0
    tool_sets: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ImportedSuites:
    """The suites that an import wrote. warnings: what it left out, one line each."""

    made: tuple[MadeSuite, ...]
    warnings: tuple[str, ...]


async def new_suite(
    app: App,
    name: str,
    phase: Phase = "atomic",
    tools: Tools | None = None,
    to: Path | None = None,
    tools_timeout_s: float | None = None,
) -> MadeSuite:
    """Write a starter suite, which is valid as it is. Never replaces anything.

    Args:
        tools: replace the example's tools; see `read_tools`.
        to: a YAML file; None for the home's folder of suites.
        tools_timeout_s: seconds to wait for a server of tools; None for the default.

    Raises:
        SuiteError: the name or the file is taken, or there are no tools.
    """
    offered = await read_tools(app, tools, tools_timeout_s) if tools is not None else None
    origin = tools_label(tools) if isinstance(tools, str) else ""
    if offered is not None and not offered:
        raise SuiteError(f"{origin or 'the list of tools'} holds no tool; a suite needs at least one")
    text = starter_text(name, phase, offered, origin, named=str(to) if to is not None else name)
    if to is None:
        check_new_name(name, app.home.suites)
        made = _made(parse_suite(text, source=f"suite {name}"), app.home.suites / f"{name}.yaml", name)
        app.home.ensure()
        store_suite(app.home.suites, name, text)
        return made
    if to.suffix not in (".yaml", ".yml"):
        raise SuiteError(f"{to}: a starter is YAML with comments; give the path of a .yaml file")
    check_new_name(name, None)
    made = _made(parse_suite(text, source=f"suite {name}"), to, str(to))
    try:
        atomic_write_text(to, text, replace=False, mode=0o644)
    except FileExistsError:
        raise SuiteError(f"{to} is there already and stays as it is; name another file") from None
    return made


def importers() -> Mapping[str, Importer]:
    """Return every importer by the name of its command, those of installed packages included."""
    return IMPORTERS.all()


def import_suites(app: App, kind: str, asked: ImportRequest, *, replace: bool = False) -> ImportedSuites:
    """Import suites into the home, all of them or none.

    Args:
        kind: the importer's name.
        replace: let an importer of several suites replace suites of the same names.

    Raises:
        UsageError: there is no such importer.
        SuiteError: the files or the name cannot be used, or another suite has the name.
        StoreError: the home cannot be written.
    """
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise UsageError(f"no importer {kind!r}; there are {', '.join(IMPORTERS.names())}")
    if not importer.many:
        check_new_name(asked.name, app.home.suites)
    found = importer.read(asked)
    if not found.suites or (len(found.suites) > 1 and not importer.many):
        raise SuiteError(f"importer {kind} made {len(found.suites)} suites of {asked.source}; nothing is written")
    app.home.ensure()
    if importer.many:
        stored = store_suites(app.home.suites, found.suites, replace=replace)
    else:
        stored = [StoredSuite(s, store_suite(app.home.suites, s.name, suite_yaml(s)), "new") for s in found.suites]
    return ImportedSuites(tuple(_made(s.suite, s.path, s.suite.name, s.state) for s in stored), found.warnings)


def _made(suite: Suite, path: Path, named: str, state: Literal["new", "replaced", "unchanged"] = "new") -> MadeSuite:
    splits, sets = Counter(prompt.split for prompt in suite.prompts), suite.tool_sets
    return MadeSuite(
        name=suite.name,
        path=path,
        named=named,
        phase=suite.phase,
        prompts=len(suite.prompts),
        tools=sum(map(len, sets.values())),
        state=state,
        search=splits["search"],
        heldout=splits["heldout"],
        tool_sets=len(sets),
        origin=suite.origin,
    )
