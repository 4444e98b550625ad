"""A child that speaks the protocol of the real one and does what its "model" file says."""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def main() -> None:
    """Behaviours: `stderr` text to log first; `end`: failed | crash | garbage | hang | unhealthy | lingers."""
    config = json.loads(sys.stdin.readline())
    behaviour: dict[str, Any] = json.loads(Path(config["model_path"]).read_text(encoding="utf-8"))
    state = {"asleep": bool(behaviour.get("asleep"))}
    print(behaviour.get("stderr", ""), file=sys.stderr, flush=True)
    end = behaviour.get("end")
    if end == "crash":
        os._exit(7)
    if end == "failed":
        print(json.dumps({"event": "failed", "reason": "no such luck"}), flush=True)
        os._exit(1)
    if end == "garbage":
        print("x" * behaviour.get("length", 10), flush=True)
        sys.stdin.read()
        os._exit(0)
    if end == "hang":
        sys.stdin.read()
        os._exit(0)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            if self.path == "/health":
                self._answer(503 if end == "unhealthy" else 200, {})
            elif self.headers["Authorization"] != f"Bearer {config['api_key']}":
                self._answer(401, {})
            elif behaviour.get("props") == "garbage":
                self._answer(200, "no object")
            else:
                self._answer(200, {"is_sleeping": state["asleep"]})

        def do_POST(self) -> None:
            state["asleep"] = False
            self._answer(200, {})

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"event": "listening", "port": server.server_address[1], "build": "fake"}), flush=True)
    sys.stdin.read()
    if end == "lingers":
        threading.Event().wait()
    os._exit(0)


if __name__ == "__main__":
    main()
