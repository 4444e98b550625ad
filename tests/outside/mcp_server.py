"""A server of tools on standard input and output, with the oddities of real ones. Its argument says which."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["main"]

OBJECT = {"type": "object"}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "normal": [{"name": "city_weather", "inputSchema": {**OBJECT, "properties": {"city": {"type": "string"}}}}],
    "name128": [{"name": "n" * 100, "inputSchema": OBJECT}],
    "boolprop": [{"name": "x", "inputSchema": {**OBJECT, "properties": {"any": True}}}],
    "reqmissing": [{"name": "x", "inputSchema": {**OBJECT, "properties": {"a": {"type": "string"}}, "required": ["a", "b"]}}],
}


def main(mode: str) -> None:
    """Answer until standard input ends. logs: a line of a log comes first; bom: the first answer begins with a byte order mark."""
    if mode == "logs":
        print("Starting server on stdio...", flush=True)
    mark = "\ufeff" if mode == "bom" else ""
    for line in sys.stdin:
        message = json.loads(line)
        answers: dict[str, Any] = {
            "initialize": {
                "protocolVersion": message.get("params", {}).get("protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            },
            "tools/list": {"tools": TOOLS.get(mode, TOOLS["normal"])},
        }
        if message.get("method") in answers:
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": answers[message["method"]]}
            print(mark + json.dumps(reply), flush=True)
            mark = ""


if __name__ == "__main__":
    main(sys.argv[1])
