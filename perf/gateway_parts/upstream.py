"""The fixed upstream: always the same answers at next to no cost. A process of its own: `python upstream.py`.

POST /v1/chat/completions answers at once by what the body holds: a stream of eight pieces for `"stream":true`; a call of the first
tool, written as text in the way of small models, for a body with tools; else a sentence. With `"user":"beat"` in the body the pieces of a stream come 5 ms after
each other instead of in one write. POST /v1/responses and /v1/messages answer with the sentence, whole or streamed. Under /hang/ it never answers. It prints its port and serves until it is killed. The headers and
the body are searched, not parsed; it serves the gateways measured here and nobody else.
"""

from __future__ import annotations

import asyncio
import json

import uvloop

MODEL = "fixed"
BEAT_S = 0.005
TEXT = "The capital of France is Paris."
PIECES = ("The", " capital", " of", " France", " is", " Paris", ".", "")
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
USAGE = {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29}


def _whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    body = json.dumps(
        {
            "id": "chatcmpl-fixed",
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": USAGE,
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    head = {"id": "chatcmpl-fixed", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": MODEL}
    event = b"data: %s\n\n" % json.dumps({**head, "choices": choices, **more}).encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def _events() -> list[bytes]:
    pieces = [
        _event(
            [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": piece} if not place else {"content": piece} if piece else {},
                    "finish_reason": None if piece else "stop",
                }
            ]
        )
        for place, piece in enumerate(PIECES)
    ]
    done = b"data: [DONE]\n\n"
    return [*pieces, _event([], usage=USAGE) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done)]


def _response(status: str, output: list[dict[str, object]]) -> dict[str, object]:
    usage = {"input_tokens": 21, "output_tokens": 8, "total_tokens": 29} if output else None
    head = {"id": "resp_fixed", "object": "response", "created_at": 1_767_225_600, "status": status, "model": MODEL}
    return {**head, "output": output, "usage": usage, "tools": [], "tool_choice": "auto", "user": None, "metadata": {}}


def _responses() -> tuple[bytes, bytes]:
    """The same sentence in the Responses API, whole and as a stream."""
    item: dict[str, object] = {"type": "message", "id": "msg_fixed", "status": "completed", "role": "assistant"}
    done = {**item, "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}
    at = {"item_id": "msg_fixed", "output_index": 0, "content_index": 0}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {"type": "output_text", "text": "", "annotations": []}},
        *({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in PIECES if piece),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": _response("completed", [done])},
    ]
    lines = [f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': n})}\n\n" for n, one in enumerate(events)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(line.encode()), line.encode()) for line in lines)
    body = json.dumps(_response("completed", [done])).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body, STREAM_HEAD + chunks + b"0\r\n\r\n"


def _messages() -> tuple[bytes, bytes]:
    """The sentence in Anthropic's dialect, whole and streamed."""
    head = {"id": "msg_fixed", "type": "message", "role": "assistant", "model": MODEL, "stop_sequence": None}
    usage = {"input_tokens": 21, "output_tokens": 8}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in PIECES
            if piece
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}},
        {"type": "message_stop"},
    ]
    lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]
    said = {**head, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": usage}
    body = json.dumps(said).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    return whole, STREAM_HEAD + b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SENTENCE, CALLING, EVENTS = _whole(TEXT), _whole(CALL), _events()
RESPONSE, RESPONSE_STREAM = _responses()
MESSAGE, MESSAGE_STREAM = _messages()
MODELS = b'{"object":"list","data":[{"id":"fixed","object":"model","created":0,"owned_by":"fixed"}]}'
LISTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(MODELS), MODELS)


class Fixed(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._data = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A gateway is here."""
        self.transport = transport  # type: ignore[assignment]  # of uvloop, and no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._data = self._data + data if self._data else data
        while self._data:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].partition(b"\r")[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self._data) < whole:
                return
            body, self._data = self._data[end + 4 : whole], self._data[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"post"):
            self.transport.write(LISTED)
        elif head.startswith(b"post /hang/"):
            pass
        elif b"/responses http" in head[:80]:
            self.transport.write(RESPONSE_STREAM if b'"stream":true' in body else RESPONSE)
        elif b"/messages http" in head[:80]:
            self.transport.write(MESSAGE_STREAM if b'"stream":true' in body else MESSAGE)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self._stream(beat=b'"beat"' in body)
        elif b'"tools":' in body:
            self.transport.write(CALLING)
        else:
            self.transport.write(SENTENCE)

    def _stream(self, *, beat: bool) -> None:
        if not beat:
            self.transport.write(STREAM_HEAD + b"".join(EVENTS))
            return
        self.transport.write(STREAM_HEAD + EVENTS[0])
        for place, event in enumerate(EVENTS[1:], 1):
            self._loop.call_later(place * BEAT_S, self.transport.write, event)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
