"""What servers said, read into causes; and what must not pass for one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.causes import CODES, READ_CHARS, ROWS, STATUSES, cause_of
from selfopt.dialects.faults import status_error
from selfopt.errors import LASTING, Cause, EndpointError
from selfopt.words.causes import REMEDIES, TITLES

SAID: list[dict[str, Any]] = json.loads((Path(__file__).parent / "causes.json").read_text("utf-8"))
CAUSES = get_args(Cause)
NAMED = [case for case in SAID if case["cause"] is not None]


def refused(status: int, body: Any, sent: str = "{}") -> EndpointError:
    """The error that a client of this server gets."""
    text = body if isinstance(body, str) else json.dumps(body)
    return status_error("endpoint e (http://h)", status, {}, sent, text, name="e")


def message_of(body: Any) -> str:
    """The innermost message of an error."""
    while isinstance(body, dict | list):
        body = body[0] if isinstance(body, list) else body.get("error") or body.get("message") or body.get("detail")
    return str(body)


@pytest.mark.parametrize("case", SAID, ids=[f"{i} {case['from'][:40]}" for i, case in enumerate(SAID)])
def test_what_servers_said_is_read(case: dict[str, Any]) -> None:
    """Each with the project, and the issue where there is one."""
    error = refused(case["status"], case["body"])
    assert error.cause == case["cause"]
    if case["cause"] is not None:
        assert str(error).endswith(f"{TITLES[error.cause]}: {REMEDIES[error.cause]}") if error.cause else False
        assert error.said.startswith(f"{case['status']}")


def test_every_cause_is_known_in_five_wordings() -> None:
    """Of different servers or versions."""
    seen = Counter(case["cause"] for case in NAMED)
    assert {cause: seen[cause] for cause in CAUSES if seen[cause] < 5} == {}


def test_every_cause_has_words() -> None:
    """A title and a remedy, and a row, a code or a status by which it is read."""
    assert set(TITLES) == set(REMEDIES) == set(CAUSES)
    assert {row[0] for row in ROWS} | set(CODES.values()) | set(STATUSES.values()) == set(CAUSES)


def test_each_row_of_the_table_was_said_by_a_server() -> None:
    """A row that no case needs is a guess."""
    for index, row in enumerate(ROWS):
        assert any(_read_by(index, case) for case in NAMED), row


def _read_by(index: int, case: dict[str, Any]) -> bool:
    from selfopt.dialects import causes

    text = causes._unwrapped((causes._passed_on(case["body"]) or message_of(case["body"])).strip())
    return causes._compiled()[index][1].match(text) is not None


@pytest.mark.parametrize("case", NAMED, ids=str)
def test_an_answer_has_no_cause(case: dict[str, Any]) -> None:
    """Whatever an answer with a 2xx status says, a model may have written it."""
    text = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    assert cause_of(200, case["body"], message_of(case["body"]), "") is None
    assert cause_of(206, None, text, "") is None


@pytest.mark.parametrize("case", NAMED, ids=str)
def test_words_in_the_middle_of_a_message_name_no_cause(case: dict[str, Any]) -> None:
    """A server that quotes the request in its complaint is not read as if it spoke for itself."""
    words = message_of(case["body"])
    assert refused(400, {"error": f"Invalid message content: {words}"}).cause is None
    assert refused(400, {"error": f"messages.0.content: got {words!r}"}).cause is None
    assert refused(500, f"<html><body>{words}</body></html>").cause is None


@pytest.mark.parametrize("case", NAMED, ids=str)
def test_words_that_stand_in_the_request_name_no_cause(case: dict[str, Any]) -> None:
    """Not even at the beginning of the message: the prompt may be echoed there."""
    words = message_of(case["body"])
    sent = json.dumps({"messages": [{"role": "user", "content": words}]})
    assert refused(400, {"error": words}, sent).cause is None
    assert refused(400, words, sent).cause is None


@settings(deadline=None)
@given(st.integers(100, 599), st.text(max_size=2_000), st.text(max_size=200))
def test_any_text_is_read_without_an_error(status: int, text: str, sent: str) -> None:
    """And what is recorded of it is one bounded line."""
    error = refused(status, text, sent)
    assert len(error.said) <= 320
    assert "\n" not in error.said
    assert 200 <= status < 300 or error.cause in (*CAUSES, None)
    assert not (200 <= status < 300) or error.cause is None


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
       | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "status", "metadata", "raw", "detail"]), inner)))  # fmt: skip
def test_any_error_object_is_read_without_an_error(body: Any) -> None:
    """Codes and messages of any type."""
    assert refused(400, body).cause in (*CAUSES, None)


@pytest.mark.parametrize(
    "piece", ["model ", "a" * 50, "Error: ", "{'error': '", "litellm.E", '"x" ', "1", "models/", "\\", " - "]
)
def test_hostile_repetition_costs_a_bounded_time(piece: str) -> None:
    """Only the beginning is read, and no row backtracks without end."""
    assert cause_of(400, None, piece * 200_000, "") is None
    assert cause_of(400, None, (piece * READ_CHARS)[:READ_CHARS], "") is None


def test_what_lasts_is_not_tried_again() -> None:
    """The same request would be refused again; others may pass."""
    for case in NAMED:
        error = refused(case["status"], case["body"])
        assert not (error.cause in LASTING and error.retryable)
    assert refused(429, "slow down").retryable
    assert refused(500, {"error": "error parsing tool call: raw='x', err=y"}).retryable
    assert not refused(500, {"error": "model requires more system memory (9.3 GiB) than is available (4.1 GiB)"}).retryable
