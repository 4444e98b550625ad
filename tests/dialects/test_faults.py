"""From statuses and headers to kinds and seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.faults import MAX_RETRY_AFTER_S, error_message_of, parse_retry_after, shown_url, status_error, status_fault

NOON = 1_767_268_800.0  # Thu, 01 Jan 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("99999999", MAX_RETRY_AFTER_S),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
        ("Thu, 99 Foo 2026", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Bounded by a day; nonsense is none."""
    assert parse_retry_after(value, NOON) == seconds


@given(st.text())
def test_no_retry_after_raises(value: str) -> None:
    """Whatever a server writes there."""
    seconds = parse_retry_after(value, NOON)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, "", "auth"),
        (403, "", "auth"),
        (404, "", "not_found"),
        (408, "", "timeout"),
        (418, "", "bad_request"),
        (429, "", "rate_limited"),
        (500, "loading", "server"),
        (503, '{"error":{"message":"Loading model"}}', "loading"),
        (503, "busy", "server"),
        (529, "", "server"),
        (301, "", "protocol"),
    ],
)
def test_every_status_has_its_kind(status: int, body: str, kind: str) -> None:
    """Loading is told from broken by what a 503 says."""
    assert status_fault(status, body) == kind


@pytest.mark.parametrize(
    "body", ["", "<html>\x1b[1m", '{"error": "x"}', '{"error": {"message": "x"}}', '{"message": "x"}', "[" * 9999, "null"]
)
def test_any_body_makes_a_message(body: str) -> None:
    """Bounded, on one line, printable."""
    error = status_error("endpoint e", 500, {"Retry-After": "1"}, "sent", body)
    assert str(error).isprintable()
    assert (error.retry_after_s, error.request_body, error.reply_body) == (1.0, "sent", body)


def test_a_wait_that_the_server_asks_for_is_said_and_decides_whether_to_ask_again() -> None:
    """A minute is waited for; an hour is not."""
    soon, late = (status_error("endpoint e", 429, {"Retry-After": s}, "", "slow down") for s in ("60", "3600"))
    assert "slow down; it asks to wait 60 s" in str(soon)
    assert "it asks to wait 3600 s" in str(late)
    assert (soon.retryable, late.retryable) == (True, False)


def test_messages_and_urls_are_taken_apart() -> None:
    """The dialects' error objects; a URL without what is secret in it."""
    bodies: list[object] = [{"error": "a"}, {"error": {"message": "b"}}, {"message": "c"}, [], {"error": 3}]
    assert [error_message_of(body) for body in bodies] == ["a", "b", "c", "", ""]
    assert shown_url("http://user:secret@host:1/v1?key=2#3") == "http://host:1/v1"
