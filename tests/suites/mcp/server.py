"""An MCP server for tests, on standard input and output; run as a program, its argument says how it misbehaves.

Nothing of selfopt is imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# What results of the newest revision say besides.
CACHING = {"resultType": "complete", "cacheScope": "private", "ttlMs": 0}


def tool(name: str) -> dict[str, Any]:
    """A tool as MCP describes it."""
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    return {"name": name, "title": name.title(), "description": f"Does {name}.", "inputSchema": schema, "annotations": {}}


def answer(message: dict[str, Any], how: str) -> dict[str, Any]:
    """The result of a request, in pages of one tool."""
    if message["method"] == "initialize":
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}
    if message["method"] == "server/discover":
        server = {"name": "t", "version": "1"}
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": server, **CACHING}
    page = int(message.get("params", {}).get("cursor", 0))
    result: dict[str, Any] = {"tools": [tool(f"tool_{page}")]}
    if how == "stateless":
        result |= CACHING
    if how == "endless":
        return {**result, "nextCursor": str(page + 1)}
    if how == "circle":
        return {**result, "nextCursor": "1"}
    if how == "no list":
        return {"tools": "none"}
    if how == "bad tool":
        return {"tools": [tool("a"), {"name": 3, "inputSchema": {"type": "object"}}]}
    if how == "bare":
        return {"tools": [{"name": "a"}, {"name": "b", "inputSchema": None}, tool("c")]}
    return {**result, "nextCursor": str(page + 1)} if page < 2 else result


def known(message: dict[str, Any]) -> bool:
    """Whether a request carries what servers without a handshake need."""
    return "io.modelcontextprotocol/protocolVersion" in message.get("params", {}).get("_meta", {})


LOGS = {"prints": "Welcome to my server!", "logs json": '{"level": "info", "msg": "starting"}\n[1]\n{"id": 1'}
FLOODS = {
    "flood": "x" * 65536,
    "lines": "Still starting...\n",
    "chatter": json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 1000}}) + "\n",
}


def send(body: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps(body), flush=True)


def serve(how: str) -> None:
    """Answer what comes until the input ends."""
    while how in FLOODS:
        sys.stdout.write(FLOODS[how])
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
        if how == "refuses":
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32000, "message": "not\x1b today"}})
            continue
        if how == "nested":
            print('{"jsonrpc": "2.0", "id": 0, "result": ' + '{"a":' * 100_000, flush=True)
            continue
        print(LOGS.get(how, ""), flush=True)
        if how == "stateless" and not known(message):
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no initialize here"}})
            continue
        if how == "asks":
            send({"jsonrpc": "2.0", "id": 77, "method": "ping"})
            send({"jsonrpc": "2.0", "id": 78, "method": "roots/list"})
            send({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
            answers = [json.loads(sys.stdin.readline()) for _ in range(2)]
            assert answers[0] == {"jsonrpc": "2.0", "id": 77, "result": {}}
            assert answers[1]["error"]["code"] in (-32600, -32601)
        print("\ufeff" if how == "bom" else "", end="" if how == "bom" else "\n", flush=True)
        send({"jsonrpc": "2.0", "id": message["id"], "result": answer(message, how)})


if __name__ == "__main__":
    serve(sys.argv[1] if len(sys.argv) > 1 else "")
