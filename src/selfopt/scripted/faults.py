"""The bytes of a scripted fault."""

from __future__ import annotations

import json

from .script import ScriptedFault

LOADING_BODY = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
HUGE_BYTES = 10_000_000
DEEP_LEVELS = 10_000
_HTML = "<!doctype html><html><body><h1>502 Bad Gateway</h1><script>alert(1)</script></body></html>"


def fault_bytes(fault: ScriptedFault) -> bytes:
    """The body that a fault of this kind sends: `huge` 10 MB of JSON, `deep` 10,000 levels of it."""
    if fault.kind == "deep":
        return b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS
    if fault.kind == "huge":
        return b'{"filler": "' + b"x" * HUGE_BYTES + b'"}'
    if fault.kind == "invalid_utf8":
        return b'{"choices": [{"message": {"role": "assistant", "content": "\xff\xfe\xc3\x28"}}]}'
    if fault.kind == "html":
        return (fault.body or _HTML).encode()
    if fault.kind == "status":
        return json.dumps({"error": {"code": fault.status, "message": fault.body or "scripted fault", "type": "error"}}).encode()
    return (fault.body or "\x1b[2J}{ no \x07 JSON at all").encode()
