"""What the fields of Anthropic's Messages are in the words of OpenAI's chat completions, for each dialect of servers.

What a server has no words for is refused by the client's own name of the field. `translated` is for
the gateway, which looks at tools and at the form of the answer before it knows who is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from .anthropic import TOOL_KEYS
from .client_tools import KEPT_TOOLS_BYTES, MAX_TOOLS_BYTES
from .clients import NoWordsError
from .jsontext import as_dict
from .refusal import bad_request

NAME = "anthropic"
Fields = dict[str, msgspec.Raw]
_NULL = msgspec.Raw(b"null")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
MAX_FIELD_BYTES = 1_000_000
MIN_THINKING_TOKENS = 1024  # the least that the API takes
_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Fields that are translated before the server is known, and those that every request has.
_ELSEWHERE = frozenset({"model", "messages", "system", "stream", "tools", "tool_choice", "output_format"})
BUDGETS = ((4096, "low"), (16_384, "medium"))
"""The effort of a thinking budget below so many tokens; `high` above them all."""
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _no_words(field: str, why: str) -> NoWordsError:
    return NoWordsError("fields", f"{field}: {why}; leave it out", field.partition(".")[0])


def _value(own: Mapping[str, msgspec.Raw], key: str) -> Any:
    raw = own.get(key)
    if raw is None or len(raw) > MAX_FIELD_BYTES:
        return None
    return _decode(raw)


def translated(own: Fields) -> Fields:
    """What the gateway looks at, of any body that `messages_body` has read. It refuses nothing."""
    fields: Fields = {key: own[key] for key in own if key in ("model", "stream", "max_tokens")}
    system, messages = own.get("system", _NULL), own["messages"]
    if system != _NULL:
        rest = bytes(messages).lstrip()[1:]
        messages = msgspec.Raw(b'[{"role":"system","content":%s},%s' % (bytes(system), rest))
    fields["messages"] = messages
    if (raw := own.get("tools", _NULL)) != _NULL:
        large = len(raw) > MAX_TOOLS_BYTES
        fields["tools"] = raw if large else msgspec.Raw(_tools(bytes(raw), own_words=False)[0])
    with suppress(NoWordsError):  # whoever reads the request says so
        fields |= choice(own) | answer_form(own)
    return fields


def tools_for(own: Fields, server: str) -> Fields:
    """The tools. Raises NoWordsError, and Refusal for more than can be read."""
    raw = own.get("tools", _NULL)
    if raw == _NULL:
        return {}
    if len(raw) > MAX_TOOLS_BYTES:
        raise bad_request(f"tools of {len(raw)} bytes, at most {MAX_TOOLS_BYTES} are allowed", "tools")
    written, problem = _tools(bytes(raw), own_words=server == NAME)
    if problem:
        raise NoWordsError("tools", problem, "tools")
    return {"tools": msgspec.Raw(written)}


def _written_tools(raw: bytes, *, own_words: bool) -> tuple[bytes, str]:
    """The tools in OpenAI's form, and what can't be said so. A tool without words stands there as it came.

    own_words: for a server of Anthropic's dialect.
    """
    tools: list[Any] = []
    problem = ""
    for place, tool in enumerate(_decode(raw)):
        kind = "custom" if tool.get("type") is None else tool["type"]
        others = {
            key: tool[key] for key in tool if key not in _TOOL_KEYS and not (key in TOOL_KEYS and tool[key] in (None, False))
        }
        if kind != "custom":
            problem = problem or f"tools[{place}]: only the server itself has a tool of type {str(kind)[:60]!r}"
            tools.append(tool)
            continue
        if not isinstance(tool.get("input_schema"), dict):
            problem = problem or f"tools[{place}].input_schema must be an object"
        if not isinstance(tool.get("description", ""), str | None):
            problem = problem or f"tools[{place}].description must be a text"
        if others and not own_words:
            problem = problem or f"tools[{place}].{next(iter(others))[:60]}: there is no such field there; leave it out"
        function = {
            "name": tool.get("name"),
            "description": "" if tool.get("description") is None else tool["description"],
            "parameters": tool.get("input_schema"),
        }
        if tool.get("strict") is not None:
            function["strict"] = tool["strict"]
        cached = {"cache_control": tool["cache_control"]} if own_words and tool.get("cache_control") else {}
        tools.append({"type": "function", "function": function, **cached, **(others if own_words else {})})
    return _encode(tools), problem


_known_tools = lru_cache(maxsize=64)(_written_tools)


def _tools(raw: bytes, *, own_words: bool) -> tuple[bytes, str]:
    return (_known_tools if len(raw) <= KEPT_TOOLS_BYTES else _written_tools)(raw, own_words=own_words)


def choice(own: Fields) -> Fields:
    """The choice among the tools. Raises NoWordsError."""
    said = _value(own, "tool_choice")
    if said is None:
        return {}
    kind, fields = as_dict(said).get("type"), {}
    if isinstance(kind, str) and kind in _CHOICES:
        fields["tool_choice"] = _raw(_CHOICES[kind])
    elif kind == "tool" and isinstance(said.get("name"), str):
        fields["tool_choice"] = _raw({"type": "function", "function": {"name": said["name"]}})
    else:
        raise NoWordsError("tool_choice", "tool_choice must be of type auto, any, tool (with a name) or none", "tool_choice")
    if said.get("disable_parallel_tool_use") is True:
        fields["parallel_tool_calls"] = _raw(False)
    return fields


def answer_form(own: Fields) -> Fields:
    """The form that the answer has to have. Raises NoWordsError."""
    form = as_dict(_value(own, "output_config")).get("format")
    place = "output_format" if form is None else "output_config.format"
    form = _value(own, "output_format") if form is None else form
    if form is None:
        return {}
    told = as_dict(form)
    if told.get("type") != "json_schema" or not isinstance(told.get("schema"), dict):
        raise _no_words(place, 'must be {"type": "json_schema", "schema": ...}')
    named = {"name": "answer", "strict": True, "schema": told["schema"]}
    return {"response_format": _raw({"type": "json_schema", "json_schema": named})}


def words(own: Fields, server: str) -> Fields:
    """All other fields, in words that go to servers of this dialect. Raises NoWordsError."""
    fields: Fields = {}
    for key, raw in own.items():
        if key in _ELSEWHERE or raw == _NULL:
            continue
        row = _ROWS.get(key)
        if len(raw) > MAX_FIELD_BYTES:
            raise _no_words(key, f"at most {MAX_FIELD_BYTES} bytes are allowed")
        if row is not None:
            fields |= row(raw, server)
        elif server != NAME:
            raise _no_words(key, "there is no such field there")
        else:
            fields[key] = raw
    fields |= _effort(own, server)
    if server == NAME and (limit := _without_thinking(own)) is not None:
        fields["max_tokens"] = _raw(limit)
    return fields


def _without_thinking(own: Fields) -> int | None:
    """The limit on the answer alone, as the gateway counts; None where the limit holds no budget of thinking."""
    budget, limit = as_dict(_value(own, "thinking")).get("budget_tokens"), _value(own, "max_tokens")
    if type(budget) is not int or type(limit) is not int or not MIN_THINKING_TOKENS <= budget < limit:
        return None
    return limit - budget


def _named(key: str) -> Callable[[msgspec.Raw, str], Fields]:
    return lambda raw, server: {key: raw}


def _metadata(raw: msgspec.Raw, server: str) -> Fields:
    if server == NAME:
        return {"metadata": raw}
    said = as_dict(_decode(raw))
    others = [key for key in said if key != "user_id" and said[key] is not None]
    if others:
        raise _no_words(f"metadata.{others[0][:60]}", "there is no such field there")
    return {} if said.get("user_id") is None else {"user": _raw(said["user_id"])}


def _tier(raw: msgspec.Raw, server: str) -> Fields:
    if server == NAME:
        return {"service_tier": raw}
    said = _decode(raw)
    if said not in ("auto", "standard_only"):
        raise _no_words("service_tier", "must be auto or standard_only")
    return {"service_tier": _raw("auto" if said == "auto" else "default")} if server == "openai_chat" else {}


def _caching(raw: msgspec.Raw, server: str) -> Fields:
    """Other servers keep what they have read by themselves."""
    return {"cache_control": raw} if server == NAME else {}


def _nothing(raw: msgspec.Raw, server: str) -> Fields:
    """See `_effort`."""
    return {}


_ROWS: Mapping[str, Callable[[msgspec.Raw, str], Fields]] = {
    **{name: _named(name) for name in ("max_tokens", "temperature", "top_p", "top_k")},
    "stop_sequences": _named("stop"),
    "metadata": _metadata,
    "service_tier": _tier,
    "cache_control": _caching,
    "thinking": _nothing,
    "output_config": _nothing,
}


def _effort(own: Fields, server: str) -> Fields:
    """How much the model is to think: the API says it in `thinking`, in `output_config`, or in both."""
    config, thinking = _value(own, "output_config"), _value(own, "thinking")
    more = {key: value for key, value in as_dict(config).items() if key != "format" and value is not None}
    if server == NAME:
        kept = {"thinking": thinking, "output_config": more or None}
        return {key: _raw(value) for key, value in kept.items() if value is not None}
    unknown = next((key for key in more if key != "effort"), None)
    if unknown is not None:
        raise _no_words(f"output_config.{unknown[:60]}", "there is no such field there")
    effort = more.get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise _no_words("output_config.effort", f"must be one of {', '.join(_EFFORTS)}")
    asked = _asked_thinking(thinking)
    if server == "ollama" and asked is not None:
        return {"thinking": _raw({"type": "disabled" if asked == "none" else "enabled"})}
    if effort is not None and asked != "none":
        return {"reasoning_effort": _raw(_EFFORTS[effort])}
    return {} if asked is None else {"reasoning_effort": _raw(asked)}


def _asked_thinking(thinking: Any) -> str | None:
    """The effort that `thinking` asks for; None where it asks for nothing."""
    if thinking is None:
        return None
    said = as_dict(thinking)
    kind, budget = said.get("type"), said.get("budget_tokens")
    if said.get("display") not in (None, "summarized"):
        raise _no_words("thinking.display", "the thinking is told as it comes")
    if kind == "disabled":
        return "none"
    if kind == "adaptive":
        return "medium"
    if kind != "enabled" or type(budget) is not int:
        raise _no_words("thinking", "must be of type enabled (with budget_tokens), adaptive or disabled")
    return next((effort for most, effort in BUDGETS if budget < most), "high")
