"""How long can one body within the limits hold up everybody else? The longest step of the gateway's loop, body by body.

    python perf/loop_steps.py [--json] [--rounds 3]

Bodies of 19.9 MB (or as many values as are allowed) go one after another to a gateway in a process of its own; the least of the
rounds' longest steps counts, since a shared machine makes steps longer and never shorter. Aim: none above 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from gateway_parts.beating import LAYOUT
from gateway_parts.ours import fixed_world, prepare
from gateway_parts.processes import GATEWAY_CORE, free_port, start, start_upstream, wait_until_answers

AIM_MS = 50.0
BODY_BYTES = 19_900_000
SETTLE_S = 60.0


def _text(content: bytes, model: bytes = b"fixed/plain") -> bytes:
    return b'{"model":"%s","messages":[{"role":"user","content":"%s"}]}' % (model, content)


def _beside(field: bytes, model: bytes = b"fixed/plain") -> bytes:
    return _text(b"hi", model)[:-1] + b',"x":' + field + b"}"


def _tools(count: int, depth: int) -> bytes:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    tools = [{"type": "function", "function": {"name": f"t{i}", "parameters": schema}} for i in range(count)]
    return _text(b"hi", b"fixed/harness")[:-1] + b',"tools":' + json.dumps(tools).encode() + b"}"


N = BODY_BYTES - 1000
BODIES: dict[str, Callable[[], bytes]] = {
    "opening brackets": lambda: _beside(b"[" * N),
    "empty lists": lambda: _beside(b"[" + b"[]," * (N // 3) + b"1]"),
    "250,000 lists": lambda: _beside(b"[" + b"[]," * 249_000 + b"1]"),
    "1,000,000 numbers": lambda: _beside(b"[" + b"1," * 999_000 + b"1]"),
    "10 million numbers": lambda: _beside(b"[" + b"1," * (N // 2) + b"1]"),
    "one number": lambda: _beside(b"1" * N),
    "1,000 keys at the top": lambda: _text(b"hi")[:-1] + b"".join(b',"%d":1' % i for i in range(990)) + b"}",
    "keys at the top": lambda: _text(b"hi")[:-1] + b"".join(b',"%d":1' % i for i in range(N // 12)) + b"}",
    "a long text": lambda: _text(b"a" * N),
    "a long text, harness": lambda: _text(b"a" * N, b"fixed/harness"),
    "brackets in a text": lambda: _text(b"[" * N),
    "escaped quotes": lambda: _text(b'\\"' * (N // 2)),
    "escaped lines": lambda: _text(b"\\n" * (N // 2)),
    "escaped NULs": lambda: _text(b"\\u0000" * (N // 6)),
    "half surrogates": lambda: _text(b"\\ud800" * (N // 6)),
    "letters beyond ASCII": lambda: _text("ä".encode() * (N // 2)),
    "byte order mark": lambda: b"\xef\xbb\xbf" + _text(b"a" * N),
    "no UTF-8": lambda: _text(b"\xff" * N),
    "spaces": lambda: _text(b"hi")[:-1] + b" " * N + b"}",
    "10,000 messages": lambda: (
        b'{"model":"fixed/plain","messages":[' + b'{"role":"user","content":"hi"},' * 9_999 + b'{"role":"user"}]}'
    ),
    "240,000 messages": lambda: b'{"model":"fixed/plain","messages":[' + b'{"role":"user"},' * 240_000 + b'{"role":"user"}]}',
    "128 deep tools, harness": lambda: _tools(128, 25),
    "512 deep tools, harness": lambda: _tools(512, 25),
    "one deep tool, harness": lambda: _tools(1, 28),
}


def _ask(port: int, key: str, body: bytes) -> int:
    """The status of the answer; 0 when there was none."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), SETTLE_S) as connection:
        with contextlib.suppress(OSError):  # it may be answered before its end
            connection.sendall(head.encode() + body)
        try:
            answer = connection.recv(65_536)
        except OSError:
            return 0
    return int(answer[9:12]) if answer[9:12].isdigit() else 0


def measured(rounds: int) -> list[dict[str, object]]:
    """A row a body: name, megabytes, status, step_ms (the loop's own CPU) and wait_ms (by the clock), each the least of the rounds'
    longest."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream, url = start_upstream(folder)
        environ, _, key = prepare(folder, fixed_world(f"{url}/v1"))
        notes, port = folder / "steps", free_port()
        notes.write_bytes(bytes(LAYOUT.size))
        script = Path(__file__).parent / "gateway_parts" / "beating.py"
        command = [sys.executable, str(script), str(notes), "serve", "--port", str(port)]
        gateway = start("beating", command, folder, core=GATEWAY_CORE, environ=environ)
        try:
            wait_until_answers(gateway, f"http://127.0.0.1:{port}/ready", SETTLE_S)
            for what, make in BODIES.items():
                body, steps, status = make(), [], 0
                for _ in range(rounds):
                    with notes.open("r+b") as file:
                        file.write(bytes(LAYOUT.size))
                    status = _ask(port, key, body)
                    steps.append(LAYOUT.unpack(notes.read_bytes()))
                step_ms, wait_ms = (round(min(s[i] for s in steps) * 1000, 1) for i in (0, 1))
                rows.append(
                    {"body": what, "mb": round(len(body) / 1e6, 1), "status": status, "step_ms": step_ms, "wait_ms": wait_ms}
                )
        finally:
            gateway.end()
            upstream.end()
    return rows


def main() -> None:
    """Measure and print; exit code 100 when a step was longer than the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    rows = measured(chosen.rounds)
    if chosen.json:
        print(json.dumps(rows, indent=2))
    else:
        print(f"{'body':26} {'MB':>5} {'status':>6} {'step ms':>8} {'wait ms':>8}   (aim: {AIM_MS:g} ms)")
        for row in rows:
            late = "" if float(str(row["wait_ms"])) <= AIM_MS else "  MISSED"
            print(f"{row['body']:26} {row['mb']:5} {row['status']:6} {row['step_ms']:8} {row['wait_ms']:8}{late}")
    sys.exit(100 if any(float(str(row["step_ms"])) > AIM_MS for row in rows) else 0)


if __name__ == "__main__":
    main()
