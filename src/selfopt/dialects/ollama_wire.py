"""Ollama's native dialect: request bodies, replies, streamed lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfopt.records import ChatRequest, FinishReason, LoadEvidence, Message, Timings, Usage

from .jsontext import as_dict, as_int, as_list, as_ms, as_str, as_text
from .wire import Parts, numbered

__all__ = ["StreamedLines", "load_evidence", "read_reply", "request_body"]

NS_PER_MS = 1e6
# load_duration is not zero when the model is resident: up to 575 ms are documented.
WARM_BELOW_MS = 600.0
COLD_FROM_MS = 1000.0
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length", "load": "load", "unload": "load"}


def request_body(request: ChatRequest, *, streamed: bool) -> dict[str, Any]:
    """The body of POST /api/chat. The thinking budget is added to num_predict, which bounds both; this API has no
    tool_choice, so "none" leaves the tools out and "required" cannot be asked for."""
    sampling = request.sampling
    options: dict[str, Any] = {
        "temperature": sampling.temperature,
        "num_predict": sampling.max_tokens + sampling.thinking_tokens,
    }
    if sampling.top_p is not None:
        options["top_p"] = sampling.top_p
    if sampling.seed is not None:
        options["seed"] = sampling.seed
    if request.context_size is not None:
        options["num_ctx"] = request.context_size
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(m) for m in numbered(request.messages)],
        "stream": streamed,
        "think": sampling.thinking_tokens > 0,
        "options": options,
    }
    if request.tools and request.tool_choice != "none":
        body["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in request.tools
        ]
    if request.constraint is not None and request.constraint.kind == "json_schema":
        body["format"] = request.constraint.json_schema or {}
    if request.keep_alive_s is not None:
        body["keep_alive"] = keep_alive(request.keep_alive_s)
    return body


def keep_alive(seconds: float) -> int | str:
    """Seconds as Ollama takes them: a whole number, or text with a unit."""
    return int(seconds) if seconds == int(seconds) else f"{seconds}s"


def _message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        out["tool_calls"] = [{"function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls]
    if message.role == "tool" and message.name:
        out["tool_name"] = message.name
    return out


def load_evidence(load_ms: float | None) -> LoadEvidence:
    """What load_duration says: up to 600 ms no load took place, from 1000 ms one did, between nothing is certain."""
    if load_ms is None:
        return LoadEvidence()
    loaded = True if load_ms >= COLD_FROM_MS else False if load_ms <= WARM_BELOW_MS else None
    return LoadEvidence(load_ms=load_ms, loaded=loaded)


def read_reply(data: Any) -> Parts:
    """The parts of a whole reply. ValueError when it has no message, or one that is no text."""
    message = as_dict(data).get("message")
    if not isinstance(message, dict):
        raise ValueError("reply has no message")
    parts = Parts()
    _add_message(parts, message)
    _add_end(parts, data)
    return parts


def _add_message(parts: Parts, message: dict[str, Any]) -> tuple[str, str]:
    text, thinking = as_text(message.get("content")), as_str(message.get("thinking"))
    parts.text += text
    parts.thinking += thinking
    for call in as_list(message.get("tool_calls")):
        function = as_dict(as_dict(call).get("function"))
        parts.add_call(function.get("name"), function.get("arguments"), as_dict(call).get("id"))
    return text, thinking


def _add_end(parts: Parts, data: dict[str, Any]) -> None:
    load_ms = as_ms(data.get("load_duration"), NS_PER_MS)
    parts.model = as_str(data.get("model")) or parts.model
    parts.finish = _FINISH.get(as_str(data.get("done_reason")), "stop" if data.get("done") is True else "unknown")
    parts.usage = Usage(input_tokens=as_int(data.get("prompt_eval_count")), output_tokens=as_int(data.get("eval_count")))
    parts.timings = Timings(
        load_ms=load_ms,
        prompt_ms=as_ms(data.get("prompt_eval_duration"), NS_PER_MS),
        output_ms=as_ms(data.get("eval_duration"), NS_PER_MS),
        total_ms=as_ms(data.get("total_duration"), NS_PER_MS),
    )
    parts.load = load_evidence(load_ms)


@dataclass(slots=True)
class StreamedLines:
    """A reply put together from its lines."""

    parts: Parts = field(default_factory=Parts)
    finished: bool = False

    def add(self, data: Any) -> tuple[str, str]:
        """(text, thinking) that this line adds."""
        line = as_dict(data)
        added = _add_message(self.parts, as_dict(line.get("message")))
        if line.get("done") is True:
            self.finished = True
            _add_end(self.parts, line)
        return added
