"""What each dialect can carry of a request: found out by writing requests, so that it can't be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfopt.errors import EndpointError
from selfopt.records import ChatRequest, Constraint, EndpointConfig, Message, Sampling, ToolCall, ToolDefinition

from .kinds import ENDPOINT_KINDS, Dialect

_USER = Message(role="user", content="x")
_TOOL = ToolDefinition(name="t")
_CALLED = Message(role="assistant", tool_calls=(ToolCall(name="t"),))
# Two requests a row, which differ in one thing.
_ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "model": ({}, {"model": "n"}),
    "messages: text": ({}, {"messages": (Message(role="user", content="y"),)}),
    "messages: role `system`": ({}, {"messages": (Message(role="system", content="s"), _USER)}),
    "messages: tool calls": ({}, {"messages": (_USER, _CALLED)}),
    "messages: results of tools": (
        {"messages": (_USER, _CALLED)},
        {"messages": (_USER, _CALLED, Message(role="tool", content="r"))},
    ),
    "tools": ({}, {"tools": (_TOOL,)}),
    "tool_choice `none`": ({"tools": (_TOOL,)}, {"tools": (_TOOL,), "tool_choice": "none"}),
    "tool_choice `required`": ({"tools": (_TOOL,)}, {"tools": (_TOOL,), "tool_choice": "required"}),
    "sampling.temperature": ({}, {"sampling": Sampling(temperature=0.5)}),
    "sampling.top_p": ({}, {"sampling": Sampling(top_p=0.5)}),
    "sampling.seed": ({}, {"sampling": Sampling(seed=7)}),
    "sampling.max_tokens": ({}, {"sampling": Sampling(max_tokens=7)}),
    "sampling.thinking_tokens": ({}, {"sampling": Sampling(thinking_tokens=2000)}),
    "constraint `json_schema`": ({}, {"constraint": Constraint(kind="json_schema", json_schema={"type": "object"})}),
    "constraint `grammar`": ({}, {"constraint": Constraint(kind="grammar", grammar="root ::= [a]")}),
    "isolate": ({}, {"isolate": True}),
    "context_size": ({}, {"context_size": 4096}),
    "keep_alive_s": ({}, {"keep_alive_s": 60.0}),
}
CARRIED = tuple(_ROWS)
"""What is looked at, in order: fields of a `ChatRequest`, and parts of them."""


def dialects() -> Mapping[str, Dialect]:
    """One of each dialect that a registered kind of endpoint speaks, made for a server on this machine."""
    config = EndpointConfig(name="any", kind="any", base_url="http://127.0.0.1:1", local=True)
    return {kind.speaks: kind.dialect(config) for kind in ENDPOINT_KINDS.all().values()}


def carried_by(dialect: Dialect) -> Mapping[str, tuple[str, ...] | None]:
    """What of a request a dialect can carry.

    Returns:
        For each name in `CARRIED` the places in the body that it decides; none where it is not carried, and None where a
        request with it is refused before it is sent.
    """
    return {what: _decided(dialect, *row) for what, row in _ROWS.items()}


def _decided(dialect: Dialect, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...] | None:
    try:
        one, other = (dict(_leaves(dialect.write_request(_asked(fields)))) for fields in (before, after))
    except EndpointError:
        return None
    return tuple(sorted({place for place in one.keys() | other.keys() if one.get(place) != other.get(place)}))


def _asked(fields: dict[str, Any]) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": (_USER,), **fields})


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a body by its place. Things in a list stand together under `[]`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        found: dict[str, list[Any]] = {}
        for inner in value:
            for where, leaf in _leaves(inner, f"{place}[]"):
                found.setdefault(where, []).append(leaf)
        yield from found.items()
    else:
        yield place, value
