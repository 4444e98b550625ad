"""Which tools a chat offers, as far as rules look at them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from pydantic import ValidationError

from selfopt.dialects.chat_body import ChatBody
from selfopt.records import NO_TOOLS, ToolDefinition, ToolOffer, tool_set_name

KEPT_TOOLS_BYTES = 65_536
MAX_TOOLS_BYTES = 1_000_000
_decode = msgspec.json.Decoder().decode


def tools_offered(chat: ChatBody) -> ToolOffer:
    """The tools that a chat offers.

    A tool that is no function has no name, and where there is one, the set has none either. So has
    a list that is too large to be decoded here. Clients send the same tools with every chat, so what
    was read is kept.
    """
    if not chat.n_tools:
        return NO_TOOLS
    raw = bytes(chat.fields["tools"])
    if len(raw) > MAX_TOOLS_BYTES:
        return ToolOffer(("",) * chat.n_tools)
    return _known(raw) if len(raw) <= KEPT_TOOLS_BYTES else _read(raw)


def _read(raw: bytes) -> ToolOffer:
    entries = _decode(raw)
    tools = [_function(entry) for entry in entries]
    known = [tool for tool in tools if tool is not None]
    names = tuple("" if tool is None else tool.name for tool in tools)
    return ToolOffer(names, tool_set_name(known) if len(known) == len(tools) else "")


_known = lru_cache(maxsize=64)(_read)


def _function(entry: dict[str, Any]) -> ToolDefinition | None:
    """A function as chat completions or the Responses API write it; None for anything else."""
    given = entry.get("function", entry) if entry.get("type", "function") == "function" else None
    if not isinstance(given, dict):
        return None
    known = {key: given[key] for key in ("name", "parameters") if given.get(key) is not None}
    try:
        return ToolDefinition.model_validate(known)
    except ValidationError:
        return None
