"""Reads the tools that the providers of a configuration offer, in the forms of all dialects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.records import ToolDefinition, canonical_json
from selfopt.suites.check import printable

from .left_out import LeftOut, NotImportedError
from .promptfoo_files import DATA, Folder
from .tools import MAX_TOOLS, tools_from

_MAX_DEPTH = 4


def read_offered(
    config: dict[str, Any], folder: Folder, wanted: str | None, source: str, left_out: LeftOut
) -> tuple[ToolDefinition, ...]:
    """The tools of the named provider, or those that all providers have in common.

    Tools are compared as they are read, so that the same tool in two dialects is one.

    Raises:
        SuiteError: no provider offers tools, or they offer different ones.
    """
    listed = config.get("providers", config.get("targets"))
    providers = list(_providers(listed, folder, source, left_out))
    asked = [one for one in providers if wanted is None or wanted in one[:2]]
    if wanted is not None and not asked:
        known = ", ".join(printable(label or name) for name, label, _ in providers) or "none"
        raise SuiteError(f"{source}: no provider {printable(wanted)!r}; there are {known}")
    found: dict[str, tuple[ToolDefinition, ...]] = {}
    for name, _, settings in asked:
        given = settings.get("tools", settings.get("functions"))
        if given is None:
            continue
        where = f"{source}: tools of {printable(name)}"
        tools = tools_from(list(_functions(given, folder, where, left_out)), where)
        if tools:
            found.setdefault(canonical_json(sorted(canonical_json(tool.model_dump(mode="json")) for tool in tools)), tools)
    if not found:
        raise SuiteError(f"{source}: its providers offer no tools; give them with --tools")
    if len(found) > 1:
        raise SuiteError(f"{source}: its providers offer different tools; choose one with --provider, or give --tools")
    return next(iter(found.values()))


def _functions(given: Any, folder: Folder, where: str, left_out: LeftOut, depth: int = 0) -> Iterator[Any]:
    """Each tool of a list, a file, a JSON text or a single one. Tools that a server runs itself are left out."""
    if depth > _MAX_DEPTH:
        raise SuiteError(f"{where}: nested deeper than {_MAX_DEPTH} levels; write a list of tools")
    if isinstance(given, str):
        yield from _functions(_loaded(given, folder, where), folder, where, left_out, depth + 1)
    elif isinstance(given, list):
        if len(given) > MAX_TOOLS:
            raise SuiteError(f"{where}: {len(given)} tools, allowed are {MAX_TOOLS}; give fewer")
        for item in given:
            yield from (
                _functions(item, folder, where, left_out, depth + 1)
                if isinstance(item, str | list)
                else _one(item, where, left_out)
            )
    elif isinstance(given, dict) and isinstance(given.get("tools"), list | str):
        yield from _functions(given["tools"], folder, where, left_out, depth + 1)
    else:
        yield from _one(given, where, left_out)


def _one(item: Any, where: str, left_out: LeftOut) -> Iterator[Any]:
    kind = item.get("type", "function") if isinstance(item, dict) else "function"
    if isinstance(kind, str) and kind not in ("function", "custom") and "input_schema" not in item and "function" not in item:
        left_out.other(NotImportedError(where, f"a tool of type {printable(kind)!r}, which its server runs itself"))
    else:
        yield item


def _loaded(text: str, folder: Folder, where: str) -> Any:
    if text.lstrip().startswith(("[", "{")) and not text.lstrip().startswith("{{"):
        try:
            return read_plain_json(text)
        except PlainJsonError as error:
            raise SuiteError(f"{where}: {printable(str(error))}") from None
    found = [folder.data(path, f"{where}: {printable(text)}") for path in folder.find(text, where, DATA)]
    return found[0] if len(found) == 1 else found


def _providers(
    listed: Any, folder: Folder, source: str, left_out: LeftOut, near: Path | None = None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (id, label, settings) of each provider, in all forms that promptfoo accepts."""
    for item in listed if isinstance(listed, list) else [listed]:
        if isinstance(item, str):
            name = item.removeprefix("file://")
            if near is None and item.startswith("file://") and name.endswith(DATA):
                where = f"{source}: providers"
                for path in folder.find(item, where, DATA):
                    yield from _providers(folder.data(path, f"{where}: {printable(item)}"), folder, source, left_out, path.parent)
            else:
                yield item, "", {}
        elif isinstance(item, dict):
            given: Any = item.get("id")
            body: Any = item
            if given is None and len(item) == 1:
                given, body = next(iter(item.items()))
            label, config = (body.get("label"), body.get("config")) if isinstance(body, dict) else (None, None)
            yield str(given), label if isinstance(label, str) else "", config if isinstance(config, dict) else {}
