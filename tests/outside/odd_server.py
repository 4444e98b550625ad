"""A model server with the oddities that public bug reports describe: it answers by the model's name, from `data/replies.json`."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .kit import DATA

__all__ = ["OddServer"]

REPLIES: dict[str, Any] = json.loads((DATA / "replies.json").read_text("utf-8"))
NOTHING = {"role": "assistant", "content": "n/a"}
WHOLE = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": NOTHING, "finish_reason": "stop"}]}
PIECES = 'data: {"id": "x", "choices": [{"index": 0, "delta": {"content": "n/a"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


class OddServer:
    """Serves on a free port of loopback from the moment it is made until `close`. asked: path and body of every request."""

    def __init__(self) -> None:
        asked: list[tuple[str, dict[str, Any]]] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on standard error."""

            def do_GET(self) -> None:
                """What is there."""
                asked.append((self.path, {}))
                self.answer(*_listed(self.path))

            def do_POST(self) -> None:
                """A chat, or a question about a model."""
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length) if length else self.chunks()
                body = json.loads(raw or b"{}")
                asked.append((self.path, body))
                self.answer(*_answered(self.path, body))

            def chunks(self) -> bytes:
                """A body in pieces."""
                found = b""
                while self.headers.get("Transfer-Encoding") == "chunked":
                    size = int(self.rfile.readline().strip(), 16)
                    found += self.rfile.read(size)
                    self.rfile.readline()
                    if size == 0:
                        break
                return found

            def answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
                """One reply."""
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


Reply = tuple[int, dict[str, str], bytes]


def _json(body: Any, status: int = 200) -> Reply:
    return status, {}, json.dumps(body).encode("utf-8", "surrogateescape")


def _listed(path: str) -> Reply:
    ollama = [{"name": f"{n}:latest", "model": f"{n}:latest", "digest": "abc", "size": 1} for n in REPLIES["ollama"]]
    bodies: dict[str, Any] = {
        "/v1/models": {"object": "list", "data": [{"id": name, "object": "model"} for name in REPLIES["openai"]]},
        "/api/version": {"version": "0.12.0"},
        "/api/tags": {"models": ollama},
        "/api/ps": {"models": None},
        "/health": {"status": "ok"},
    }
    return _json(bodies[path]) if path in bodies else (404, {"Content-Type": "text/plain"}, b"404 page not found")


def _answered(path: str, body: dict[str, Any]) -> Reply:
    name = str(body.get("model", "")).partition(":")[0]
    if path == "/v1/chat/completions":
        return _openai(name, stream=bool(body.get("stream")))
    if path == "/api/chat":
        return _ollama(name, body)
    if path == "/api/show":
        return _json(
            {"template": "", "details": {"quantization_level": "Q4_0"}, "model_info": {}, "capabilities": ["completion"]}
        )
    if path == "/api/generate":
        return _json({"model": "m", "response": "", "done": True, "done_reason": "load"})
    return 404, {"Content-Type": "text/plain"}, b"404 page not found"


def _openai(name: str, *, stream: bool) -> Reply:
    if name in REPLIES["openai_errors"]:
        status, headers, text = REPLIES["openai_errors"][name]
        return status, headers, text.encode()
    if name not in REPLIES["openai"]:
        return _json({"error": {"message": f"model {name} not found"}}, 404)
    reply = REPLIES["openai"][name]
    if stream:
        return 200, {"Content-Type": "text/event-stream"}, (reply["stream"] or PIECES).encode("utf-8", "surrogateescape")
    whole = reply["whole"] or WHOLE
    status, headers, data = _json(whole) if not isinstance(whole, str) else (200, {}, whole.encode("utf-8", "surrogateescape"))
    return (status, {"Content-Encoding": "gzip"}, gzip.compress(data)) if name == "gzip" else (status, headers, data)


def _ollama(name: str, body: dict[str, Any]) -> Reply:
    if name == "no_tools" and not body.get("tools"):
        return _ollama_done({**REPLIES["ollama"]["ok"], "message": _in_words(body)}, stream=bool(body.get("stream")))
    if name in REPLIES["ollama_errors"]:
        status, text = REPLIES["ollama_errors"][name]
        return status, {}, text.encode()
    if name in REPLIES["ollama"]:
        return _ollama_done(REPLIES["ollama"][name], stream=bool(body.get("stream")))
    return _json({"error": f"model '{name}' not found"}, 404)


def _in_words(body: dict[str, Any]) -> dict[str, Any]:
    """What a model without tools writes when they stand in the prompt: a call as JSON, or plain words."""
    asked = str(body["messages"][-1]["content"])
    answer = next((said for words, said in REPLIES["in_words"].items() if words in asked), "I can do that without a tool.")
    return {"role": "assistant", "content": answer}


def _ollama_done(body: dict[str, Any], *, stream: bool) -> Reply:
    if not stream:
        return _json(body)
    parts = [{**body, "done": False}, {**body, "message": {"role": "assistant", "content": ""}}]
    return 200, {"Content-Type": "application/x-ndjson"}, ("\n".join(map(json.dumps, parts)) + "\n").encode()
