"""What each dialect of clients costs the gateway: CPU time a request, beside that of a chat.

    python perf/dialects.py [--requests N] [--rounds N] [--json]

A gateway in this process stands in front of a fixed upstream; that and the client are processes of their own. All kinds of requests are asked in
turn, in rounds; a kind's figure is the lowest of its rounds, which other work on the machine meets least. Aims: passed on to a server of the same
dialect, at most 1.3 times a chat that is passed on; translated, at most 1.2 times a chat through the same variant. An aim that is missed is said;
it is no failure.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing as mp
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from selfopt.gateway import fast_loop
from selfopt.records import Rule, Variant
from selfopt.routing import rule_id_of
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options

PASSED_AIM, TRANSLATED_AIM = 1.3, 1.2
WORDS = [f"The capital of country number {n} is a city. " for n in range(30)]
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "The weather of a city", "parameters": SCHEMA}
TURNS = [{"role": ("user", "assistant")[n % 2], "content": f"{n}: what is the weather like in Paris, and why?"} for n in range(5)]
BODIES: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "system", "content": "Be brief."}, *TURNS], "max_tokens": 200},
    "messages": {"messages": TURNS, "max_tokens": 200, "system": "Be brief."},
    "responses": {"instructions": "Be brief.", "input": TURNS, "max_output_tokens": 200, "store": False},
}
OFFERED: dict[str, Any] = {
    "chat": [{"type": "function", "function": FUNCTION}],
    "messages": [{"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}],
    "responses": [{"type": "function", **FUNCTION}],
}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
PASSED = {"chat": "own/m", "messages": "claude/m", "responses": "both/m"}


def _events(*events: dict[str, Any], named: bool = True) -> bytes:
    lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" if named else f"data: {json.dumps(e)}\n\n" for e in events)
    return "".join(lines).encode()


def answers() -> dict[str, tuple[bytes, bytes]]:
    """The bodies of answers by path, whole and streamed."""
    text = "".join(WORDS)
    usage = {"prompt_tokens": 9, "completion_tokens": 300, "total_tokens": 309}
    pieces = [{"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    whole = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": usage,
    }
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 9}}
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS]
    response = {"id": "r", "object": "response", "status": "completed", "usage": {"input_tokens": 9, "output_tokens": 300}}
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    said = [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": word} for word in WORDS]
    return {
        "/v1/chat/completions": (json.dumps(whole).encode(), _events(*pieces, end, named=False) + b"data: [DONE]\n\n"),
        "/v1/messages": (
            json.dumps({**message, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}).encode(),
            _events(
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                *deltas,
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 300}},
                {"type": "message_stop"},
            ),
        ),
        "/v1/responses": (
            json.dumps({**response, "output": output}).encode(),
            _events(*said, {"type": "response.completed", "response": {**response, "output": output}}),
        ),
    }


def serve(told: Connection) -> None:
    """Be the upstream, in a process of its own."""
    known = answers()
    call = json.dumps(
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": CALL}, "finish_reason": "stop"}]}
    ).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                body = await reader.readexactly(length)
                path = head.split(b" ", 2)[1].decode()
                if path not in known:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                streamed = b'"stream":true' in body
                said = call if b'"tools"' in body and not streamed else known[path][streamed]
                kind = b"text/event-stream" if streamed else b"application/json"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ask(told: Connection) -> None:
    """Be the client, in a process of its own: gets a port, then paths, bodies and numbers of requests."""
    connection = http.client.HTTPConnection("127.0.0.1", told.recv(), timeout=300)
    headers = {"Content-Type": "application/json"}
    while (order := told.recv()) is not None:
        path, body, n = order
        for _ in range(n):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}: {said[:300]!r}")
        told.send(n)


def kinds() -> dict[str, tuple[str, bytes]]:
    """The path and the body of each kind of request."""
    found: dict[str, tuple[str, bytes]] = {}
    for name, path in PATHS.items():
        for how in ("whole", "streamed"):
            more = {"stream": True} if how == "streamed" else {}
            body = {**BODIES[name], **more, "model": PASSED[name]}
            found[f"{name} passed {how}"] = path, json.dumps(body, separators=(",", ":")).encode()
        body = {**BODIES[name], "model": "own/m", "tools": OFFERED[name]}
        found[f"{name} variant whole"] = path, json.dumps(body, separators=(",", ":")).encode()
    return found


async def measured(upstream: int, client: Connection, n: int, rounds: int) -> dict[str, float]:
    """Milliseconds of CPU that one request of each kind takes."""
    entries = (
        ("own", "openai_compatible", ""),
        ("claude", "anthropic", ""),
        ("both", "openai_compatible", 'also = ["openai_responses"]'),
    )
    with tempfile.TemporaryDirectory(prefix="selfopt-perf-") as folder:
        config = Path(folder) / "own.toml"
        tables = (
            f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "http://127.0.0.1:{upstream}"\nlocal = true\n{more}\n'
            for name, kind, more in entries
        )
        config.write_text("[gateway]\naccess_log = false\n" + "".join(tables), "utf-8")
        environ = {"SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(Path(folder) / "home")}
        async with App.open(environ=environ, cwd=Path(folder)) as app:
            variant = Variant(name="reads", parsers=("all@2", "fit@2"))
            rules = [
                Rule(rule_id=rule_id_of("own/m", phase), model="own/m", phase=phase, allow=True, variant=variant)
                for phase in ("atomic", "extended")
            ]
            app.enforcer.apply(rules, event="perf", reason="")
            gateway = build_gateway(app, gateway_options(app, None, 0))
            await gateway.start()
            try:
                client.send(int(gateway.base_url.rsplit(":", 1)[1].partition("/")[0]))
                return await _rounds(client, n, rounds)
            finally:
                await gateway.close()


async def _rounds(client: Connection, n: int, rounds: int) -> dict[str, float]:
    loop, orders = asyncio.get_running_loop(), kinds()
    least: dict[str, float] = dict.fromkeys(orders, float("inf"))
    for number in range(rounds + 1):  # the first one warms up
        for name, order in orders.items():
            began = time.process_time()
            client.send((*order, n))
            await loop.run_in_executor(None, client.recv)
            if number:
                least[name] = min(least[name], (time.process_time() - began) / n * 1000)
    return least


def ratios(ms: dict[str, float]) -> dict[str, tuple[float, float]]:
    """How much a request costs beside the chat that it is compared with, and the aim."""
    found: dict[str, tuple[float, float]] = {}
    for name in list(PATHS)[1:]:
        for how in ("passed whole", "passed streamed", "variant whole"):
            aim = TRANSLATED_AIM if how.startswith("variant") else PASSED_AIM
            found[f"{name} {how}"] = ms[f"{name} {how}"] / ms[f"chat {how}"], aim
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what each dialect of clients costs")
    parser.add_argument("--requests", type=int, default=200, help="requests of each kind in a round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    options = parser.parse_args()
    context = mp.get_context("spawn")
    ports, orders = context.Pipe(), context.Pipe()
    children = [context.Process(target=work, args=(end,), daemon=True) for work, end in ((serve, ports[1]), (ask, orders[1]))]
    for child in children:
        child.start()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        ms = runner.run(measured(ports[0].recv(), orders[0], options.requests, options.rounds))
    for child in children:
        child.kill()
    compared = ratios(ms)
    if not options.json:
        for name, (ratio, aim) in compared.items():
            met = "met" if ratio <= aim else "missed"
            print(f"{name}: {ms[name]:.3f} ms of CPU, {ratio:.2f} times the chat's (aim {aim:g}: {met})")
    print(json.dumps({"ms": {k: round(v, 5) for k, v in ms.items()}, "ratios": {k: round(v[0], 3) for k, v in compared.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
