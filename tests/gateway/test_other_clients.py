"""Clients that offer another protocol first get HTTP/1.1: curl --http2 and the JDK's client."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from .kit import World, chat, gateway_world

CURL, JAVA, JAVAC = shutil.which("curl"), shutil.which("java"), shutil.which("javac")
ASK = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        URI health = URI.create(arguments[0] + "/health"), chats = URI.create(arguments[0] + "/v1/chat/completions");
        HttpRequest chat = HttpRequest.newBuilder(chats).header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(arguments[1])).build();
        for (HttpRequest request : new HttpRequest[] {HttpRequest.newBuilder(health).build(), chat, chat}) {
            HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.version() + " " + response.body());
        }
    }
}
"""


async def run(*command: str) -> str:
    """Run it; return what it prints."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return out.decode() + err.decode()


def root(world: World) -> str:
    """Without the version's path."""
    return world.url.removesuffix("/v1")


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
async def test_curl_that_offers_http2_is_answered_in_http1(tmp_path: Path) -> None:
    """With and without a body; h2 alone and proxy requests get an error."""
    assert CURL is not None
    shown = ("-s", "-m", "30", "-w", " %{http_code} %{http_version}")
    async with gateway_world(tmp_path) as world:
        assert await run(CURL, *shown, "--http2", f"{root(world)}/health") == '{"status":"ok"} 200 1.1'
        body = ("-H", "Content-Type: application/json", "-d", json.dumps(chat()))
        answer = await run(CURL, *shown, "--http2", *body, f"{world.url}/chat/completions")
        assert "Hello." in answer
        assert answer.endswith(" 200 1.1")
        assert "200" not in await run(CURL, *shown, "--http2-prior-knowledge", f"{root(world)}/health")
        assert (
            await run(CURL, "-s", "-m", "30", "-w", "%{http_connect}", "-p", "-x", root(world), "https://example.invalid/")
            == "405"
        )
        assert len(world.upstream.journal) == 1


@pytest.mark.skipif(JAVA is None or JAVAC is None, reason="no JDK is installed")
async def test_the_jdks_client_is_answered_in_http1(tmp_path: Path) -> None:
    """By default it offers h2c with its first request."""
    assert JAVA is not None
    (tmp_path / "Ask.java").write_text(ASK, "utf-8")
    async with gateway_world(tmp_path) as world:
        lines = (await run(JAVA, str(tmp_path / "Ask.java"), root(world), json.dumps(chat()))).splitlines()
        assert lines[0] == '200 HTTP_1_1 {"status":"ok"}', lines
        assert len(lines) == 3
        assert all(line.startswith("200 HTTP_1_1 ") and "Hello." in line for line in lines[1:])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n", b"200"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", b"200"),
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", b"404"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: TLS/1.0\r\n", b"200"),
        (b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n", b"200"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", b"404"),
        (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n", b"405"),
        (b"TRACE /health HTTP/1.1\r\nHost: localhost\r\n", b"405"),
        (b"PRI * HTTP/2.0\r\n", b"505"),
        (b"GET http://localhost/health HTTP/1.1\r\nHost: anything\r\n", b"200"),
        (b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n", b"403"),
    ],
)  # fmt: skip
async def test_another_protocol_or_form_gets_a_clear_status(tmp_path: Path, head: bytes, status: bytes) -> None:
    """Never an empty reply."""
    async with gateway_world(tmp_path) as world:
        close = b"" if b"Connection" in head else b"Connection: close\r\n"
        answer = await world.raw(head + close + b"\r\n", eof=not close)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
