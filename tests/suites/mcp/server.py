"""An MCP server for tests, on standard input and output; run as a program, its argument says how it misbehaves.

Nothing of selfopt is imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def tool(name: str) -> dict[str, Any]:
    """A tool as MCP describes it."""
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    return {"name": name, "title": name.title(), "description": f"Does {name}.", "inputSchema": schema, "annotations": {}}


def answer(message: dict[str, Any], how: str) -> dict[str, Any]:
    """The result of a request, in pages of one tool."""
    if message["method"] == "initialize":
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}
    page = int(message["params"].get("cursor", 0))
    result: dict[str, Any] = {"tools": [tool(f"tool_{page}")]}
    if how == "endless":
        return {**result, "nextCursor": str(page + 1)}
    if how == "circle":
        return {**result, "nextCursor": "1"}
    if how == "no list":
        return {"tools": "none"}
    if how == "bad tool":
        return {"tools": [tool("a"), {"name": 3}]}
    return {**result, "nextCursor": str(page + 1)} if page < 2 else result


def send(body: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps(body), flush=True)


def serve(how: str) -> None:
    """Answer what comes until the input ends."""
    if how == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    if how == "chatter":
        while True:
            send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 1000}})
    if how == "dies":
        sys.stderr.write("I need a \x1b[31mkey\n")
        sys.exit(3)
    if how == "orphan":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        sys.stderr.write(f"child {child.pid} of server {os.getpid()}\n")
        sys.stderr.flush()
    for line in sys.stdin:
        message = json.loads(line)
        if how in ("hang", "orphan") or "id" not in message:
            continue
        if how == "prints":
            print("Welcome to my server!", flush=True)
        if how == "refuses":
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32000, "message": "not\x1b today"}})
            continue
        if how == "no result":
            send({"jsonrpc": "2.0", "id": message["id"]})
            continue
        if how == "stateless":
            meta = message["params"].get("_meta", {})
            if meta.get("io.modelcontextprotocol/protocolVersion") != "2026-07-28":
                send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no initialize here"}})
                continue
        if how == "asks":
            send({"jsonrpc": "2.0", "id": 77, "method": "ping"})
            send({"jsonrpc": "2.0", "id": 78, "method": "roots/list"})
            send({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
            answers = [json.loads(sys.stdin.readline()) for _ in range(2)]
            assert answers[0] == {"jsonrpc": "2.0", "id": 77, "result": {}}
            assert answers[1]["error"]["code"] == -32601
        print(flush=True)
        send({"jsonrpc": "2.0", "id": message["id"], "result": answer(message, how)})


if __name__ == "__main__":
    serve(sys.argv[1] if len(sys.argv) > 1 else "")
