"""Reads the tests of a configuration: lists, files, folders, patterns, rows of CSV, and scenarios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

from .left_out import LeftOut, NotImportedError
from .promptfoo_files import DATA, ROWS, TEXT, Folder
from .promptfoo_rows import case_of_row

MAX_TESTS = 20_000
_CODE = ("transform", "postprocess", "transformVars", "contextTransform")
_MAX_DEPTH = 4
_VARS = (*DATA, *TEXT)


@dataclass(frozen=True, slots=True)
class Case:
    """A test as its file has it. near: the folder of that file."""

    body: dict[str, Any]
    near: Path

    def mapping(self, key: str, where: str) -> dict[str, Any]:
        """A part that is a mapping; empty if it is not there."""
        return mapping(self.body.get(key), f"{where}: {key}")


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A value that has to be a mapping; empty for none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SuiteError(f"{where}: is {printable(repr(value))}; write a mapping")
    return value


def read_tests(config: dict[str, Any], folder: Folder, source: str, left_out: LeftOut) -> list[Case]:
    """All tests of a configuration, then those of its scenarios.

    Raises SuiteError if there are none.
    """
    found = list(_tests(config.get("tests"), folder, f"{source}: tests", left_out, folder.root))
    for index, scenario in enumerate(_items(config.get("scenarios"), folder, f"{source}: scenarios", left_out, folder.root)):
        found += _of_scenario(scenario, folder, f"{source}: scenarios[{index}]", left_out)
        if len(found) > MAX_TESTS:
            raise SuiteError(f"{source}: more than {MAX_TESTS} tests; import it in parts")
    if not found:
        raise SuiteError(f"{left_out.first() or f'{source}: tests is empty'}; write a list of tests")
    return found


def _of_scenario(scenario: Case, folder: Folder, where: str, left_out: LeftOut) -> Iterator[Case]:
    """Each test with each set of data. A test's own keys come before those of the data."""
    sets = list(_tests(scenario.body.get("config"), folder, f"{where}: config", left_out, scenario.near)) or [
        Case({}, scenario.near)
    ]
    tests = list(_tests(scenario.body.get("tests"), folder, f"{where}: tests", left_out, scenario.near)) or [
        Case({}, scenario.near)
    ]
    if len(sets) * len(tests) > MAX_TESTS:
        raise SuiteError(f"{where}: more than {MAX_TESTS} tests; import it in parts")
    for data, test in product(sets, tests):
        merged = {key: {**data.mapping(key, where), **test.mapping(key, where)} for key in ("vars", "options", "metadata")}
        yield Case({**data.body, **test.body, **merged}, test.near)


def _tests(given: Any, folder: Folder, where: str, left_out: LeftOut, near: Path) -> Iterator[Case]:
    for number, test in enumerate(_items(given, folder, where, left_out, near), 1):
        if number > MAX_TESTS:
            raise SuiteError(f"{where}: more than {MAX_TESTS} tests; import it in parts")
        yield test


def _items(given: Any, folder: Folder, where: str, left_out: LeftOut, near: Path, depth: int = 0) -> Iterator[Case]:
    """The mappings of a list, whose entries may name files with more of them. Code is left out."""
    if depth > _MAX_DEPTH:
        raise SuiteError(f"{where}: files name files deeper than {_MAX_DEPTH} levels; write them out")
    for index, item in enumerate(given if isinstance(given, list) else [] if given is None else [given]):
        name = _name_of_file(item)
        if name is None:
            if not isinstance(item, dict):
                raise SuiteError(f"{where}[{index}]: is {printable(repr(item))}; write a mapping, or the name of a file")
            yield Case(item, near)
            continue
        try:
            paths = folder.find(name, where, (*DATA, *ROWS), near)
        except NotImportedError as error:
            left_out.other(error)
            continue
        for path in paths:
            shown = f"{where}: {printable(name)}"
            found = folder.data(path, shown)
            if path.suffix in (".csv", ".tsv"):
                yield from (Case(case_of_row(row, f"{shown}: row {n}"), path.parent) for n, row in enumerate(found, 1))
            else:
                yield from _items(found, folder, shown, left_out, path.parent, depth + 1)


def _name_of_file(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and len(item) <= 2:
        return next((item[key] for key in ("path", "$values", "$expand") if isinstance(item.get(key), str)), None)
    return None


def refuse_code(body: Mapping[str, Any], where: str) -> None:
    """Raise NotImportedError if code changes what the test asks or what is judged."""
    for key in _CODE:
        if body.get(key):
            raise NotImportedError(where, f"{key} is code, which is not executed")


def values_of(given: Any, folder: Folder, near: Path, where: str) -> dict[str, Any]:
    """The vars, with those that are in files.

    Raises NotImportedError for code and media.
    """
    found: dict[str, Any] = {}
    if isinstance(given, str | list):
        for name in given if isinstance(given, list) else [given]:
            for path in folder.find(str(name), f"{where}: vars", DATA, near):
                found |= mapping(folder.data(path, f"{where}: vars"), f"{where}: vars: {printable(str(name))}")
    else:
        found = mapping(given, f"{where}: vars")
    return {name: _value(value, folder, near, f"{where}: the var {printable(name)}") for name, value in found.items()}


def _value(value: Any, folder: Folder, near: Path, where: str) -> Any:
    if isinstance(value, list) and value and all(isinstance(one, str) and one.startswith("file://") for one in value):
        return [_value(one, folder, near, where) for one in value]
    if not isinstance(value, str) or not value.startswith("file://"):
        return value
    if Path(value).suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".mp3", ".wav", ".pdf"):
        raise NotImportedError(where, "pictures, sound and PDF cannot be imported, only text can")
    paths = folder.find(value, where, _VARS, near)
    where = f"{where}: {printable(value)}"
    read = [folder.data(path, where) if path.suffix in DATA else folder.text(path, where) for path in paths]
    return read[0] if len(read) == 1 else read


def combinations(values: dict[str, Any], options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Combine the vars: promptfoo asks once for each text of a var that is a list of texts."""
    lists = {
        name: value
        for name, value in values.items()
        if isinstance(value, list) and value and isinstance(value[0], str) and not options.get("disableVarExpansion")
    }
    for chosen in product(*lists.values()):
        yield {**values, **dict(zip(lists, chosen, strict=True))}
