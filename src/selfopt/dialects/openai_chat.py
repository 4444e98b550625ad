"""The dialect of OpenAI's chat completions: writes requests and reads replies.

llama.cpp, vLLM, LM Studio, OpenRouter and OpenAI speak it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from selfopt.errors import SettingsError
from selfopt.records import (
    ChatRequest,
    EndpointConfig,
    Message,
    ServerKind,
    Timings,
    ToolCall,
    ToolDefinition,
    Usage,
    is_loopback,
)

from .base_url import bearer, normalise_base_url
from .call_pieces import CallPieces
from .carrying import LIMIT_KEYS, merged, wants_thinking
from .faults import refuse_error
from .finish import finish_of
from .jsontext import as_dict, as_int, as_list, as_ms, as_str, as_text, write_text
from .kinds import OPENAI_HOST, EndpointKind
from .logprobs import add_entries, entries_of
from .openai_client import NAME
from .parts import Parts, StreamDecoder, beside_of, calls_of, given, numbered
from .servers import OWN_FIELDS, always_reasons, takes_temperature, thinks_by_name, unsupported_parameter


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
        self._renamed_limit = urlsplit(self.root).hostname == OPENAI_HOST
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
            body["tools"] = list(map(_tool, request.tools))
            body["tool_choice"] = request.tool_choice
        body |= self._sampling(request)
        constraint = request.constraint
        if constraint is not None and constraint.kind == "grammar":
            body["grammar"] = constraint.grammar or ""
        elif constraint is not None:
            schema = {"name": "reply", "strict": True, "schema": constraint.json_schema or {}}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        body |= self._own_fields(request)
        if request.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        body["stream"] = streamed
        if streamed:
            body["stream_options"] = {"include_usage": True}
        if not request.beside:
            return body
        asked = beside_of(request, NAME)
        return merged(body, asked if self.name == NAME else asked | beside_of(request, self.name))

    def _asked(self, request: ChatRequest) -> Mapping[str, Any]:
        """The fields of a client, undecoded. A dialect that is almost this one takes them too."""
        fields = request.beside.get(NAME, {})
        return fields if self.name == NAME else {**fields, **request.beside.get(self.name, {})}

    def _sampling(self, request: ChatRequest) -> dict[str, Any]:
        if request.as_said:
            return {}
        sampling, reasons = request.sampling, always_reasons(request.model) or request.model in self._reasoners
        limit_key = "max_completion_tokens" if reasons or self._renamed_limit else "max_tokens"
        own = LIMIT_KEYS.isdisjoint(self._asked(request))
        limit = {limit_key: sampling.max_tokens + sampling.thinking_tokens} if own else {}
        if reasons:
            return given(seed=sampling.seed, **limit)
        return given(temperature=sampling.temperature, top_p=sampling.top_p, seed=sampling.seed, **limit)

    def _own_fields(self, request: ChatRequest) -> dict[str, Any]:
        """The fields beyond OpenAI's that the server knows and has not refused."""
        fields: dict[str, Any] = {}
        known = OWN_FIELDS[self.server or "other"]
        if not known:
            return fields
        known -= self._refused
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
        choices = as_list(as_dict(data).get("choices"))
        choice = _first(choices) or as_dict(next(iter(choices), None))
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ValueError("reply has no choices[0].message")
        text, thinking = _said(message)
        refusal = as_str(message.get("refusal"))
        parts = Parts(text=text or refusal, thinking=thinking, refused=bool(refusal and not text))
        parts.add_calls(message)
        parts.finish = finish_of(choice.get("finish_reason"))
        add_entries(parts.logprobs, entries_of(choice))
        _figures(parts, data)
        return parts

    def decoder(self) -> StreamDecoder:
        """See `Dialect`."""
        return _Pieces()


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    beside = tool.beside
    if not beside:
        return {"type": "function", "function": function}
    return {"type": "function", "function": {**function, **beside.get("function", {})}, **beside.get("tool", {})}


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
                "function": {"name": c.name, "arguments": write_text(c.arguments)},
            }
            for c in message.tool_calls
        ]
    if message.role == "tool":
        out["tool_call_id"] = message.tool_call_id
        if message.name:
            out["name"] = message.name
    return {**out, **message.beside} if message.beside else out


def _first(choices: list[Any]) -> dict[str, Any]:
    """The choice with the index 0, or without one, wherever it stands; an empty one if there is none."""
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}


def _said(message: dict[str, Any]) -> tuple[str, str]:
    """The text and the thinking of a message or a delta. Raises ValueError for an invalid content.

    A content is text, null, or parts, which may hold thinking.
    """
    content = message.get("content")
    thinking = as_str(message.get("reasoning_content")) or as_str(message.get("reasoning"))
    if isinstance(content, str):
        return content, thinking
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        content = [content]
    if not isinstance(content, list):
        return as_text(content), thinking
    texts: list[str] = []
    for part in map(as_dict, content):
        thought = part.get("thinking")
        if isinstance(thought, list):
            thinking += "".join(as_text(as_dict(inner).get("text")) for inner in thought)
        texts.append(as_text(part.get("text")))
        thinking += as_str(thought)
    return "".join(texts), thinking


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
    calls: CallPieces = field(default_factory=CallPieces)
    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)
    _by_deltas: bool = False

    def add(self, data: Any) -> tuple[str, str]:
        """See `StreamDecoder`. The text still contains `<think>` tags."""
        self.calling = ""
        if not isinstance(data, dict):
            return "", ""
        refuse_error(data)
        _figures(self.parts, data)
        choice = _first(as_list(data.get("choices")))
        if not choice:
            return "", ""
        reason = choice.get("finish_reason")
        if reason:
            self.finished = True
            self.parts.finish = finish_of(reason)
        if choice.get("logprobs"):
            add_entries(self.parts.logprobs, entries_of(choice))
        delta, message = choice.get("delta"), choice.get("message")
        text, thinking = "", ""
        if isinstance(delta, dict) and delta:
            text, thinking = self._add(delta)
            if not self._by_deltas and (text or thinking or delta.get("tool_calls")):
                self._by_deltas = True
        if isinstance(message, dict):
            more, thought = self._add_message(message, last=bool(reason))
            text, thinking = text + more, thinking + thought
        return text, thinking

    def _add(self, delta: dict[str, Any]) -> tuple[str, str]:
        """Add a delta."""
        if len(delta) == 1 and type(text := delta.get("content")) is str:  # most of them
            self._text.append(text)
            return text, ""
        text, thinking = _said(delta)
        if text:
            self._text.append(text)
        if thinking:
            self._thinking.append(thinking)
        if delta.get("refusal"):
            self._refusal.append(as_str(delta["refusal"]))
        if delta.get("tool_calls") or delta.get("function_call"):
            self.calls.add(delta)
            self.calling = "".join(f"{as_str(name)}{as_str(arguments)}" for name, arguments, _ in calls_of(delta))
        return text, thinking

    def _add_message(self, message: dict[str, Any], *, last: bool) -> tuple[str, str]:
        """Add a message in place of a delta, or at the end, where it may repeat what came."""
        if not (last or self._by_deltas):
            return self._add(message)
        self.calls.repeat(message)
        text, thinking = _said(message)
        fresh = {
            "content": text[_repeated(self._text, text, whole=self._by_deltas) :],
            "reasoning": thinking[_repeated(self._thinking, thinking, whole=self._by_deltas) :],
            "refusal": None if self._refusal else message.get("refusal"),
        }
        return self._add(fresh)

    def ended(self) -> tuple[ToolCall, ...]:
        """See `StreamDecoder`. A call has ended once the next one has begun."""
        if not self.calls.goes_on:
            return ()
        fresh = Parts()
        for call in self.calls.ended():
            if not fresh.add_call(*call):
                # What comes behind a broken call waits for the end, where that may be mended.
                self.calls.wait()
                break
        return tuple(fresh.tool_calls)

    def done(self) -> Parts:
        """See `StreamDecoder`."""
        text, refusal = "".join(self._text), "".join(self._refusal)
        self.parts.text, self.parts.thinking = text or refusal, "".join(self._thinking)
        self.parts.refused = bool(refusal and not text)
        for call in self.calls.all():
            self.parts.add_call(*call)
        return self.parts


def _repeated(came: list[str], said: str, *, whole: bool) -> int:
    """How many characters of a text came before. whole: whether it holds what came, if it is not the same."""
    before = "".join(came)
    return len(before) if said == before or (whole and said.startswith(before)) else len(said) if whole else 0


KIND = EndpointKind(
    dialect=OpenAIChat,
    speaks=OpenAIChat.name,
    any_schema=None,
    thinks=thinks_by_name,
    takes_temperature=takes_temperature,
)
EMBEDDED = EndpointKind(
    dialect=OpenAIChat,
    speaks=OpenAIChat.name,
    serverless=True,
    engine=True,
    grammars=True,
    any_schema=True,
    counts_idle=True,
    logprobs=True,
)
