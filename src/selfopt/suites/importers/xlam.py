"""Imports the form of xLAM's function calling data: query, tools and answers, the last two as JSON texts."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.load import data_of
from selfopt.suites.values import value_problem

from .assemble import SuiteParts, suite_of
from .chat import call_data
from .seam import Imported, ImportOption, ImportRequest
from .tools import tools_from

MAX_BYTES = 256_000_000
MAX_PROMPTS = 20_000
_TYPES = {
    **dict.fromkeys(("str", "string"), "string"),
    **dict.fromkeys(("int", "integer"), "integer"),
    **dict.fromkeys(("float", "number"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "array", "set", "tuple"), "array"),
    **dict.fromkeys(("dict", "object"), "object"),
}
_NAME = re.compile(r"\s*([A-Za-z]+)\s*(?:\[(.*)\])?\s*", re.DOTALL)


class Xlam:
    """The importer of xLAM's data."""

    about = (
        "Data in the form of Salesforce/xlam-function-calling-60k: {id, query, tools, answers}, tools and answers as JSON texts.\n\n"
        "Types in Python's words become JSON Schema. A type that an answer of the same prompt does not fit is left out."
    )
    takes = "A JSON list of such objects, or one object a line."
    many = False
    options = (
        ImportOption("--first", "first", f"How many prompts from the beginning. Default: all, if at most {MAX_PROMPTS}.", "N"),
    )

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a file."""
        source = printable(str(asked.source))
        try:
            text = read_input(asked.source, MAX_BYTES)
        except InputFileError as error:
            raise SuiteError(f"{source}: {error}") from None
        first = _first(asked.options.get("first", ()))
        parts, loose = read_xlam(text, source, first, asked.tools)
        told = f"{loose} arguments of answers do not fit the types of their tools; these types are left out"
        return Imported((suite_of(parts, asked),), (told,) if loose else ())


IMPORTER = Xlam()


def read_xlam(
    text: str, source: str, first: int | None = None, tools: tuple[ToolDefinition, ...] | None = None
) -> tuple[SuiteParts, int]:
    """Read the prompts of a file, and how many arguments do not fit their types.

    Args:
        first: how many prompts to read from the beginning; None for all.
        tools: offered instead of those in the file.

    Raises:
        SuiteError: a prompt can't be used. The message names it and the fix.
    """
    parts, loose = SuiteParts(), Counter[str]()
    for number, item in enumerate(_items(text, source, first), 1):
        where = f"{source}: prompt {number}"
        if len(parts.prompts) >= MAX_PROMPTS:
            raise SuiteError(f"{source}: more than {MAX_PROMPTS} prompts; import its beginning with --first {MAX_PROMPTS}")
        parts.add(*_prompt(item, where, tools, loose))
    if not parts.prompts:
        raise SuiteError(f"{source}: has no prompts; write objects with query, tools and answers")
    return parts, loose.total()


def _first(given: tuple[str, ...]) -> int | None:
    if not given:
        return None
    if not (given[0].isascii() and given[0].isdecimal() and 1 <= int(given[0][:9]) <= MAX_PROMPTS):
        raise SuiteError(f"--first {printable(given[0])[:60]}: write a number from 1 to {MAX_PROMPTS}")
    return int(given[0])


def _items(text: str, source: str, first: int | None) -> list[Any]:
    if text.lstrip().startswith("["):
        found = data_of(text, source, as_json=True)
        if not isinstance(found, list):
            raise SuiteError(f"{source}: is no list; write a list of objects with query, tools and answers")
        return found[:first]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [data_of(line, f"{source}: line {number}", as_json=True) for number, line in lines[: first or MAX_PROMPTS + 1]]


def _prompt(
    item: Any, where: str, offered: tuple[ToolDefinition, ...] | None, loose: Counter[str]
) -> tuple[dict[str, Any], tuple[ToolDefinition, ...]]:
    if not isinstance(item, dict) or not isinstance(item.get("query"), str) or not item["query"].strip():
        raise SuiteError(f"{where}: is no object with a query; write {{id, query, tools, answers}}")
    answers = _parsed(item.get("answers"), f"{where}: answers")
    if not isinstance(answers, list):
        raise SuiteError(f"{where}: answers is no list; write a list of {{name, arguments}}, or its JSON text")
    calls = [call_data(answer, f"{where}: answers[{n}]") for n, answer in enumerate(answers)]
    tools = offered
    defaults: dict[tuple[str, str], Any] = {}
    if tools is None:
        given = _parsed(item.get("tools"), f"{where}: tools")
        if not isinstance(given, list) or not all(isinstance(tool, dict) for tool in given):
            raise SuiteError(f"{where}: tools is no list of objects; write {{name, description, parameters}}, or its JSON text")
        tools = tools_from([_tool(tool, calls, defaults, loose) for tool in given], where)
    expected = [
        {"name": call["name"], "arguments": {n: _accepted(call["name"], n, v, defaults) for n, v in call["arguments"].items()}}
        for call in calls
    ]
    name = {"id": str(item["id"])} if isinstance(item.get("id"), int | str) else {}
    return {**name, "messages": [{"role": "user", "content": item["query"]}], "expected": [expected]}, tools


def _parsed(value: Any, where: str) -> Any:
    return data_of(value, where, as_json=True) if isinstance(value, str) else value


def _accepted(tool: str, name: str, value: Any, defaults: dict[tuple[str, str], Any]) -> list[Any]:
    """What is accepted for an argument: what equals its default may also be left out."""
    return [value, ""] if (tool, name) in defaults and defaults[tool, name] == value and value != "" else [value]


def _tool(
    tool: dict[str, Any], calls: list[dict[str, Any]], defaults: dict[tuple[str, str], Any], loose: Counter[str]
) -> dict[str, Any]:
    given = tool.get("parameters")
    if not isinstance(given, dict) or isinstance(given.get("properties"), dict):
        return tool  # it is JSON Schema already
    name = tool.get("name")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for argument, about in given.items():
        schema, optional = _schema(about)
        values = [call["arguments"][argument] for call in calls if call["name"] == name and argument in call["arguments"]]
        used = [call for call in calls if call["name"] == name]
        if any(value_problem(value, schema) is not None for value in values if value != ""):
            loose[argument] += 1
            schema = {key: value for key, value in schema.items() if key == "description"}
        if isinstance(about, dict) and "default" in about:
            defaults[str(name), argument] = about["default"]
        elif not optional and len(values) == len(used):
            required.append(argument)
        properties[argument] = schema
    return {**tool, "parameters": {"type": "object", "properties": properties, "required": required}}


def _schema(about: Any) -> tuple[dict[str, Any], bool]:
    """A parameter as JSON Schema, and whether its type says that it is optional."""
    if not isinstance(about, dict):
        return {}, False
    told = about.get("type")
    sort, _, rest = told.partition(",") if isinstance(told, str) and not told.lower().startswith("optional[") else ("", "", "")
    if isinstance(told, str) and not sort:
        sort, rest = told[len("optional[") :].rstrip("] "), "optional"
    if isinstance(told, str) and "[" in told and not rest.strip().startswith("optional"):
        sort, rest = told, "optional" if told.rstrip().endswith("optional") else ""
    description = {"description": about["description"]} if isinstance(about.get("description"), str) else {}
    return {**_typed(sort), **description}, "optional" in rest


def _typed(sort: str) -> dict[str, Any]:
    """A type in Python's words as JSON Schema; nothing where there is no such word."""
    found = _NAME.match(sort)
    kind = _TYPES.get(found[1].lower()) if found is not None else None
    if kind is None:
        return {}
    inner = _typed(found[2]) if found is not None and found[2] and kind == "array" and "," not in found[2] else {}
    return {"type": kind, **({"items": inner} if inner else {})}
