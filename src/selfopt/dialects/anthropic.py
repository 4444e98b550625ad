"""The dialect of Anthropic's Messages API: writes requests and reads replies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import EndpointFault
from selfopt.records import ChatRequest, EndpointConfig, Message, ToolCall, ToolDefinition, Usage

from .base_url import normalise_base_url
from .carrying import carried, merged, picture_of, signed_thinking
from .faults import refuse_error
from .finish import finish_of
from .jsontext import as_dict, as_int, as_list, as_str, as_text
from .kinds import EndpointKind
from .parts import MAX_CALLS, Parts, StreamDecoder, beside_of, given, numbered, refuse_grammar
from .passed_messages import without_unsigned

DEFAULT_BASE_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
_FAULTS: dict[str, EndpointFault] = {
    "authentication_error": "auth",
    "permission_error": "auth",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limited",
    "invalid_request_error": "bad_request",
    "request_too_large": "bad_request",
    "billing_error": "bad_request",
    "timeout_error": "timeout",
}
MIN_THINKING_TOKENS = 1024
TOOL_KEYS = ("strict", "cache_control", "allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")
"""What the API knows of a tool beside its name, its description and its schema."""
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_VERSION = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
# The thinking budgets of OpenAI's efforts, for models that want a number.
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 32_768, "max": 32_768}
# Added to max_tokens for a model that always thinks, so that the answer is not truncated.
ALWAYS_THINKING_TOKENS = 8192


class Anthropic:
    """The `Dialect` of Anthropic's servers."""

    name = "anthropic"

    def __init__(self, config: EndpointConfig) -> None:
        """Use base_url, or Anthropic's own. Raises SettingsError when base_url is not a URL."""
        self.root = normalise_base_url(config.base_url or DEFAULT_BASE_URL).removesuffix("/v1")
        self.url = f"{self.root}/v1/messages"
        self.headers = {"anthropic-version": API_VERSION}
        if config.api_key is not None:
            self.headers["x-api-key"] = config.api_key.get_secret_value()
        self._endpoint = config.name

    def write_request(self, request: ChatRequest, *, streamed: bool = False) -> dict[str, Any]:
        """Write the body of POST /v1/messages.

        max_tokens bounds the answer and the thinking together, so the thinking budget is added to
        it. The API wants a budget of at least 1024 tokens. With one, it accepts neither a
        temperature nor a required tool call.

        From version 4.7, models accept no sampling parameters and only adaptive thinking. From
        version 5, they think by default, and some cannot be told not to. The API has no seeds.
        """
        refuse_grammar(self._endpoint, request)
        said = carried(self._endpoint, self.name, request)
        sampling, model = request.sampling, _Model(request.model)
        effort, choice = _effort(said), said.pop("tool_choice", {})
        own = as_dict(said.get("thinking"))
        thinking = _budget(effort) if effort is not None else (as_int(own.get("budget_tokens")) or sampling.thinking_tokens)
        thinking = max(thinking, MIN_THINKING_TOKENS) if thinking else 0
        unthinking = model.switched_off if model.version >= (5, 0) and not thinking and not request.as_said else None
        always = model.version >= (5, 0) and not thinking and unthinking is None
        limit = said.pop("max_tokens", sampling.max_tokens)
        room = 0 if own.get("type") == "adaptive" else ALWAYS_THINKING_TOKENS if always else thinking
        body: dict[str, Any] = {"model": request.model, "max_tokens": limit + room if type(limit) is int and room else limit}
        system = _system([m for m in request.messages if m.role == "system"])
        if system:
            body["system"] = system
        thinks = bool(thinking or always or own.get("type") in ("enabled", "adaptive"))
        body["messages"] = _messages(numbered([m for m in request.messages if m.role != "system"]), thinks=thinks)
        if own:
            body["thinking"] = own
        elif thinking:
            body["thinking"] = {"type": "adaptive"} if model.adaptive else {"type": "enabled", "budget_tokens": thinking}
            if model.adaptive and isinstance(effort, str):
                body["output_config"] = {"effort": "low" if effort == "minimal" else effort}
        elif unthinking is not None or effort is not None:
            body["thinking"] = {"type": unthinking or model.switched_off or "disabled"}
        elif not model.adaptive and not request.as_said:
            body |= given(temperature=min(sampling.temperature, 1.0), top_p=sampling.top_p)
        if request.tools:
            body["tools"] = [
                {"name": t.name, "description": t.description, "input_schema": t.parameters, **_around(t)} for t in request.tools
            ]
            unforced = thinking or always or model.version >= (5, 5)
            wanted = "auto" if unforced and request.tool_choice == "required" else request.tool_choice
            body["tool_choice"] = {"type": _CHOICES[wanted], **(choice if wanted != "none" else {})}
        if request.constraint is not None:
            schema = {"type": "json_schema", "schema": request.constraint.json_schema or {}}
            body["output_config"] = {**body.get("output_config", {}), "format": schema}
        if streamed:
            body["stream"] = True
        return merged(body, said) | beside_of(request, self.name)

    def decode_reply(self, data: Any) -> Parts:
        """See `Dialect`. Raises ValueError without content blocks, or if one of text has none."""
        refuse_error(data, _FAULTS)
        message = as_dict(data)
        content = message.get("content")
        if not isinstance(content, list | dict):
            raise ValueError("reply has no content blocks")
        parts = Parts(model=as_str(message.get("model")) or None)
        for block in [content] if isinstance(content, dict) else content:
            _add_block(parts, as_dict(block))
        parts.finish = finish_of(message.get("stop_reason"))
        parts.stop_sequence = as_str(message.get("stop_sequence")) or None
        parts.usage = _usage(as_dict(message.get("usage")))
        return parts

    def decoder(self) -> StreamDecoder:
        """See `Dialect`."""
        return _Events()


class _Model:
    """What the name of a model says.

    Attributes:
        version: (0, 0) when it names none.
        adaptive: whether it accepts no sampling parameters and only adaptive thinking.
        switched_off: the thinking type that stops its default thinking; None if none does.
    """

    def __init__(self, name: str) -> None:
        found = _VERSION.search(name)
        family = found[1] if found else ""
        self.version = (int(found[2]), int(found[3] or 0)) if found else (0, 0)
        self.adaptive = self.version >= (4, 7)
        self.switched_off: str | None = None
        if family == "sonnet" and self.version >= (5, 5):
            self.switched_off = "between_tools"
        elif family == "haiku" or (family in ("opus", "sonnet") and self.version < (5, 5)):
            self.switched_off = "disabled"


def _effort(said: dict[str, Any]) -> Any:
    """Take the effort out of the fields of a client. Thinking in the API's own words comes before it."""
    thinking = as_dict(said.get("thinking"))
    effort = thinking.pop("effort", None)
    if effort is None or thinking:
        return None
    del said["thinking"]
    return effort


def _budget(effort: str | bool) -> int:
    """The thinking tokens of an effort; 0 for none."""
    return _BUDGETS["medium" if effort is True else effort or "none"]


def _around(tool: ToolDefinition) -> dict[str, Any]:
    """Keys of a client's tool that the API knows too."""
    told = {**as_dict(tool.beside.get("function")), **as_dict(tool.beside.get("tool"))}
    return {key: told[key] for key in TOOL_KEYS if key in told}


def _system(messages: list[Message]) -> Any:
    """The system prompt: a text, or blocks where the server is to keep what it has read up to one of them."""
    if not any(message.beside.get("cache_control") for message in messages):
        return "\n\n".join(message.content for message in messages)
    return [_kept({"type": "text", "text": message.content}, message) for message in messages if message.content]


def _kept(block: dict[str, Any], message: Message) -> dict[str, Any]:
    """The last block of a message, with the wish to keep what was read so far."""
    wish = message.beside.get("cache_control")
    return {**block, "cache_control": wish} if wish else block


def _messages(messages: list[Message], *, thinks: bool) -> list[dict[str, Any]]:
    """The turns as blocks. Merges messages of one role in a row. Tool results are the user's.

    thinks: whether the request asks for thinking. Only then are the blocks of earlier thinking lawful.
    """
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [*(signed_thinking(message.beside) if thinks and role == "assistant" else ()), *_blocks(message)]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        failed = {"is_error": True} if message.beside.get("is_error") is True else {}
        content: Any = message.content
        if message.pictures:
            content = [*_text(message), *map(_picture, message.pictures)]
        return [_kept({"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content, **failed}, message)]
    blocks = [*map(_picture, message.pictures), *_text(message)]
    blocks.extend({"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in message.tool_calls)
    return [*blocks[:-1], _kept(blocks[-1], message)] if blocks else []


def _text(message: Message) -> list[dict[str, Any]]:
    return [{"type": "text", "text": message.content}] if message.content else []


def _picture(url: str) -> dict[str, Any]:
    picture = picture_of(url)
    if picture is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    return {"type": "image", "source": {"type": "base64", "media_type": picture[0], "data": picture[1]}}


def _add_block(parts: Parts, block: dict[str, Any]) -> None:
    kind = block.get("type")
    if kind == "text":
        parts.text += as_text(block.get("text"))
    elif kind in ("thinking", "redacted_thinking"):
        parts.thinking += as_str(block.get("thinking"))
        parts.thoughts += signed_thinking({"thinking_blocks": [block]})
    elif kind == "tool_use":
        parts.add_call(block.get("name"), block.get("input"), block.get("id"))


def _usage(usage: dict[str, Any]) -> Usage:
    """The tokens used. The API's input_tokens excludes tokens read from or written to the cache."""
    fresh, cached = as_int(usage.get("input_tokens")), as_int(usage.get("cache_read_input_tokens"))
    written = as_int(usage.get("cache_creation_input_tokens"))
    total = None if fresh is None else fresh + (cached or 0) + (written or 0)
    return Usage(input_tokens=total, output_tokens=as_int(usage.get("output_tokens")), cached_tokens=cached)


@dataclass
class _Events(StreamDecoder):
    """Builds a reply from its events."""

    head: dict[str, Any] = field(default_factory=dict)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str = ""
    stop_sequence: str = ""
    _at: dict[int, dict[str, Any]] = field(default_factory=dict)
    _stopped: dict[str, Any] | None = None
    _broken: bool = False

    def add(self, data: Any) -> tuple[str, str]:
        """See `StreamDecoder`."""
        refuse_error(data, _FAULTS)
        event = as_dict(data)
        kind = event.get("type")
        self.calling, self.thought = as_str(as_dict(event.get("delta")).get("partial_json")), None
        if kind == "message_start":
            self.head = as_dict(event.get("message"))
            self.usage.update(as_dict(self.head.get("usage")))
        elif kind == "content_block_start":
            return self._begin(event, as_dict(event.get("content_block")))
        elif kind == "content_block_delta":
            block = self._block(event)
            if block is None:
                self._begin(event, {})
                block = self.blocks[-1]
            return self._add_delta(block, as_dict(event.get("delta")))
        elif kind == "content_block_stop":
            self._stopped = self._block(event)
            if self._stopped is not None and self._stopped.get("type") in ("thinking", "redacted_thinking"):
                fresh = Parts()
                self._add(fresh, self._stopped)
                self.thought = fresh.thoughts[0] if fresh.thoughts else None
        elif kind == "message_delta":
            delta = as_dict(event.get("delta"))
            self._stop(delta.get("stop_reason"))
            self.stop_sequence = as_str(delta.get("stop_sequence"))
            self.usage.update(as_dict(event.get("usage")))
        elif kind == "message_stop":
            self.finished = self.over = True
        elif kind == "message" and not self.blocks:
            return self._whole(event)
        return "", ""

    def _block(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The block that an event names, or the newest; None before there is one."""
        index = as_int(event.get("index"))
        return self._at.get(index) if index is not None else self.blocks[-1] if self.blocks else None

    def _begin(self, event: dict[str, Any], block: dict[str, Any]) -> tuple[str, str]:
        text, thinking = as_str(block.get("text")), as_str(block.get("thinking"))
        fresh = {**block, "partial": [], "texts": [text], "thoughts": [thinking]}
        self.blocks.append(fresh)
        self._at[as_int(event.get("index")) or 0] = fresh
        if len(self.blocks) > MAX_CALLS:
            raise ValueError(f"more than {MAX_CALLS} content blocks")
        return text, thinking

    def _stop(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self.stop_reason, self.finished = reason, True

    def _whole(self, message: dict[str, Any]) -> tuple[str, str]:
        """Add a message of a server that does not stream."""
        self.head, self.usage = message, as_dict(message.get("usage"))
        self.finished = self.over = True
        content = message.get("content")
        blocks = [content] if isinstance(content, dict) else as_list(content)
        said = [self._begin({"index": at}, as_dict(block)) for at, block in enumerate(blocks)]
        self._stop(message.get("stop_reason"))
        return "".join(text for text, _ in said), "".join(thinking for _, thinking in said)

    @staticmethod
    def _add_delta(block: dict[str, Any], delta: dict[str, Any]) -> tuple[str, str]:
        text, thinking = as_str(delta.get("text")), as_str(delta.get("thinking"))
        for kind, added, known in (("text", text, "texts"), ("thinking", thinking, "thoughts")):
            if added:
                block["type"] = kind
                block[known].append(added)
        if signature := as_str(delta.get("signature")):
            block["signature"] = signature
        block["partial"].append(as_str(delta.get("partial_json")))
        return text, thinking

    def ended(self) -> tuple[ToolCall, ...]:
        """See `StreamDecoder`: the call whose block the last event ended, if any."""
        block, self._stopped = self._stopped, None
        fresh = Parts()
        if block is not None and not self._broken and block.get("type") == "tool_use":
            self._add(fresh, block)
            self._broken = bool(fresh.broken)  # what comes behind it waits for the end, where it may be mended
        return tuple(fresh.tool_calls)

    @staticmethod
    def _add(parts: Parts, block: dict[str, Any]) -> None:
        partial = "".join(block["partial"])
        if block.get("type") == "tool_use" and partial:
            parts.add_call(block.get("name"), partial, block.get("id"))
        else:
            _add_block(parts, {**block, "text": "".join(block["texts"]), "thinking": "".join(block["thoughts"])})

    def done(self) -> Parts:
        """See `StreamDecoder`."""
        parts = Parts(model=as_str(self.head.get("model")) or None)
        for block in self.blocks:
            self._add(parts, block)
        parts.finish, parts.stop_sequence = finish_of(self.stop_reason), self.stop_sequence or None
        parts.usage = _usage(self.usage)
        return parts


def _thinks(model: str) -> bool | None:
    """Whether a model can think: from version 4 on all can. Before that, names do not say."""
    return True if _Model(model).version >= (4, 0) else None


KIND = EndpointKind(
    dialect=Anthropic,
    speaks=Anthropic.name,
    base_url=DEFAULT_BASE_URL,
    key_header="x-api-key:",
    writes_grammars=False,
    logprobs=False,
    thinks=_thinks,
    takes_temperature=lambda model: not _Model(model).adaptive,
    passable=without_unsigned,
)
