"""Writes answers in Anthropic's Messages dialect, whole and streamed."""

from __future__ import annotations

from typing import Any

import msgspec

from selfopt.records import ToolCall

from .clients import RawCall, ReplyWriter

_encode = msgspec.json.Encoder().encode
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    """One event of a stream."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _encode({"type": kind, **fields}))


class MessageWriter(ReplyWriter):
    """See `ReplyWriter`. A stream's blocks are numbered in the order in which they begin."""

    def __init__(self, request_id: str, model: str) -> None:
        super().__init__()
        self.id = f"msg_{request_id.removeprefix('req-')}"
        self.model = model
        self._number = -1
        self._open = ""

    def _head(
        self, content: list[dict[str, Any]], stop: str | None, usage: dict[str, Any], sequence: str | None = None
    ) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": sequence,
            "usage": usage,
        }

    @property
    def _stop(self) -> str:
        if self.finish == "stop" and self.stop_sequence is not None:
            return "stop_sequence"
        return "refusal" if self.refused else _STOPS.get(self.finish, "end_turn")

    def _usage(self) -> dict[str, Any]:
        asked, cached = self.usage.input_tokens or 0, self.usage.cached_tokens or 0
        return {
            "input_tokens": max(0, asked - cached),
            "output_tokens": self.usage.output_tokens or 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
        }

    def _call(self, number: int, call: ToolCall) -> dict[str, Any]:
        known = call.id or f"toolu_{self.id.removeprefix('msg_')}_{number}"
        return {"type": "tool_use", "id": known, "name": call.name, "input": arguments_of(call)}

    def whole(self) -> bytes:
        """See `ReplyWriter`."""
        content: list[dict[str, Any]] = []
        if self.thoughts:
            content += self.thoughts
        elif self.thinking:
            content.append({"type": "thinking", "thinking": self.thinking, "signature": ""})
        if self.text:
            content.append({"type": "text", "text": self.text})
        content += [self._call(number, call) for number, call in enumerate(self.calls)]
        return _encode(self._head(content, self._stop, self._usage(), self.stop_sequence))

    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None, *, thinking: str = "") -> bytes:
        """See `ReplyWriter`."""
        if thinking:
            begun = self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            return begun + self._delta({"type": "thinking_delta", "thinking": thinking})
        if call is not None:
            block = self._call(*call)
            begun = self._close() + self._block("tool_use", {**block, "input": {}})
            return (
                begun
                + self._delta({"type": "input_json_delta", "partial_json": _encode(block["input"]).decode()})
                + self._close()
            )
        if text:
            begun = self._block("text", {"type": "text", "text": ""})
            return begun + self._delta({"type": "text_delta", "text": text})
        usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return event("message_start", message=self._head([], None, usage)) + PING

    def signed(self, thought: dict[str, Any]) -> bytes:
        """See `ReplyWriter`. A block that nobody can read is one of its own."""
        if thought["type"] != "thinking":
            return self._close() + self._block("redacted", thought) + self._close()
        begun = self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        return begun + self._delta({"type": "signature_delta", "signature": thought["signature"]}) + self._close()

    def ending(self, *, with_usage: bool) -> bytes:
        """See `ReplyWriter`: the stop reason with the token counts, which clients always expect."""
        delta = {"stop_reason": self._stop, "stop_sequence": self.stop_sequence}
        return self._close() + event("message_delta", delta=delta, usage=self._usage()) + event("message_stop")

    def _block(self, kind: str, block: dict[str, Any]) -> bytes:
        """What begins a block, unless one of its kind is open."""
        if self._open == kind:
            return b""
        before = self._close()
        self._number += 1
        self._open = kind
        return before + event("content_block_start", index=self._number, content_block=block)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return event("content_block_delta", index=self._number, delta=delta)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return event("content_block_stop", index=self._number)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call: an object, whatever came. A text that nobody could read is in `raw`."""
    return {"raw": call.raw} if isinstance(call, RawCall) else call.arguments
