"""harness_feedback.json: read and written whole."""

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
    """The feedback in a file.

    Raises FileNotFoundError when it is missing, CorruptError when it is damaged or not of the documented shape,
    NewerSchemaError when a newer selfopt wrote it. The file is left as it is.
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
    """Replace the file's content atomically.

    A file that is damaged or was written by a newer selfopt is not overwritten: CorruptError or NewerSchemaError, as from
    `load_feedback`. StoreError when it cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        load_feedback(path)
    atomic_write_text(path, readable_json(feedback.model_dump(mode="json"), indent=2) + "\n")
