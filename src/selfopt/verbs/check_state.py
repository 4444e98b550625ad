"""Reads and writes recorded states: how a configuration did, as a file that people review."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import StoreError, UsageError
from selfopt.home import atomic_write_text, escape_control
from selfopt.home.files import read_json_file
from selfopt.records import Outcome, RecordedRow, RecordedState

STATE_SCHEMA_VERSION = 1
_BEGIN_BYTES = 200  # a state begins with its schema version
_WHAT = "the recorded state"
_LETTERS = {
    Outcome.PASS: "P",
    Outcome.WRONG: "W",
    Outcome.UNCALLED_FOR: "U",
    Outcome.MISSED: "M",
    Outcome.UNPARSED: "N",
    Outcome.TRUNCATED: "T",
}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}
RECORDABLE = frozenset(_LETTERS)
"""The outcomes that a recorded state can hold. The others are faults of a server, which tell nothing."""


def state_text(state: RecordedState) -> str:
    """A state as text: sorted, one field and one prompt a line, so that a change of it can be reviewed."""
    body = state.model_dump(mode="json", exclude={"rows"})
    body = {"schema_version": STATE_SCHEMA_VERSION, **dict(sorted(body.items()))}
    rows = {row.prompt_id: "".join(_LETTERS[one] for one in row.outcomes) for row in state.rows}
    lines = [f"  {json.dumps(key)}: {json.dumps(value, sort_keys=True, ensure_ascii=False)}" for key, value in body.items()]
    prompts = [f"    {json.dumps(name, ensure_ascii=False)}: {json.dumps(rows[name])}" for name in sorted(rows)]
    return "{\n" + ",\n".join(lines) + ',\n  "rows": {\n' + ",\n".join(prompts) + "\n  }\n}\n"


def require_writable(path: Path) -> None:
    """Raise UsageError where no state of this name can be, or something else stands there, before anything is asked."""
    shown = escape_control(str(path), 300)
    if path.is_dir():
        raise UsageError(f"--record {shown}: a folder; name a file")
    if path.exists() and not path.is_file():
        raise UsageError(f"--record {shown}: not a regular file; name another")
    if not path.parent.is_dir():
        raise UsageError(f"--record {shown}: its folder does not exist; make it, or name another file")
    if os.path.lexists(path) and not _is_state(path):
        raise UsageError(f"--record {shown}: this file is no recorded state; name another, or move it aside")


def _is_state(path: Path) -> bool:
    """Whether a file may be replaced by a state: it is one, a damaged one, or empty."""
    try:
        with path.open("rb") as file:
            begin = file.read(_BEGIN_BYTES).lstrip()
    except OSError:
        return False
    return not begin or (begin.startswith(b"{") and b'"schema_version"' in begin)


def write_state(path: Path, state: RecordedState) -> None:
    """Write a state atomically. StoreError when that fails; what was there before is then untouched."""
    require_writable(path)
    atomic_write_text(path, state_text(state), mode=0o644)


def read_state(path: Path, again: str) -> RecordedState:
    """Read a state. again: the command that writes it.

    Raises:
        UsageError: it is missing, damaged, or was written by a newer selfopt.
    """
    shown = escape_control(str(path), 300)
    try:
        body = read_json_file(path, what=_WHAT, schema_version=STATE_SCHEMA_VERSION)
    except FileNotFoundError:
        raise UsageError(f"baseline {shown}: no such file; write it with: {again}") from None
    except StoreError as error:
        raise UsageError(f"baseline {error}") from None
    body.pop("schema_version")
    try:
        return RecordedState.model_validate_json(json.dumps({**body, "rows": _rows(body.get("rows"))}))
    except (ValidationError, ValueError) as error:
        where = _place(error)
        raise UsageError(f"baseline {_WHAT} {shown} is damaged{where}; record it again: {again}") from None


def _rows(rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, dict):
        raise ValueError("rows: no mapping of prompts")
    found = []
    for name, letters in rows.items():
        if not isinstance(letters, str) or not letters or not set(letters) <= _OUTCOMES.keys():
            raise ValueError(f"rows: {name!r} needs letters out of {''.join(_OUTCOMES)}")
        row = RecordedRow(prompt_id=name, outcomes=tuple([_OUTCOMES[letter] for letter in letters]))
        found.append(row.model_dump(mode="json"))
    return found


def _place(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f" ({escape_control('.'.join(map(str, first['loc'])), 80)}: {escape_control(first['msg'], 120)})"
    return f" ({escape_control(str(error), 200)})"
