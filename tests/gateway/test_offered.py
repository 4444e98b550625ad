"""What a chat offers, as far as reading its reply needs it; the server judges the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.dialects.chat_body import BodyLimits, at_once, reading_body
from selfopt.gateway.behind import LIMIT_FIELDS
from selfopt.gateway.live_request import LiveRequest
from selfopt.gateway.offered import OfferedTools, offered_by
from selfopt.gateway.options import GatewayOptions
from selfopt.gateway.seams import Upstream
from selfopt.settings.serve import GatewaySettings
from selfopt.settings.tree import LimitSettings
from selfopt.web import WebLimits

GOOD = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER = {"type": "function", "function": {"name": "g"}}


def offered(plain: bool = False, read_calls: str = "unless_native", **fields: Any) -> OfferedTools | None:
    """What a chat with these fields offers."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    own = GatewaySettings.model_validate({"read_calls": read_calls})
    options = GatewayOptions(own=own, limits=LimitSettings(), web=WebLimits())
    chat = at_once(reading_body(body, BodyLimits()))
    exchange = LiveRequest(None, chat, None, None, deadline=0.0, plain=plain)  # type: ignore[arg-type]
    exchange.upstream = Upstream("up", "up/m", "m", adapter=lambda: None, family=lambda: "hermes")  # type: ignore[arg-type,return-value]
    return offered_by(exchange, options)


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ([GOOD, OTHER], ["f", "g"]),
        ([{"type": "function", "name": "flat", "parameters": {}}], ["flat"]),
        ([{"name": "bare"}], ["bare"]),
        ([GOOD, {"type": "web_search"}, {"type": "custom", "custom": {"name": "c"}}], ["f"]),
        ([GOOD, GOOD, {"type": "function", "function": {"name": ""}}, {"type": "function", "function": {"name": 5}}], ["f"]),
    ],
)
def test_functions_are_read_in_every_form(tools: list[Any], names: list[str]) -> None:
    """What is no function is left to the server."""
    found = offered(tools=tools)
    assert found is not None
    assert [tool.name for tool in found.tools] == names
    assert (found.family, found.required, found.parallel) == ("hermes", False, True)


def test_the_same_tools_are_the_same_records() -> None:
    """So that what is derived from them is kept."""
    first, second = offered(tools=[GOOD]), offered(tools=[GOOD], seed=1)
    assert first is not None
    assert second is not None
    assert first.tools is second.tools


@pytest.mark.parametrize(("fields", "choices"), [({}, 1), ({"n": 2}, 2), ({"n": "2"}, 1), ({"n": None}, 1)])
def test_the_choices_of_the_answer_are_known(fields: dict[str, Any], choices: int) -> None:
    """As many as the client wants."""
    found = offered(tools=[GOOD], **fields)
    assert found is not None
    assert found.choices == choices


@pytest.mark.parametrize(
    ("choice", "required", "names"),
    [
        ("auto", False, ["f", "g"]),
        (None, False, ["f", "g"]),
        ("required", True, ["f", "g"]),
        ("any", True, ["f", "g"]),
        ({"type": "function", "function": {"name": "g"}}, True, ["g"]),
        ({"type": "function", "name": "g"}, True, ["g"]),
        ({"type": "any"}, False, ["f", "g"]),
        (5, False, ["f", "g"]),
    ],
)
def test_the_choice_counts(choice: Any, required: bool, names: list[str]) -> None:
    """A named tool is the only one that may be called."""
    found = offered(tools=[GOOD, OTHER], tool_choice=choice, parallel_tool_calls=False)
    assert found is not None
    assert (found.required, [tool.name for tool in found.tools], found.parallel) == (required, names, False)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": []},
        {"tools": [{"type": "web_search"}]},
        {"tools": [GOOD], "tool_choice": "none"},
        {"tools": [GOOD], "tool_choice": {"type": "function", "function": {"name": "missing"}}},
        {"tools": [GOOD], "response_format": {"type": "json_schema", "json_schema": {}}},
        {"tools": [GOOD], "plain": True},
        {"tools": [GOOD], "read_calls": "off"},
    ],
)
def test_nothing_is_read_where_no_call_is_wanted(fields: dict[str, Any]) -> None:
    """Or where the answer may look like one."""
    assert offered(**fields) is None
    assert offered(tools=[GOOD], response_format={"type": "text"}) is not None


ALLOWED = [{"type": "function", "function": {"name": "g"}}]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_the_tools_that_are_allowed_are_the_ones_that_may_be_called(mode: str, nested: bool) -> None:
    """In the form of chat completions, and in that of the Responses API."""
    allowed = {"mode": mode, "tools": ALLOWED if nested else [{"type": "function", "name": "g"}]}
    choice = {"type": "allowed_tools", **({"allowed_tools": allowed} if nested else allowed)}
    found = offered(tools=[GOOD, OTHER], tool_choice=choice)
    assert found is not None
    assert [tool.name for tool in found.tools] == ["g"]
    assert found.required is (mode == "required")


@pytest.mark.parametrize("field", sorted(LIMIT_FIELDS - {"response_format"}))
def test_an_answer_in_a_form_of_the_clients_own_is_not_read(field: str) -> None:
    """Whatever the server calls the field that asks for it."""
    wanted: dict[str, Any] = {field: {"type": "object"}}
    nothing: dict[str, Any] = {field: None}
    assert offered(tools=[GOOD], **wanted) is None
    assert offered(tools=[GOOD], **nothing) is not None
