"""Adds prompts to the text of a suite. Comments, order and layout of the old text stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import yaml

from selfopt.errors import SuiteError
from selfopt.home import readable_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml

from .load import data_of
from .write import yaml_of

# Typed as Any, because the stubs declare every mark as None.
_OPENING: Any = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING: Any = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_SCALAR: Any = yaml.ScalarEvent
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def extended_json(text: str, tool_sets: Mapping[str, Any], prompts: Sequence[Any], source: str) -> str:
    """Add tool sets and prompts to the JSON text of a suite.

    Raises SuiteError if the text is no suite.
    """
    return readable_json(_added(data_of(text, source, as_json=True), tool_sets, prompts, source), indent=1) + "\n"


def extended_yaml(text: str, tool_sets: Mapping[str, Any], prompts: Sequence[Any], source: str) -> str:
    """Add tool sets and prompts to the YAML text of a suite.

    They come after those that the suite has, with their indentation.

    Reads the result again to check it against the old data with the additions.

    Raises:
        SuiteError: the text is no suite, or can't be extended because it writes its prompts or tool
            sets in one line.
    """
    wanted = _added(data_of(text, source), tool_sets, prompts, source)
    lines = text.split("\n")
    pieces = {"prompts": list(prompts), "tool_sets": dict(tool_sets)}
    placed = [(*end, pieces[key]) for key, end in _block_ends(text).items() if pieces.get(key)]
    for number, column, piece in sorted(placed, key=itemgetter(0), reverse=True):
        added = yaml_of(piece).rstrip("\n").split("\n")
        lines[number:number] = [f"{' ' * column}{line}" if line else line for line in added]
    extended = "\n".join(lines).removesuffix("\n") + "\n"
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


def _block_ends(text: str) -> dict[str, tuple[int, int]]:
    """Where the block collections under the keys of the top mapping end.

    Returns:
        For each key: the number of the line after the collection, from 0, and the column of its
        entries.
    """
    ends: dict[str, tuple[int, int]] = {}
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
            if was_flow:  # the end mark of a block comes after comments and blank lines
                line = event.end_mark.line + 1
            if len(flow) == 1:
                if not was_flow:
                    ends[key] = (line, column)
                is_key = True
        elif isinstance(event, _SCALAR):
            # A literal block ends where the next line begins.
            line = event.end_mark.line + (1 if event.end_mark.column or event.style not in ("|", ">") else 0)
            if len(flow) == 1:
                key, is_key = (event.value, False) if is_key else (key, True)
    return ends
