"""Whose fault an error of an endpoint is."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.errors import Blame, Cause, EndpointError, EndpointFault


@pytest.mark.parametrize(
    ("kind", "status", "blames"),
    [
        ("bad_request", 400, "content"),
        ("not_found", 404, "content"),
        ("server", 500, "model"),
        ("server", 503, "model"),
        ("timeout", None, "model"),
        ("loading", 503, "model"),
        ("protocol", None, "model"),
        ("protocol", 301, "server"),
        ("connect", None, "server"),
        ("auth", 401, "server"),
        ("rate_limited", 429, "server"),
    ],
)
def test_kind_and_status_say_whose_fault_it_is(kind: EndpointFault, status: int | None, blames: Blame) -> None:
    """A server that answers is not at fault, as far as its kind of answer tells."""
    assert EndpointError("x", kind=kind, status=status).blames == blames


def test_what_the_server_says_tells_more_than_its_status() -> None:
    """A 500 for a call that it can't read, or for roles that its template refuses, is of the content."""
    refused = EndpointError("x", kind="server", status=500)
    assert {cause: refused.because(cause, "").blames for cause in get_args(Cause)} == {
        **dict.fromkeys(("no_tools", "tools_off", "not_parsed", "roles", "context", "unknown_model"), "content"),
        **dict.fromkeys(("memory", "not_loaded"), "model"),
        **dict.fromkeys(("payment", "rate"), "server"),
    }


def test_whoever_knows_better_says_so() -> None:
    """A reply that arrived whole and can't be read is of its content."""
    assert EndpointError("x", kind="protocol", status=200).blame("content").blames == "content"
