"""Reads and writes harness_feedback.json."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydantic import ValidationError

from selfopt.errors import CorruptError
from selfopt.home import atomic_write_text, escape_control, read_json_file, readable_json
from selfopt.records import Feedback

FEEDBACK_SCHEMA_VERSION = 1
_WHAT = "the feedback file"


def load_feedback(path: Path) -> Feedback:
    """Reads the feedback in a file.

    Raises:
        FileNotFoundError: the file is missing.
        CorruptError: it is damaged or does not have the documented shape. It is left as it is.
        NewerSchemaError: a newer selfopt wrote it.
    """
    body = read_json_file(path, what=_WHAT, schema_version=FEEDBACK_SCHEMA_VERSION)
    try:
        return Feedback.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = escape_control(".".join(str(part) for part in first["loc"]) or "the whole", 120)
        raise CorruptError(
            f"{_WHAT} {path} does not have the documented shape: {where}: {escape_control(first['msg'], 200)} "
            f"({error.error_count()} problems); it is left as it is: restore it, or move it aside and run `selfopt feedback`"
        ) from error


def save_feedback(path: Path, feedback: Feedback) -> None:
    """Replaces the file atomically.

    Raises:
        CorruptError, NewerSchemaError: the present file cannot be read, so it is not overwritten.
        StoreError: the file cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        load_feedback(path)
    atomic_write_text(path, readable_json(feedback.model_dump(mode="json"), indent=2) + "\n")
