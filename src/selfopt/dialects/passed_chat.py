"""What is read of a chat completion, and of the reply to it, that is passed on unchanged."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .clients import Counted
from .kinds import PASSED_PATHS
from .openai_edit import UNREADABLE, Count

OTHERS_KIND = "upstream_error"
"""The type of an error whose server names none."""


class _Answer(msgspec.Struct):
    usage: Count | None = None


class _Error(msgspec.Struct):
    error: dict[str, object]


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_error = msgspec.json.Decoder(_Error).decode
_encode = msgspec.json.Encoder().encode


def readable(body: bytes) -> bytes:
    """The bytes of an error, whatever its encoding."""
    return body.decode("utf-8", "replace").encode()


def error_in(body: bytes) -> dict[str, object] | None:
    """The error object of a server, in OpenAI's or Anthropic's form; None if it sent none with a message."""
    try:
        error = _read_error(readable(body)).error
    except UNREADABLE:
        return None
    return error if isinstance(error.get("message"), str) else None


def counted(usage: Count) -> Counted:
    """Token counts in a dialect's words."""
    return Counted(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


class PassedChat:
    """See `PassedOn`."""

    watched = True
    _address = PASSED_PATHS["openai_chat"].encode(), b""

    def addressed(self, headers: Mapping[bytes, bytes], query: bytes) -> tuple[bytes, bytes]:
        """See `PassedOn`."""
        return self._address

    def counted(self, body: bytes) -> Counted | None:
        """See `PassedOn`."""
        try:
            usage = _read_answer(body).usage
        except UNREADABLE:
            return None
        return None if usage is None else counted(usage)

    def counted_in(self, first: bytes, last: bytes) -> Counted | None:
        """See `PassedOn`: the last event with token counts has them all."""
        at = last.rfind(b'"usage"')
        start = last.rfind(b"data:", 0, at) if at >= 0 else -1
        return self.counted(last[start + 5 :].partition(b"\n")[0]) if start >= 0 else None

    def ended(self, last: bytes) -> bool:
        """See `PassedOn`."""
        return last.rstrip().endswith(b"data: [DONE]")

    def error(self, body: bytes) -> bytes | None:
        """See `PassedOn`."""
        error = error_in(body)
        return (
            None
            if error is None
            else _encode({"error": {"message": "", "type": OTHERS_KIND, "param": None, "code": None, **error}})
        )
