"""The calls of a conversation that a tool has answered, and whether it failed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Message, ToolCall

_LARGEST = 20_000  # characters of a result that is looked at
_FAULTS = ("error", "errors", "exception", "fault", "failure", "failed", "retry", "iserror", "is_error")
_GOOD = ("ok", "success", "succeeded", "successful")
_FINISHED = ("done", "ready", "finished", "complete", "completed")
_SHARES = ("progress", "percent")
_STATES = ("status", "state", "result", "outcome")
_NOT_DONE = frozenset([
    "error", "failed", "failure", "fail", "denied", "rejected", "refused", "unavailable", "timeout", "timed_out",
    "pending", "queued", "running", "in_progress", "processing", "waiting", "busy", "aborted", "cancelled", "canceled",
    "retry",
])  # fmt: skip
_FAILED = re.compile(
    r"\b(?:errors?|exception|fail(?:ed|ure|s)?|traceback|unavailable|timed? ?-?out|unreachable|try again|pending|in progress)\b",
    re.I,
)
_BEGINNING = 300  # characters of a plain text that tell of a failure


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A call, and what its tool returned.

    Attributes:
        call: the call.
        result: what the tool returned.
        last_turn: whether the user has said nothing since.
    """

    call: ToolCall
    result: str
    last_turn: bool

    @property
    def failed(self) -> bool:
        """Whether the result tells of a failure, or that the work is not done yet."""
        return tells_of_failure(self.result)


def answered_calls(messages: Sequence[Message]) -> list[AnsweredCall]:
    """Every call that has a result, in the order of the results.

    A result belongs to the open call with its id; without an id, to the first open call of its
    name, or the first open one if it has no name.
    """
    last_user = max((place for place, message in enumerate(messages) if message.role == "user"), default=-1)
    waiting: list[ToolCall] = []
    found: list[AnsweredCall] = []
    for place, message in enumerate(messages):
        waiting += message.tool_calls
        if message.role != "tool":
            continue
        call = next((one for one in waiting if _belongs(message, one)), None)
        if call is not None:
            waiting = [one for one in waiting if one is not call]
            found.append(AnsweredCall(call, message.content, place > last_user))
    return found


def _belongs(result: Message, call: ToolCall) -> bool:
    if result.tool_call_id and call.id:
        return result.tool_call_id == call.id
    return not result.name or result.name == call.name


def tells_of_failure(result: str) -> bool:
    """Whether a result tells of a failure, or that the work is not done yet: then the call may be
    made again. A result that can't be told apart counts as a failure where its beginning has a word
    for one.
    """
    text = result.strip()
    if len(text) <= _LARGEST and text[:1] == "{":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return any(_is_fault(str(key).lower(), inner) for key, inner in value.items())
    return _FAILED.search(text[:_BEGINNING]) is not None


def _is_fault(key: str, value: Any) -> bool:
    if key in _FAULTS:
        return bool(value)
    if key in _GOOD or key in _FINISHED:
        return value is False
    if key in _SHARES and isinstance(value, int | float) and not isinstance(value, bool):
        return 0 <= value < 100 and not (isinstance(value, float) and value == 1.0)
    if key in ("code", "status", "status_code", "http_status") and isinstance(value, int) and not isinstance(value, bool):
        return 400 <= value < 600
    return key in _STATES and isinstance(value, str) and value.strip().lower().replace(" ", "_") in _NOT_DONE
