"""Writes the answers of OpenAI's Responses API, whole or as a stream of events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from selfopt.records import ToolCall

from .clients import ReplyWriter, arguments_text
from .logprobs import written_logprobs
from .refusal import Refusal

_NULL = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode
_decode_reasoning = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
Kind = Literal["reasoning", "output_text", "refusal"]
Item = dict[str, Any]

# What an answer repeats of the request, and what stands there if the client said nothing.
_REPEATED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_NO_EFFORT = {"effort": None, "summary": None}
_PLAIN_TEXT = {"format": {"type": "text"}}


class ResponseWriter(ReplyWriter):
    """See `ReplyWriter`.

    Attributes:
        id: of the response.
        stored: whether the client can ask for it later.
        output: the items that are complete. In a stream they were sent.
    """

    def __init__(self, request_id: str, model: str, given: Mapping[str, msgspec.Raw], *, stored: bool = False) -> None:
        """given: the client's fields."""
        super().__init__()
        self._own = request_id.removeprefix("req-")
        self.id = f"resp_{self._own}"
        self.created = int(time.time())
        self.model = model
        self.stored = stored
        self.output: list[Item] = []
        self._given = given
        self._events = 0
        self._open: Kind | None = None
        self._said: list[str] = []
        self._streams = False
        self._repeated = b""  # what an answer repeats of the request
        self._last = b""  # the events of the last item

    def whole(self) -> bytes:
        """See `ReplyWriter`."""
        self._finish()
        return bytes(self._response(self._status))

    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None, *, thinking: str = "") -> bytes:
        """See `ReplyWriter`."""
        if thinking:
            return self._say("reasoning", thinking)
        if call is not None:
            return self._close("completed") + self._call_events(*call)
        if text:
            return self._say("refusal" if self.refused else "output_text", text)
        self._streams = True
        begun = self._response("in_progress")
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def ending(self, *, with_usage: bool) -> bytes:
        """See `ReplyWriter`. The token counts are always there."""
        self._finish()
        return self._last + self._event(f"response.{self._status}", response=self._response(self._status))

    def to_keep(self) -> bytes:
        """The settled response as JSON. Nothing may be added to it any more."""
        self._finish()
        return bytes(self._response(self._status))

    def _finish(self) -> None:
        """Complete the output of the settled reply."""
        kind: Kind = "refusal" if self.refused else "output_text"
        if self._streams:
            spoken = self._open not in (None, "reasoning") or any(item["type"] != "reasoning" for item in self.output)
            self._last += (b"" if spoken else self._say(kind, "")) + self._close(self._status)
        elif not self.output:
            if self.thinking:
                self.output.append(self._item("reasoning", self.thinking, "completed"))
            if self.text or not self.calls:
                self.output.append(self._item(kind, self.text, "completed" if self.calls else self._status))
            for number, call in enumerate(self.calls):
                self.output.append(self._call(number, call))

    def broken_off(self, refusal: Refusal) -> bytes:
        """See `ReplyWriter`."""
        event = error_event(refusal, self._events)
        self._events += 1
        error = {"code": "server_error", "message": refusal.told()["message"]}
        return event + self._event("response.failed", response=self._response("failed", error))

    @property
    def _status(self) -> str:
        return "incomplete" if self.finish in ("length", "content_filter") else "completed"

    def _response(self, status: str, error: Item | None = None) -> msgspec.Raw:
        over = status != "in_progress"
        ends: Item | None = None
        if status == "incomplete":
            ends = {"reason": "max_output_tokens" if self.finish == "length" else "content_filter"}
        own = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": error,
            "incomplete_details": ends,
            "model": self.model,
            "output": self.output,
            "usage": self._usage() if over and error is None else None,
            "store": self.stored,
        }
        if not self._repeated:
            self._repeated = _encode(_repeated(self._given))[1:]
        return msgspec.Raw(b"%s,%s" % (_encode(own)[:-1], self._repeated))

    def _usage(self) -> Item:
        usage = self.usage
        asked, said = usage.input_tokens or 0, usage.output_tokens or 0
        return {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "cache_write_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens or 0},
            "total_tokens": asked + said,
        }

    def _item(self, kind: Kind, text: str, status: str) -> Item:
        """The next item with this text."""
        if kind == "reasoning":
            return {**self._head("reasoning", status), "summary": [], "content": [self._part(kind, text)]}
        return {**self._head("message", status), "role": "assistant", "content": [self._part(kind, text)]}

    def _part(self, kind: Kind, text: str) -> Item:
        part = _part(kind, text)
        if kind == "output_text" and self.logprobs is not None and text:
            part["logprobs"] = written_logprobs(self.logprobs, text)
        return part

    def _head(self, kind: str, status: str) -> Item:
        short = {"reasoning": "rs", "message": "msg", "function_call": "fc"}[kind]
        return {"type": kind, "id": f"{short}_{self._own}_{len(self.output)}", "status": status}

    def _call(self, number: int, call: ToolCall) -> Item:
        called = {"call_id": call.id or f"call_{self._own}_{number}", "name": call.name, "arguments": arguments_text(call)}
        return {**self._head("function_call", "completed"), **called}

    def _call_events(self, number: int, call: ToolCall) -> bytes:
        item, place = self._call(number, call), len(self.output)
        at, arguments = {"item_id": item["id"], "output_index": place}, item["arguments"]
        begun = {**item, "status": "in_progress", "arguments": ""}
        self.output.append(item)
        return b"".join(
            [
                self._event("response.output_item.added", output_index=place, item=begun),
                self._event("response.function_call_arguments.delta", **at, delta=arguments),
                self._event("response.function_call_arguments.done", **at, name=item["name"], arguments=arguments),
                self._event("response.output_item.done", output_index=place, item=item),
            ]
        )

    def _say(self, kind: Kind, text: str) -> bytes:
        begun = b""
        if self._open != kind:
            begun = self._close("completed")
            self._open = kind
            item = {**self._item(kind, "", "in_progress"), "content": []}
            begun += self._event("response.output_item.added", output_index=len(self.output), item=item)
            begun += self._event("response.content_part.added", **self._at(kind), part=_part(kind, ""))
        if not text:
            return begun
        self._said.append(text)
        more: Item = {"logprobs": []} if kind == "output_text" else {}
        return begun + self._event(f"response.{_NAMES[kind]}.delta", **self._at(kind), delta=text, **more)

    def _close(self, status: str) -> bytes:
        """End the item that is being said, if there is one."""
        kind, text = self._open, "".join(self._said)
        if kind is None:
            return b""
        at, place = self._at(kind), len(self.output)
        item = self._item(kind, text, "completed" if kind == "reasoning" else status)
        self.output.append(item)
        self._open, self._said = None, []
        told = {"refusal": text} if kind == "refusal" else {"text": text}
        more: Item = {"logprobs": item["content"][0]["logprobs"]} if kind == "output_text" else {}
        return b"".join(
            [
                self._event(f"response.{_NAMES[kind]}.done", **at, **told, **more),
                self._event("response.content_part.done", **at, part=item["content"][0]),
                self._event("response.output_item.done", output_index=place, item=item),
            ]
        )

    def _at(self, kind: Kind) -> Item:
        short = "rs" if kind == "reasoning" else "msg"
        return {"item_id": f"{short}_{self._own}_{len(self.output)}", "output_index": len(self.output), "content_index": 0}

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._events = self._events, self._events + 1
        return _written(kind, number, fields)


def error_event(refusal: Refusal, number: int) -> bytes:
    """The event that tells an error in a stream. number: how many came before."""
    told = refusal.told()
    flat = {"code": told["code"], "message": told["message"], "param": told["param"]}
    # Servers and their documents disagree where the error stands, and so do clients.
    return _written("error", number, {**flat, "error": told})


def _written(kind: str, number: int, fields: Item) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _encode({"type": kind, "sequence_number": number, **fields}))


_NAMES: Mapping[Kind, str] = {"reasoning": "reasoning_text", "output_text": "output_text", "refusal": "refusal"}


def _repeated(given: Mapping[str, msgspec.Raw]) -> Item:
    return {
        "reasoning": _known(given, "reasoning", _NO_EFFORT),
        "text": _known(given, "text", _PLAIN_TEXT),
        **{key: raw if (raw := given.get(key, _NULL)) != _NULL else default for key, default in _REPEATED.items()},
    }


def _part(kind: Kind, text: str) -> Item:
    if kind == "output_text":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "refusal", "refusal": text} if kind == "refusal" else {"type": "reasoning_text", "text": text}


def _known(given: Mapping[str, msgspec.Raw], key: str, default: Item) -> Item:
    """An object of the request, with what it leaves out."""
    try:
        return {**default, **(_decode_reasoning(given[key]) or {})} if key in given else default
    except msgspec.DecodeError:
        return default
