"""What a request costs the gateway in each dialect of its clients, in CPU time, beside a chat.

    python perf/dialects.py [--requests N] [--rounds N] [--json]

The fixed upstream (perf/gateway_parts/upstream.py) stands behind `selfopt serve`, on the other core. All kinds of requests take turns,
so that whatever else the machine does falls on all of them alike. A figure is the median of the rounds. The aims: between the same dialect on both
sides at most 1.3 of a chat that is passed on, and translated at most 1.2 of a chat through a variant.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway_parts.ours import PHASES, VARIANT, World, our_gateway, rule_of
from gateway_parts.processes import start_upstream
from gateway_parts.requests import TOOLS
from selfopt.variants import get_variant

SAID = "What is the capital of France?"
CALLED = "What is the weather in Paris?"
FLAT_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]  # type: ignore[dict-item]
PASSED_AIM, TRANSLATED_AIM = 1.3, 1.2


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request. beside: the kind that it is compared with; aim: at most so many times its CPU time."""

    path: str
    body: Mapping[str, Any]
    holds: str
    beside: str = ""
    aim: float = 0.0


def _chat(model: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def _response(model: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "input": text, **more}


def _message(model: str, text: str, **more: Any) -> dict[str, Any]:
    return _chat(model, text, max_tokens=200, **more)


CUSTOM_TOOLS = [
    {"name": tool["name"], "description": tool.get("description"), "input_schema": tool["parameters"]} for tool in FLAT_TOOLS
]
CHATS, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
SENTENCE, CALL = "capital of France is Paris", "get_weather"
KINDS: Mapping[str, Kind] = {
    "chat, passed on": Kind(CHATS, _chat("chats/plain", SAID), SENTENCE),
    "chat, passed on, streamed": Kind(CHATS, _chat("chats/plain", SAID, stream=True), "[DONE]"),
    "chat, through a variant": Kind(CHATS, _chat("chats/harness", CALLED, tools=TOOLS), '"tool_calls"'),
    "chat, through a variant, streamed": Kind(CHATS, _chat("chats/harness", CALLED, tools=TOOLS, stream=True), '"tool_calls"'),
    "chat, text through a variant, streamed": Kind(CHATS, _chat("chats/talks", SAID, tools=TOOLS, stream=True), "[DONE]"),
    "messages, passed on": Kind(MESSAGES, _message("both/plain", SAID), SENTENCE, "chat, passed on", PASSED_AIM),
    "messages, passed on, streamed": Kind(
        MESSAGES, _message("both/plain", SAID, stream=True), "message_stop", "chat, passed on, streamed", PASSED_AIM
    ),
    "messages, translated": Kind(MESSAGES, _message("chats/plain", SAID), SENTENCE, "chat, through a variant", TRANSLATED_AIM),
    "messages, translated, streamed": Kind(
        MESSAGES,
        _message("chats/plain", SAID, stream=True),
        "message_stop",
        "chat, text through a variant, streamed",
        TRANSLATED_AIM,
    ),
    "messages, through a variant": Kind(
        MESSAGES,
        _message("chats/harness", CALLED, tools=CUSTOM_TOOLS),
        '"tool_use"',
        "chat, through a variant",
        TRANSLATED_AIM,
    ),
    "messages, through a variant, streamed": Kind(
        MESSAGES,
        _message("chats/harness", CALLED, tools=CUSTOM_TOOLS, stream=True),
        '"tool_use"',
        "chat, through a variant, streamed",
        TRANSLATED_AIM,
    ),
    "responses, passed on": Kind(RESPONSES, _response("both/plain", SAID), SENTENCE, "chat, passed on", PASSED_AIM),
    "responses, passed on, streamed": Kind(
        RESPONSES, _response("both/plain", SAID, stream=True), "response.completed", "chat, passed on, streamed", PASSED_AIM
    ),
    "responses, translated": Kind(RESPONSES, _response("chats/plain", SAID), SENTENCE, "chat, through a variant", TRANSLATED_AIM),
    "responses, translated, streamed": Kind(
        RESPONSES,
        _response("chats/plain", SAID, stream=True),
        "response.completed",
        "chat, text through a variant, streamed",
        TRANSLATED_AIM,
    ),
    "responses, through a variant": Kind(
        RESPONSES,
        _response("chats/harness", CALLED, tools=FLAT_TOOLS),
        '"function_call"',
        "chat, through a variant",
        TRANSLATED_AIM,
    ),
    "responses, through a variant, streamed": Kind(
        RESPONSES,
        _response("chats/harness", CALLED, tools=FLAT_TOOLS, stream=True),
        '"function_call"',
        "chat, through a variant, streamed",
        TRANSLATED_AIM,
    ),
}


class Asker:
    """Asks over one kept connection."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._head = f"Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n".encode()

    def ask(self, kind: Kind) -> bytes:
        """Ask once. RuntimeError for anything but the answer that is due."""
        body = json.dumps(kind.body, separators=(",", ":")).encode()
        self._socket.sendall(
            b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (kind.path.encode(), self._head, len(body), body)
        )
        answer = b""
        while not self._whole(answer):
            data = self._socket.recv(1 << 16)
            if not data:
                break
            answer += data
        if not answer.startswith(b"HTTP/1.1 200") or kind.holds.encode() not in answer:
            raise RuntimeError(f"{kind.path} answers wrongly: {answer[-600:]!r}")
        return answer

    @staticmethod
    def _whole(answer: bytes) -> bool:
        head, found, body = answer.partition(b"\r\n\r\n")
        if not found:
            return False
        at = head.lower().find(b"content-length:")
        return len(body) >= int(head[at + 15 :].partition(b"\r")[0]) if at >= 0 else body.endswith(b"0\r\n\r\n")


def measured(requests: int, rounds: int) -> dict[str, float]:
    """CPU milliseconds a request of each kind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="selfopt-perf-")))
        upstream, url = start_upstream(folder)
        stack.callback(upstream.end)
        variants = {"chats/harness": get_variant(VARIANT), "chats/talks": get_variant("native_parsed")}
        rules = [rule_of(model, phase, variant=own) for model, own in variants.items() for phase in PHASES]
        world = World({"chats": url, "both": url}, rules, {"both": 'also = ["openai_responses", "anthropic"]\n'})
        ours = stack.enter_context(our_gateway(folder / "ours", world))
        asker = Asker(ours.url, ours.key)
        found: dict[str, list[float]] = {name: [] for name in KINDS}
        for number in range(rounds + 1):
            for name, kind in KINDS.items():
                before = ours.child.cpu_s()
                for _ in range(requests):
                    asker.ask(kind)
                if number:  # the first round loads what is loaded late
                    found[name].append((ours.child.cpu_s() - before) * 1000 / requests)
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> int:
    """Measure and print. A missed aim is no failure."""
    parser = argparse.ArgumentParser(description="what requests cost in each dialect")
    parser.add_argument("--requests", type=int, default=400, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.requests, options.rounds)
    if options.json:
        print(json.dumps({name: round(ms, 4) for name, ms in found.items()}))
        return 0
    for name, ms in found.items():
        kind = KINDS[name]
        ratio = ms / found[kind.beside] if kind.beside else 0.0
        told = f"  {ratio:.2f} of: {kind.beside} (aim {kind.aim}{'' if ratio <= kind.aim else ', missed'})" if kind.beside else ""
        print(f"{name:42} {ms:7.3f} ms{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
