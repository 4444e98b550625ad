"""Making suites of one's own: a starter, imports of other formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, atomic_write_text, read_input
from selfopt.records import Phase, ToolDefinition
from selfopt.suites import (
    SuiteParts,
    assemble,
    check_new_name,
    parse_suite,
    read_jsonl,
    read_promptfoo,
    starter_text,
    store_suite,
    yaml_of,
)
from selfopt.wiring.app import App

__all__ = ["MadeSuite", "import_jsonl", "import_promptfoo", "new_suite"]

MAX_JSONL_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class MadeSuite:
    """A suite that was written: its name, its file, how commands call it, and what is in it."""

    name: str
    path: Path
    named: str
    phase: Phase
    prompts: int
    tools: int


def new_suite(
    app: App,
    name: str,
    phase: Phase = "atomic",
    tools: tuple[ToolDefinition, ...] | None = None,
    origin: str = "",
    to: Path | None = None,
) -> MadeSuite:
    """Write a starter that validates as it is, into the home's folder or into the file `to`. Nothing is ever replaced.

    tools: offered instead of the example's; origin: where they come from. SuiteError when the name or the file is taken.
    """
    if tools is not None and not tools:
        raise SuiteError(f"{origin or 'the list of tools'} holds no tool; a suite needs at least one")
    text = starter_text(name, phase, tools, origin, named=str(to) if to is not None else name)
    if to is None:
        return _stored(app, name, text)
    if to.suffix not in (".yaml", ".yml"):
        raise SuiteError(f"{to}: a starter is YAML with comments; give the path of a .yaml file")
    check_new_name(name, app.home.suites)
    made = _made(name, text, to, str(to))
    try:
        atomic_write_text(to, text, replace=False, mode=0o644)
    except FileExistsError:
        raise SuiteError(f"{to} is there already and stays as it is; name another file") from None
    return made


def import_jsonl(
    app: App, path: Path, name: str, phase: Phase | None = None, tools: tuple[ToolDefinition, ...] | None = None
) -> MadeSuite:
    """A suite of the home from JSON lines. SuiteError names the line; nothing is written then."""
    check_new_name(name, app.home.suites)
    try:
        text = read_input(path, MAX_JSONL_BYTES)
    except InputFileError as error:
        raise SuiteError(f"{path}: {error}") from None
    return _imported(app, read_jsonl(text, str(path), tools), name, path.name, phase)


def import_promptfoo(
    app: App,
    path: Path,
    name: str,
    phase: Phase | None = None,
    tools: tuple[ToolDefinition, ...] | None = None,
    provider: str | None = None,
) -> MadeSuite:
    """A suite of the home from promptfoo's configuration. SuiteError names what cannot be imported; nothing is written then."""
    check_new_name(name, app.home.suites)
    return _imported(app, read_promptfoo(path, tools, provider), name, path.name, phase)


def _imported(app: App, parts: SuiteParts, name: str, origin: str, phase: Phase | None) -> MadeSuite:
    text = yaml_of(assemble(parts, name=name, origin=origin, phase=phase))
    return _stored(app, name, text)


def _stored(app: App, name: str, text: str) -> MadeSuite:
    check_new_name(name, app.home.suites)
    made = _made(name, text, app.home.suites / f"{name}.yaml", name)
    app.home.ensure()
    store_suite(app.home.suites, name, text)
    return made


def _made(name: str, text: str, path: Path, named: str) -> MadeSuite:
    suite = parse_suite(text, source=f"suite {name}")
    return MadeSuite(
        suite.name, path, named, suite.phase, len(suite.prompts), sum(len(tools) for tools in suite.tool_sets.values())
    )
