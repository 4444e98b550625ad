"""Imports the Berkeley Function Calling Leaderboard, with one suite for each category.

Models see what the leaderboard's own generator shows: its types as JSON Schema, and its sentences
on floats and Python syntax. A `format` in the schema keeps what only the checker needs (tuples).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.records import ExpectedCall, Message, Prompt, Record, Suite, ToolDefinition
from selfopt.suites.check import printable

from .bfcl_files import BfclFile, BfclFiles, read_bfcl_files
from .seam import Imported, ImportOption, ImportRequest

_MAX_LINES = 20_000
_PYTHON = " Note that the provided function is in Python 3 syntax."
_FLOAT = " This is a float type value."
# The checker and the generator treat the type `any` as text.
_TYPES = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "boolean": "boolean",
    "array": "array",
    "tuple": "array",
    "dict": "object",
    "any": "string",
}
_FORMATS = {"float": "float", "tuple": "tuple"}


class _Spoken(Record):
    role: Literal["system", "user", "assistant"]
    content: str


class _Parameters(Record):
    model_config = Record.model_config | {"extra": "allow"}

    type: Literal["dict"]
    properties: dict[str, dict[str, Any]]
    required: list[str]


class _Function(Record):
    name: str
    description: str
    parameters: _Parameters


class _Entry(Record):
    id: str


class _Question(_Entry):
    question: list[list[_Spoken]] = Field(min_length=1, max_length=1)
    function: list[_Function]


class _Answer(_Entry):
    ground_truth: list[dict[str, dict[str, list[Any]]]]


E = TypeVar("E", bound=_Entry)


class Bfcl:
    """The importer of the Berkeley Function Calling Leaderboard."""

    about = (
        "The Berkeley Function Calling Leaderboard.\n\n"
        "Of version 4, a suite `bfcl_CATEGORY` for each category. Judged as its own checker judges. Its halves `search` and `heldout` share no function and no request. "
        "`suites pull bfcl` gets the data."
    )
    takes = "A wheel of bfcl-eval, or a folder with its data."
    many = True
    options: tuple[ImportOption, ...] = (
        ImportOption("--category", "categories", "Only these categories; default: all.", "NAME,...", multiple=True),
    )

    def read(self, asked: ImportRequest) -> Imported:
        """Read a suite for each category."""
        listed = asked.options.get("categories", ())
        return Imported(tuple(import_bfcl(asked.source, [name for names in listed for name in names.split(",") if name])))


IMPORTER = Bfcl()


def import_bfcl(source: Path, categories: Sequence[str] = ()) -> list[Suite]:
    """Read a suite `bfcl_<category>` for each category.

    The splits are halves without common functions or requests.

    Args:
        source: a wheel of bfcl-eval, or a folder with its data.
        categories: the categories; by default every one that is there.

    Raises:
        SuiteError: the data is not as in version 4. The message names the file, the line and the
            fix.
    """
    return [_suite(files) for files in read_bfcl_files(source, categories)]


def _suite(files: BfclFiles) -> Suite:
    answers = {} if files.answers is None else dict(_answers(files.answers))
    tool_sets: dict[str, tuple[ToolDefinition, ...]] = {}
    named: dict[tuple[str, ...], str] = {}
    prompts: list[Prompt] = []
    for where, question in _entries(files.questions, _Question):
        tools = tuple(_tool(function, where) for function in question.function)
        tool_set = named.setdefault(tuple(tool.model_dump_json() for tool in tools), question.id)
        tool_sets.setdefault(tool_set, tools)
        prompts.append(
            Prompt(
                id=question.id,
                kind=files.category,
                tool_set=tool_set,
                messages=tuple(Message(role=said.role, content=said.content) for said in question.question[0]),
                expected=_expected(files, question.id, answers, where),
            )
        )
    split = _halves({p.id: _shared(p, tool_sets[p.tool_set]) for p in prompts}, files.category)
    sums = [files.questions.sha256[:12], *([files.answers.sha256[:12]] if files.answers is not None else [])]
    return Suite(
        name=f"bfcl_{files.category}",
        title=f"Berkeley Function Calling Leaderboard v4, {files.category}",
        phase="atomic",
        judging="bfcl",
        origin=f"bfcl-eval {files.version}, BFCL_v4_{files.category}.json, sha256 {' + '.join(sums)}",
        tool_sets=tool_sets,
        prompts=tuple(p.model_copy(update={"split": split[p.id]}) for p in prompts),
    )


def _entries(file: BfclFile, shape: type[E]) -> Iterator[tuple[str, E]]:
    """Read the entries line by line. Yields what messages call an entry, and the entry."""
    seen: set[str] = set()
    for number, line in enumerate(io.StringIO(file.text, newline="\n"), start=1):
        where = f"{file.name}, line {number}"
        if number > _MAX_LINES:
            raise SuiteError(f"{where}: more than {_MAX_LINES} lines; get the data again")
        if not line.strip():
            continue
        try:
            entry = shape.model_validate(read_plain_json(line))
        except PlainJsonError as error:
            raise SuiteError(f"{where}: {printable(str(error))}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            path = ".".join(str(part) for part in first["loc"]) or "entry"
            raise SuiteError(f"{where}: {printable(path)}: {first['msg'].lower()}; this is not an entry of BFCL v4") from None
        if entry.id in seen:
            raise SuiteError(f"{where}: the id {printable(entry.id)!r} is used twice; get the data again")
        seen.add(entry.id)
        yield where, entry


def _answers(file: BfclFile) -> Iterator[tuple[str, tuple[ExpectedCall, ...]]]:
    for where, answer in _entries(file, _Answer):
        calls = []
        for call in answer.ground_truth:
            if len(call) != 1:
                raise SuiteError(f"{where}: a call with {len(call)} functions; one is allowed")
            calls += [ExpectedCall(name=name, arguments=arguments) for name, arguments in call.items()]
        yield answer.id, tuple(calls)


def _expected(
    files: BfclFiles, prompt_id: str, answers: Mapping[str, tuple[ExpectedCall, ...]], where: str
) -> tuple[tuple[ExpectedCall, ...], ...] | Literal["any"]:
    if files.answers is None:
        return "any" if files.category.endswith("_relevance") else ((),)
    calls = answers.get(prompt_id)
    if not calls:
        raise SuiteError(f"{where}: {files.answers.name} has no call for {printable(prompt_id)!r}; get the data again")
    return (calls,)


def _tool(function: _Function, where: str) -> ToolDefinition:
    about = f"{where}: function {printable(function.name)!r}"
    extra = function.parameters.model_extra or {}
    properties = {name: _schema(schema, f"{about}: {printable(name)}") for name, schema in function.parameters.properties.items()}
    parameters = {**extra, "type": "object", "properties": properties, "required": function.parameters.required}
    return ToolDefinition(name=function.name, description=function.description + _PYTHON, parameters=parameters)


def _schema(schema: Any, about: str, *, item: bool = False) -> dict[str, Any]:
    """Write a parameter as JSON Schema. `item` tells whether it is the type of a list's items."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise SuiteError(f"{about}: unknown type {str(kind)[:60]!r}; known are {', '.join(_TYPES)}")
    out: dict[str, Any] = {**schema, "type": _TYPES[kind]}
    if kind in _FORMATS:
        out["format"] = _FORMATS[kind]
    if kind == "float" and not item and isinstance(out.get("description"), str):
        out["description"] += _FLOAT
    if isinstance(schema.get("properties"), dict):
        out["properties"] = {name: _schema(part, f"{about}.{printable(name)}") for name, part in schema["properties"].items()}
    if "items" in schema:
        out["items"] = _schema(schema["items"], f"{about}[]", item=True)
    elif out["type"] == "array":
        raise SuiteError(f"{about}: a list without items; get the data again")
    return out


def _shared(prompt: Prompt, tools: Sequence[ToolDefinition]) -> list[str]:
    """What the two halves must not share: a function (none counts as one), or a request."""
    asked = " ".join(message.content for message in prompt.messages if message.role == "user")
    return [*([f"function {tool.name}" for tool in tools] or ["no function"]), f"asked {' '.join(asked.casefold().split())}"]


def _halves(shared: Mapping[str, Sequence[str]], seed: str) -> dict[str, Literal["search", "heldout"]]:
    """Choose a split for each prompt, so that prompts which share something stay together.

    Sharing is transitive. The largest groups come first, and each goes to the smaller half. The
    seed fixes the order of groups of equal size.

    Args:
        shared: for each prompt, what it may share with others.
        seed: any text.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for prompt_id, names in shared.items():
        for name in names:
            parent[root(f"s {name}")] = root(f"p {prompt_id}")
    groups: dict[str, list[str]] = {}
    for prompt_id in shared:
        groups.setdefault(root(f"p {prompt_id}"), []).append(prompt_id)

    def order(group: list[str]) -> tuple[int, str]:
        return -len(group), hashlib.sha256(f"{seed} {min(group)}".encode()).hexdigest()

    split: dict[str, Literal["search", "heldout"]] = {}
    balance = 0
    for group in sorted(groups.values(), key=order):
        side: Literal["search", "heldout"] = "heldout" if balance <= 0 else "search"
        balance += len(group) if side == "heldout" else -len(group)
        split |= dict.fromkeys(group, side)
    return split
