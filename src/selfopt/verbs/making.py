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

from .tools import Tools, read_tools, tools_label

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


async def new_suite(
    app: App,
    name: str,
    phase: Phase = "atomic",
    tools: Tools | None = None,
    to: Path | None = None,
    tools_timeout_s: float | None = None,
) -> MadeSuite:
    """Write a starter that validates as it is, into the home's folder or into the file `to`. Nothing is ever replaced.

    tools: offered instead of the example's, see `read_tools`. SuiteError when the name or the file is taken.
    """
    offered = await _offered(app, tools, tools_timeout_s)
    origin = tools_label(tools) if isinstance(tools, str) else ""
    if offered is not None and not offered:
        raise SuiteError(f"{origin or 'the list of tools'} holds no tool; a suite needs at least one")
    text = starter_text(name, phase, offered, origin, named=str(to) if to is not None else name)
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


async def import_jsonl(
    app: App,
    path: Path,
    name: str,
    phase: Phase | None = None,
    tools: Tools | None = None,
    tools_timeout_s: float | None = None,
) -> MadeSuite:
    """A suite of the home from JSON lines. SuiteError names the line; nothing is written then."""
    offered = await _offered(app, tools, tools_timeout_s)
    check_new_name(name, app.home.suites)
    try:
        text = read_input(path, MAX_JSONL_BYTES)
    except InputFileError as error:
        raise SuiteError(f"{path}: {error}") from None
    return _imported(app, read_jsonl(text, str(path), offered), name, path.name, phase)


async def import_promptfoo(
    app: App,
    path: Path,
    name: str | None = None,
    phase: Phase | None = None,
    tools: Tools | None = None,
    provider: str | None = None,
    tools_timeout_s: float | None = None,
) -> MadeSuite:
    """A suite of the home from promptfoo's configuration. SuiteError names what cannot be imported; nothing is written then."""
    offered, name = await _offered(app, tools, tools_timeout_s), name or path.stem
    check_new_name(name, app.home.suites)
    return _imported(app, read_promptfoo(path, offered, provider), name, path.name, phase)


async def _offered(app: App, tools: Tools | None, timeout_s: float | None) -> tuple[ToolDefinition, ...] | None:
    return await read_tools(app, tools, timeout_s) if tools is not None else None


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
