"""Adding prompts to a suite's file without touching what stands there: comments, order and layout stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from selfopt.errors import SuiteError
from selfopt.home import readable_json
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml

from .check import printable
from .write import yaml_of

# Typed as anything: the stubs would have every mark be None.
_OPENING: Any = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING: Any = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_SCALAR: Any = yaml.ScalarEvent
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def extended_json(text: str, tool_sets: Mapping[str, Any], prompts: Sequence[Any], source: str) -> str:
    """The text of a suite in JSON with more tool sets and prompts. SuiteError when it is none."""
    try:
        data = read_plain_json(text)
    except PlainJsonError as error:
        raise SuiteError(f"{source}: {printable(str(error))}") from None
    return readable_json(_added(data, tool_sets, prompts, source), indent=1) + "\n"


def extended_yaml(text: str, tool_sets: Mapping[str, Any], prompts: Sequence[Any], source: str) -> str:
    """The text of a suite in YAML with more tool sets and prompts, behind those that are there, as they are indented.

    The result is read again and has to be the old data with the additions; SuiteError where it is not to be had so (the
    prompts or the tool sets are written in one line).
    """
    try:
        wanted = _added(read_plain_yaml(text), tool_sets, prompts, source)
    except PlainYamlError as error:
        raise SuiteError(f"{source}: {printable(str(error))}") from None
    ends = _block_ends(text)
    lines = text.split("\n")
    pieces = [
        ("prompts", yaml_of(list(prompts)) if prompts else ""),
        ("tool_sets", yaml_of(dict(tool_sets)) if tool_sets else ""),
    ]
    placed = [(ends[key], piece) for key, piece in pieces if piece and key in ends]
    for end, piece in sorted(placed, key=lambda item: item[0].line, reverse=True):
        indented = [f"{' ' * end.column}{line}" if line else line for line in piece.rstrip("\n").split("\n")]
        lines[end.line : end.line] = indented
    extended = "\n".join(lines)
    extended = extended if extended.endswith("\n") else extended + "\n"
    try:
        found = read_plain_yaml(extended)
    except PlainYamlError:
        found = None
    if found != wanted:
        raise SuiteError(
            f"{source}: nothing can be added without rewriting it, which would lose its comments; write prompts and tool_sets "
            "in lines of their own (not in [] or {}), or name another file"
        )
    return extended


def _added(data: Any, tool_sets: Mapping[str, Any], prompts: Sequence[Any], source: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not isinstance(data.get("tool_sets"), dict) or not isinstance(data.get("prompts"), list):
        raise SuiteError(
            f"{source}: holds no suite with tool_sets and prompts; name one that does, or a file that is not there yet"
        )
    return {**data, "tool_sets": {**data["tool_sets"], **tool_sets}, "prompts": [*data["prompts"], *prompts]}


@dataclass(frozen=True, slots=True)
class _End:
    """Where a block collection ends: the number of the line behind it (from 0), and the column of its entries."""

    line: int
    column: int


def _block_ends(text: str) -> dict[str, _End]:
    """The ends of the values of the top mapping's keys that are block collections."""
    ends: dict[str, _End] = {}
    flow: list[bool] = []
    key, column, line = "", 0, 0
    is_key = True
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, _OPENING):
            if len(flow) == 1:
                column = event.start_mark.column
            flow.append(bool(event.flow_style))
        elif isinstance(event, _CLOSING):
            was_flow = flow.pop()
            if was_flow:  # a block's own end mark lies behind comments and blank lines
                line = event.end_mark.line + 1
            if len(flow) == 1:
                if not was_flow:
                    ends[key] = _End(line, column)
                is_key = True
        elif isinstance(event, _SCALAR):
            # A literal block ends where the next line begins.
            line = event.end_mark.line + (1 if event.end_mark.column or event.style not in ("|", ">") else 0)
            if len(flow) == 1:
                key, is_key = (event.value, False) if is_key else (key, True)
    return ends
