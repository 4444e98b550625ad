"""The dialect of OpenAI's chat completions: writes requests and reads replies.

llama.cpp, vLLM, LM Studio, OpenRouter and OpenAI speak it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from selfopt.errors import SettingsError
from selfopt.records import ChatRequest, EndpointConfig, FinishReason, Message, ServerKind, Timings, ToolCall, Usage, is_loopback

from .base_url import bearer, normalise_base_url
from .carrying import LIMIT_KEYS, merged, wants_thinking
from .faults import refuse_error
from .jsontext import as_dict, as_int, as_list, as_ms, as_str, as_text
from .kinds import EndpointKind
from .openai_client import NAME
from .parts import MAX_CALLS, Parts, StreamDecoder, beside_of, given, numbered
from .servers import OWN_FIELDS, always_reasons, unsupported_parameter

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIChat:
    """The `Dialect` of OpenAI-compatible servers.

    Some servers, such as llama.cpp, know `cache_prompt` and `chat_template_kwargs`. OpenAI and
    others refuse unknown keys.

    Attributes:
        server: the program that answers. None for a local server that was not asked yet; it then
            gets the fields of none.
    """

    name = NAME

    def __init__(self, config: EndpointConfig) -> None:
        """Raises SettingsError without a usable base_url."""
        if not config.base_url:
            raise SettingsError(f"endpoint {config.name}: base_url is missing; give one such as http://127.0.0.1:8080")
        url = normalise_base_url(config.base_url)
        self.root = url if urlsplit(url).path else f"{url}/v1"
        self.url = f"{self.root}/chat/completions"
        self.headers = bearer(config)
        self._renamed_limit = urlsplit(self.root).hostname == "api.openai.com"
        here = config.local or is_loopback(self.root)
        self.server: ServerKind | None = config.server or (None if here else "other")
        if config.kind in ("embedded", "scripted"):
            self.server = "llama.cpp"
        self._refused: set[str] = set()
        self._reasoners: set[str] = set()

    def write_request(self, request: ChatRequest, *, streamed: bool = False) -> dict[str, Any]:
        """Write the body of POST /chat/completions.

        One limit bounds the answer and the thinking, so the thinking budget is added to it.
        """
        body: dict[str, Any] = {"model": request.model, "messages": [_message(m) for m in numbered(request.messages)]}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": t.name,
                        "description": t.description,
                        "parameters": t.parameters,
                        **t.beside.get("function", {}),
                    },
                    **t.beside.get("tool", {}),
                }
                for t in request.tools
            ]
            body["tool_choice"] = request.tool_choice
        body |= self._sampling(request)
        constraint = request.constraint
        if constraint is not None and constraint.kind == "grammar":
            body["grammar"] = constraint.grammar or ""
        elif constraint is not None:
            schema = {"name": "reply", "strict": True, "schema": constraint.json_schema or {}}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        body |= self._own_fields(request)
        body["stream"] = streamed
        if streamed:
            body["stream_options"] = {"include_usage": True}
        return merged(body, beside_of(request, NAME) | beside_of(request, self.name))

    def _asked(self, request: ChatRequest) -> Mapping[str, Any]:
        """The fields of a client, undecoded. A dialect that is almost this one takes them too."""
        fields = request.beside.get(NAME, {})
        return fields if self.name == NAME else {**fields, **request.beside.get(self.name, {})}

    def _sampling(self, request: ChatRequest) -> dict[str, Any]:
        if request.as_said:
            return {}
        sampling, reasons = request.sampling, always_reasons(request.model) or request.model in self._reasoners
        limit_key = "max_completion_tokens" if reasons or self._renamed_limit else "max_tokens"
        own = not LIMIT_KEYS & self._asked(request).keys()
        limit = {limit_key: sampling.max_tokens + sampling.thinking_tokens} if own else {}
        if reasons:
            return given(seed=sampling.seed, **limit)
        return given(temperature=sampling.temperature, top_p=sampling.top_p, seed=sampling.seed, **limit)

    def _own_fields(self, request: ChatRequest) -> dict[str, Any]:
        """The fields beyond OpenAI's that the server knows and has not refused."""
        known = OWN_FIELDS[self.server or "other"] - self._refused
        fields: dict[str, Any] = {}
        if request.isolate and "cache_prompt" in known:
            fields["cache_prompt"] = False
        silent = request.sampling.thinking_tokens == 0 and not request.as_said
        if silent and "chat_template_kwargs" in known and not wants_thinking(self._asked(request)):
            fields["chat_template_kwargs"] = {"enable_thinking": False}
        return fields

    def refused(self, request: ChatRequest, said: str) -> bool:
        """Take note of fields that a server's error text names.

        Returns:
            Whether the request would now be written without one of them.
        """
        asked = self._asked(request)
        named = {field for field in self._own_fields(request) if field in said and field not in asked}
        self._refused |= named
        sampled = unsupported_parameter(said) & {*self._sampling(request)} - asked.keys()
        reasons = bool(sampled) and request.model not in self._reasoners
        if reasons:
            self._reasoners.add(request.model)
        return bool(named) or reasons

    def decode_reply(self, data: Any) -> Parts:
        """See `Dialect`. Raises ValueError without choices[0].message, or for invalid content."""
        refuse_error(data)
        choices = as_dict(data).get("choices")
        choice = as_dict(choices[0]) if isinstance(choices, list) and choices else {}
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ValueError("reply has no choices[0].message")
        content = message.get("content")
        parts = Parts(text=content if isinstance(content, str) else _text(content), thinking=_reasoning(message))
        parts.add_calls(message)
        parts.finish = _FINISH.get(as_str(choice.get("finish_reason")), "unknown")
        _figures(parts, data)
        return parts

    def decoder(self) -> StreamDecoder:
        """See `Dialect`."""
        return _Pieces()


def _message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.pictures:
        text = [{"type": "text", "text": message.content}] if message.content else []
        out["content"] = text + [{"type": "image_url", "image_url": {"url": url}} for url in message.pictures]
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": c.id,
                "type": "function",
                "function": {"name": c.name, "arguments": json.dumps(c.arguments, ensure_ascii=False)},
            }
            for c in message.tool_calls
        ]
    if message.role == "tool":
        out["tool_call_id"] = message.tool_call_id
        if message.name:
            out["name"] = message.name
    return {**out, **message.beside} if message.beside else out


def _text(content: Any) -> str:
    """The text of a content: text, null, or a list of parts. Raises ValueError for others."""
    if isinstance(content, list):
        return "".join(as_text(as_dict(piece).get("text")) for piece in content)
    return as_text(content)


def _reasoning(message: dict[str, Any]) -> str:
    return as_str(message.get("reasoning_content")) or as_str(message.get("reasoning"))


def _figures(parts: Parts, data: dict[str, Any]) -> None:
    usage, timings = as_dict(data.get("usage")), as_dict(data.get("timings"))
    parts.model = as_str(data.get("model")) or parts.model
    if timings:
        parts.timings = Timings(prompt_ms=as_ms(timings.get("prompt_ms")), output_ms=as_ms(timings.get("predicted_ms")))
    if usage:
        cached = as_int(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens"))
        parts.usage = Usage(
            input_tokens=as_int(usage.get("prompt_tokens")),
            output_tokens=as_int(usage.get("completion_tokens")),
            cached_tokens=as_int(timings.get("cache_n")) if cached is None else cached,
            thinking_tokens=as_int(as_dict(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        )
    elif timings and parts.usage.cached_tokens is None:
        parts.usage = parts.usage.model_copy(update={"cached_tokens": as_int(timings.get("cache_n"))})


@dataclass
class _Pieces(StreamDecoder):
    """Builds a reply from its chunks."""

    parts: Parts = field(default_factory=Parts)
    calls: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    _ended: int = 0
    _broken: bool = False
    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)

    def payload(self, line: str) -> str:
        """See `StreamDecoder`. The last event, [DONE], is not JSON."""
        found = super().payload(line)
        if found != "[DONE]":
            return found
        self.finished = self.over = True
        return ""

    def add(self, data: Any) -> tuple[str, str]:
        """See `StreamDecoder`. The text still contains `<think>` tags."""
        refuse_error(data)
        piece = as_dict(data)
        _figures(self.parts, piece)
        choices = as_list(piece.get("choices"))
        if not choices:
            return "", ""
        delta = as_dict(as_dict(choices[0]).get("delta"))
        text, thinking = _text(delta.get("content")), _reasoning(delta)
        self._text.append(text)
        self._thinking.append(thinking)
        calls = delta.get("tool_calls", delta.get("function_call"))
        for position, call in enumerate([calls] if isinstance(calls, dict) else as_list(calls)):
            self._add_call(as_dict(call), position)
        reason = as_dict(choices[0]).get("finish_reason")
        if reason:
            self.finished = True
            self.parts.finish = _FINISH.get(as_str(reason), "unknown")
        return text, thinking

    def _add_call(self, call: dict[str, Any], position: int) -> None:
        index = as_int(call.get("index"))
        function = as_dict(call.get("function")) or call
        known = self.calls.setdefault(position if index is None else index, {"name": [], "arguments": [], "id": []})
        if len(self.calls) > MAX_CALLS:
            raise ValueError(f"more than {MAX_CALLS} tool calls")
        if not known["id"] and as_str(call.get("id")):
            known["id"].append(as_str(call.get("id")))
        known["name"].append(as_str(function.get("name")))
        arguments = function.get("arguments")
        known["arguments"].append(json.dumps(arguments) if isinstance(arguments, dict) else as_str(arguments))

    def ended(self) -> tuple[ToolCall, ...]:
        """See `StreamDecoder`. A call has ended once the next one has begun."""
        if self._broken or len(self.calls) <= self._ended + 1:
            return ()
        fresh = Parts()
        order = sorted(self.calls)
        # What comes behind a broken call waits for the end, where that may be mended.
        self._broken = not all(self._add_to(fresh, index) for index in order[self._ended : -1])
        self._ended = len(order) - 1
        return tuple(fresh.tool_calls)

    def done(self) -> Parts:
        """See `StreamDecoder`."""
        self.parts.text, self.parts.thinking = "".join(self._text), "".join(self._thinking)
        for index in sorted(self.calls):
            self._add_to(self.parts, index)
        return self.parts

    def _add_to(self, parts: Parts, index: int) -> bool:
        call = self.calls[index]
        return parts.add_call("".join(call["name"]), "".join(call["arguments"]), "".join(call["id"]))


KIND = EndpointKind(dialect=OpenAIChat, speaks=OpenAIChat.name, any_schema=None)
EMBEDDED = EndpointKind(
    dialect=OpenAIChat,
    speaks=OpenAIChat.name,
    serverless=True,
    engine=True,
    grammars=True,
    any_schema=True,
    counts_idle=True,
)
