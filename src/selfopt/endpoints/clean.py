"""Removes keys from replies, whole or streamed."""

from __future__ import annotations

import json
from typing import Any

from selfopt.home import Redactor
from selfopt.records import ChatChunk, ChatReply, ReplyContent, ToolCall


def without_secrets(content: ReplyContent, secrets: Redactor) -> ReplyContent:
    """The content without secrets, including those that were split over pieces of a stream."""
    if not secrets.active:
        return content
    clean: dict[str, Any] = {
        "thoughts": tuple(thought for thought in content.thoughts if _holds_none(thought, secrets)),
        "text": secrets.text(content.text),
        "thinking": secrets.text(content.thinking),
        "tool_calls": _clean_calls(content.tool_calls, secrets),
        "broken_tool_calls": tuple(map(secrets.text, content.broken_tool_calls)),
    }
    return content.model_copy(update=clean)


def _holds_none(thought: dict[str, Any], secrets: Redactor) -> bool:
    """Whether a signed block holds no secret. Without it, the signature would be wrong."""
    said = json.dumps(thought, ensure_ascii=False)
    return secrets.text(said) == said


def _clean_calls(calls: tuple[ToolCall, ...], secrets: Redactor) -> tuple[ToolCall, ...]:
    return tuple(_clean_call(call, secrets) for call in calls) if secrets.active else calls


def _clean_call(call: ToolCall, secrets: Redactor) -> ToolCall:
    said = json.dumps([call.name, call.arguments, call.id], ensure_ascii=False)
    clean = secrets.text(said)
    if clean == said:
        return call
    name, arguments, call_id = json.loads(clean)
    return ToolCall(name=name, arguments=arguments, id=call_id)


class CleanPieces:
    """Removes secrets from the pieces of a stream, including those that are split over pieces."""

    __slots__ = ("_secrets", "_text", "_thinking")

    def __init__(self, secrets: Redactor) -> None:
        self._secrets = secrets
        self._text = secrets.stream()
        self._thinking = secrets.stream()

    def chunk(
        self,
        text: str,
        thinking: str,
        calls: tuple[ToolCall, ...],
        calling: str = "",
        thought: dict[str, Any] | None = None,
    ) -> ChatChunk:
        """The next piece. calling: see `ChatChunk`; nobody is shown it."""
        if self._secrets.active:
            text, thinking = self._text.feed_text(text), self._thinking.feed_text(thinking)
            calls = _clean_calls(calls, self._secrets)
            thought = thought if thought is None or _holds_none(thought, self._secrets) else None
        return ChatChunk(text=text, thinking=thinking, tool_calls=calls, calling=calling, thought=thought)

    def last(self, text: str, thinking: str, final: ChatReply) -> ChatChunk:
        """The last piece, with the whole reply."""
        text = self._text.feed_text(text) + self._text.end().decode()
        thinking = self._thinking.feed_text(thinking) + self._thinking.end().decode()
        return ChatChunk(text=text, thinking=thinking, final=final)
