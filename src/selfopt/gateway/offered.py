"""What a chat that is passed on offers: the tools and the choice among them, as far as reading its reply needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from pydantic import ValidationError

from selfopt.dialects.carrying import says_nothing
from selfopt.dialects.chat_body import ChatBody
from selfopt.records import ToolDefinition

from .behind import LIMIT_FIELDS
from .live_request import LiveRequest
from .options import GatewayOptions

KEPT_TOOLS_BYTES = 65_536
MAX_TOOLS_BYTES = 1_000_000
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """What a client offers.

    Attributes:
        tools: the functions that a reply may call. The others are the server's own business.
        family: the family that the model's chat template shows; "unknown" before any did.
        required: whether the reply has to hold a call.
        parallel: whether it may hold several.
        choices: how many choices the answer has.
    """

    tools: tuple[ToolDefinition, ...]
    family: str
    required: bool
    parallel: bool
    choices: int = 1


def offered_by(exchange: LiveRequest, options: GatewayOptions) -> OfferedTools | None:
    """Return what a chat offers; None if its reply is not to be read for calls.

    It is not where the chat offers no functions, forbids calls or asks for another form of the
    answer, and where the settings or the client switch it off.
    """
    chat = exchange.chat
    if not chat.n_tools or exchange.plain or options.own.read_calls == "off":
        return None
    required, allowed = _choice(chat)
    if required is None or wants_other_form(chat):
        return None
    raw = bytes(chat.fields["tools"])
    if len(raw) > MAX_TOOLS_BYTES:
        return None
    tools = _known_functions(raw) if len(raw) <= KEPT_TOOLS_BYTES else _functions(raw)
    if allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in allowed)
    parallel = bytes(chat.fields.get("parallel_tool_calls", b"null")) != b"false"
    wanted = _read(chat.fields["n"]) if "n" in chat.fields else None
    choices = wanted if isinstance(wanted, int) else 1
    return OfferedTools(tools, exchange.upstream.family(), required, parallel, choices) if tools else None


def wants_logprobs(chat: ChatBody) -> bool:
    """Say whether the client asks for the log probabilities of the answer's tokens."""
    return bytes(chat.fields.get("logprobs", b"")) == b"true"


def may_call(chat: ChatBody) -> bool:
    """Say whether the answer to a chat may hold a call."""
    return bool(chat.n_tools) and _choice(chat)[0] is not None


def _choice(chat: ChatBody) -> tuple[bool | None, frozenset[str] | None]:
    """Whether a call is required, None where calls are forbidden; and the tools that may be called, None for all."""
    raw = chat.fields.get("tool_choice")
    if raw is None:
        return False, None
    choice = _read(raw)
    if isinstance(choice, str):
        return (None if choice == "none" else choice in ("required", "any")), None
    if not isinstance(choice, Mapping):
        return False, None
    if choice.get("type") == "allowed_tools":
        given = choice.get("allowed_tools")
        allowed = given if isinstance(given, Mapping) else choice
        listed = allowed.get("tools")
        names = [_named(one) for one in (listed if isinstance(listed, list) else ())]
        return allowed.get("mode") == "required", frozenset(name for name in names if name is not None)
    name = _named(choice)
    return name is not None, frozenset([name]) if name is not None else None


def _named(entry: Any) -> str | None:
    """The name of a function, as chat completions or the Responses API write it."""
    function = entry.get("function", entry) if isinstance(entry, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


def wants_other_form(chat: ChatBody) -> bool:
    """Say whether the client asks for JSON of its own: such an answer may look like a call."""
    for key in LIMIT_FIELDS & chat.fields.keys():
        wanted = _read(chat.fields[key])
        if key != "response_format":
            if not says_nothing(key, wanted):
                return True
        elif isinstance(wanted, Mapping) and wanted.get("type") not in (None, "text"):
            return True
    return False


def _read(raw: msgspec.Raw) -> Any:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _functions(raw: bytes) -> tuple[ToolDefinition, ...]:
    """The functions in a list of tools, as far as they can be read: the server judges the list."""
    found: dict[str, ToolDefinition] = {}
    for entry in _read(msgspec.Raw(raw)) or ():
        given = entry.get("function", entry) if isinstance(entry, dict) and entry.get("type", "function") == "function" else None
        if not isinstance(given, dict):
            continue
        known = {key: given[key] for key in ("name", "description", "parameters") if given.get(key) is not None}
        try:
            tool = ToolDefinition.model_validate(known)
        except ValidationError:
            continue
        if tool.name:
            found.setdefault(tool.name, tool)
    return tuple(found.values())


_known_functions = lru_cache(maxsize=64)(_functions)
