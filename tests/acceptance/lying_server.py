"""Stands between the program and a scripted server, and tells lies of log probabilities and of what serves."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["LIES", "LyingServer", "lying_server"]

Entries = list[dict[str, Any]]


def _with(entries: Entries, **fields: Any) -> Entries:
    """The same, the first of them with these fields."""
    return [{**entries[0], **fields}, *entries[1:]]


LIES: dict[str, Callable[[Entries], Entries | None]] = {
    "none": lambda entries: None,
    "empty": lambda entries: [],
    "nan": lambda entries: _with(entries, logprob=float("nan")),
    "words": lambda entries: _with(entries, logprob="sure"),
    "positive": lambda entries: _with(entries, logprob=5.0),
    "nameless": lambda entries: _with(entries, token=None, bytes=None),
    "few": lambda entries: entries[:1],
    "other": lambda entries: [{**one, "token": one["token"][::-1].upper(), "bytes": None} for one in reversed(entries)],
}
"""By the model that tells it: what becomes of the entries of all tokens."""


class LyingServer(ThreadingHTTPServer):
    """Every model but those in `LIES` is passed on as it is.

    Attributes:
        digest: what `/v1/models` names in place of the small model's.
        asked: how many chats each model had.
    """

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = behind.removeprefix("http://").partition("/")[0]
        self.digest = "sha256:small"
        self.asked: Counter[str] = Counter()

    def handle_error(self, *_: object) -> None:
        """Who asked may have gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LyingServer

    def do_GET(self) -> None:
        """What is told of models may be another one."""
        self._answer(None)

    def do_POST(self) -> None:
        """A chat."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, body: bytes | None) -> None:
        behind = http.client.HTTPConnection(self.server.host, timeout=60)
        behind.request(self.command, self.path, body, {"Content-Type": "application/json"})
        reply = behind.getresponse()
        data, kind = reply.read(), reply.getheader("Content-Type", "application/json")
        behind.close()
        model = json.loads(body).get("model", "") if body else ""
        self.server.asked[model] += 1
        if model in LIES and reply.status == 200:
            whole = json.loads(data)
            choice = whole["choices"][0]
            found = LIES[model](choice.pop("logprobs", {}).get("content") or [{"token": "", "logprob": 0.0}])
            data = json.dumps(
                {**whole, "choices": [choice if found is None else {**choice, "logprobs": {"content": found}}]}
            ).encode()
        if body is None:
            data = data.replace(b"sha256:small", self.server.digest.encode())
        self.send_response(reply.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def lying_server(behind: str) -> Iterator[tuple[LyingServer, str]]:
    """The server and its base URL. behind: that of the scripted one."""
    server = LyingServer(behind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)
