"""Puts a stream of the embedded engine together to the answer in one piece, so that it can be ended early."""

from __future__ import annotations

from typing import Any

import msgspec

from selfopt.dialects.chat_body import ChatBody
from selfopt.dialects.faults import refuse_error
from selfopt.dialects.jsontext import as_dict, as_list
from selfopt.dialects.parts import index_of
from selfopt.errors import EndpointError

from .cutting import Runaway
from .framing import Frames

# With these fields alone, the pieces of a stream hold all that the answer in one piece has.
_PLAIN = frozenset(
    [
        "model",
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "max_tokens",
        "max_completion_tokens",
        "n_predict",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "logit_bias",
        "user",
        "metadata",
        "store",
        "reasoning_effort",
        "chat_template_kwargs",
        "reasoning_format",
        "cache_prompt",
        "id_slot",
        "service_tier",
    ]
)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def can_be_joined(chat: ChatBody) -> bool:
    """Whether the answer to a chat is the same when it is asked for as a stream."""
    return chat.fields.keys() <= _PLAIN


class JoinedAnswer:
    """One answer as it comes.

    Attributes:
        cut: whether it repeats itself, so that no more of it is taken.
    """

    def __init__(self) -> None:
        self._frames = Frames()
        self._fields: dict[str, Any] = {}
        self._said: dict[str, Any] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._texts: dict[str, list[str]] = {}
        self._finish: Any = None
        self._watch = Runaway()
        self.cut = False

    def take(self, data: bytes) -> None:
        """Take bytes of the stream. Raises EndpointError for an error in it."""
        for frame in self._frames.feed(data):
            try:
                value = _decode(frame.body) if frame.body and not self.cut else None
            except (msgspec.DecodeError, RecursionError):
                continue
            if isinstance(value, dict):
                refuse_error(value)
                self._add(value)

    def _add(self, value: dict[str, Any]) -> None:
        self._fields.update({key: own for key, own in value.items() if key != "choices" and own is not None})
        for choice in map(as_dict, as_list(value.get("choices"))):
            self._finish = choice.get("finish_reason") or self._finish
            for key, own in as_dict(choice.get("delta")).items():
                if key == "tool_calls":
                    self._add_calls(as_list(own))
                elif isinstance(own, str) and key != "role":
                    self._texts.setdefault(key, []).append(own)
                    self.cut = self.cut or self._watch.look(key, own)
                elif own is not None:
                    self._said[key] = own

    def _add_calls(self, pieces: list[Any]) -> None:
        for piece in map(as_dict, pieces):
            index = index_of(piece) or 0
            call = self._calls.setdefault(index, {"function": {"name": "", "parts": []}})
            call.update({key: own for key, own in piece.items() if key not in ("index", "function")})
            function = as_dict(piece.get("function"))
            name, arguments = (own if isinstance(own := function.get(key), str) else "" for key in ("name", "arguments"))
            call["function"]["name"] += name
            call["function"]["parts"].append(arguments)
            self.cut = self.cut or self._watch.look("calls", name + arguments)

    def whole(self) -> bytes:
        """Return the answer in one piece. Raises EndpointError if the stream ended before it."""
        if self._finish is None and not self.cut:
            raise EndpointError("the stream ended in mid-reply", kind="protocol")
        said = {key: "".join(parts) for key, parts in self._texts.items()}
        calls = [
            {**call, "function": {"name": call["function"]["name"], "arguments": "".join(call["function"]["parts"])}}
            for _, call in sorted(self._calls.items())
        ]
        content = said.pop("content", "") or (None if calls else "")
        message = {"role": "assistant", "content": content, **said, **self._said, **({"tool_calls": calls} if calls else {})}
        finish = "length" if self.cut and self._finish is None else self._finish
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return _encode({**self._fields, "object": "chat.completion", "choices": [choice]})
