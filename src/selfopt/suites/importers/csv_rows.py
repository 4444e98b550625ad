"""Imports comma-separated values with one prompt a row: prompt, tools, expected."""

from __future__ import annotations

import csv
import io
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

from .assemble import SuiteParts, suite_of
from .jsonl import MAX_BYTES, expected_data
from .seam import Imported, ImportOption, ImportRequest
from .tools import tools_from

MAX_ROWS = 20_000
_SIGNS = ",;\t"
_PLAIN = ("id", "kind", "split", "reason")
_READ = ("prompt", "system", "tools", "expected", *_PLAIN)


class CsvRows:
    """The importer of comma-separated values."""

    about = (
        "CSV with a line of names and one prompt a row: prompt, tools and expected, the last two as JSON.\n\n"
        "Also system, id, kind, split and reason. Commas, semicolons or tabs may separate. An empty expected means that nothing "
        "may be called. --tools gives the tools of rows that have none."
    )
    takes = "A file of comma-separated values in UTF-8."
    many = False
    options: tuple[ImportOption, ...] = ()

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a file."""
        source = printable(str(asked.source))
        try:
            text = read_input(asked.source, MAX_BYTES)
        except InputFileError as error:
            raise SuiteError(f"{source}: {error}") from None
        parts, left_out = read_csv(text, source, asked.tools)
        told = (f"columns that say nothing about a prompt are left out: {', '.join(left_out)}",) if left_out else ()
        return Imported((suite_of(parts, asked),), told)


IMPORTER = CsvRows()


def read_csv(text: str, source: str, tools: tuple[ToolDefinition, ...] | None = None) -> tuple[SuiteParts, list[str]]:
    """Read the prompts of a file, and the names of columns that are left out.

    Args:
        tools: the tools of rows that have none.

    Raises:
        SuiteError: a row can't be used. The message names the row and the fix.
    """
    head = text[: text.find("\n") + 1] or text
    sign = max(_SIGNS, key=head[:10_000].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
    parts = SuiteParts()
    names: list[str] = []
    try:
        for cells in reader:
            if not names:
                names = _names(cells, source)
            elif any(cells):
                where = f"{source}: row {reader.line_num}"
                if len(parts.prompts) >= MAX_ROWS:
                    raise SuiteError(f"{source}: more than {MAX_ROWS} prompts; import it in parts")
                if len(cells) != len(names):
                    raise SuiteError(f"{where}: has {len(cells)} cells, the line of names has {len(names)}; correct it")
                parts.add(*_prompt(dict(zip(names, cells, strict=True)), where, tools))
    except csv.Error as error:
        raise SuiteError(f"{source}: row {reader.line_num}: {printable(str(error))}; correct it") from None
    if not parts.prompts:
        raise SuiteError(f"{source}: has no rows; write a line of names with prompt, tools and expected, then one prompt a row")
    return parts, [printable(name[:60]) for name in names if name not in _READ][:10]


def _names(cells: list[str], source: str) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    missing = [name for name in ("prompt", "expected") if name not in names]
    if missing or len(set(names)) < len(names):
        raise SuiteError(
            f"{source}: its first line is {printable(repr(cells))[:300]}; write each name once, with prompt, tools and expected"
        )
    return names


def _prompt(
    row: dict[str, str], where: str, tools: tuple[ToolDefinition, ...] | None
) -> tuple[dict[str, Any], tuple[ToolDefinition, ...]]:
    if not row["prompt"].strip():
        raise SuiteError(f"{where}: has no prompt; write what the user says")
    given = row.get("tools", "").strip()
    own = tools_from(data_of(given, f"{where}: tools", as_json=True), where) if given else tools
    if own is None:
        raise SuiteError(f"{where}: offers no tools; give the row tools as JSON, or all rows with --tools")
    wanted = row["expected"].strip()
    value: Any = None
    if wanted:
        value = "any" if wanted.lower() == "any" else data_of(wanted, f"{where}: expected", as_json=True)
    system = [{"role": "system", "content": row["system"]}] if row.get("system", "").strip() else []
    prompt: dict[str, Any] = {name: row[name].strip() for name in _PLAIN if row.get(name, "").strip()}
    messages = [*system, {"role": "user", "content": row["prompt"]}]
    return {**prompt, "messages": messages, "expected": expected_data(value, f"{where}: expected")}, own
