"""Requests go through a proxy: whole URLs for http, a tunnel for https."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from selfopt.errors import EndpointError
from selfopt.web import HttpAddress, Pool, UpstreamReply

from .forwarder import forwarding

HOST = "models.example.test"
PASSWORD = "p@ss/w0rd-0123"
USERINFO = "us%20er:p%40ss%2Fw0rd-0123"
WANTED = b"Proxy-Authorization: Basic dXMgZXI6cEBzcy93MHJkLTAxMjM=\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of the host, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    made, key = str(folder / "cert.pem"), str(folder / "key.pem")
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    more = ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", made]
    subprocess.run([openssl, *new, *more], check=True, capture_output=True)
    return made, key


@asynccontextmanager
async def server(context: ssl.SSLContext | None = None, heads: list[bytes] | None = None) -> AsyncIterator[int]:
    """Run a server that answers any number of requests on a connection; yield its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if heads is not None:
                    heads.append(head)
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def get(pool: Pool, address: HttpAddress) -> UpstreamReply:
    """Ask for the list of models."""
    return await pool.ask(address, address.get, timeout_s=120, connect_timeout_s=120, max_bytes=1000)


async def test_a_request_goes_through_the_proxy_with_its_whole_url() -> None:
    """With the proxy's user and password, and on a kept connection; the server gets its own key."""
    heads: list[bytes] = []
    async with server(heads=heads) as port, forwarding(port, WANTED) as proxy:
        address = HttpAddress.of("up", f"http://{HOST}/api/v1", "sk-0123456789", proxy.with_user(USERINFO))
        pool = Pool()
        assert [(await get(pool, address)).body for _ in range(2)] == [b"ok", b"ok"]
        pool.close()
    assert proxy.asked == [f"GET http://{HOST}/api/v1/models HTTP/1.1"], "the second one went over the kept connection"
    assert f"Host: {HOST}\r\n".encode() in heads[0]
    assert b"Authorization: Bearer sk-0123456789\r\n" in heads[0]
    assert address.posting(b"/chat/completions").startswith(f"POST http://{HOST}/api/v1/chat/completions HTTP/1.1\r\n".encode())


async def test_tls_goes_through_a_tunnel(certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees host and port, and nothing of a request; the server never sees the proxy's password."""
    made, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    monkeypatch.setenv("SSL_CERT_FILE", made)
    heads: list[bytes] = []
    async with server(context, heads) as port, forwarding(port, WANTED) as proxy:
        address = HttpAddress.of("up", f"https://{HOST}/v1", "sk-0123456789", proxy.with_user(USERINFO))
        pool = Pool()
        assert [(await get(pool, address)).body for _ in range(2)] == [b"ok", b"ok"]
        pool.close()
    assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert b"sk-0123456789" not in b"".join(proxy.heads)
    assert all(head.startswith(b"GET /v1/models HTTP/1.1\r\n") and b"Proxy-Authorization" not in head for head in heads)


async def test_another_certificate_is_refused(certificate: tuple[str, str]) -> None:
    """Whoever answers behind the proxy has to be the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with server(context) as port, forwarding(port) as proxy:
        with pytest.raises(EndpointError, match="TLS") as caught:
            await get(Pool(), HttpAddress.of("up", f"https://{HOST}/v1", None, proxy.url))
    assert caught.value.kind == "connect"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_named_without_it(scheme: str) -> None:
    """What it answers is no answer of the server."""
    async with server() as port, forwarding(port, b"Proxy-Authorization: Basic other") as proxy:
        address = HttpAddress.of("up", f"{scheme}://{HOST}/v1", None, proxy.with_user(USERINFO))
        if scheme == "http":
            assert (await get(Pool(), address)).status == 407
        else:
            with pytest.raises(EndpointError, match="proxy: it asks for a user and a password") as caught:
                await get(Pool(), address)
            assert caught.value.kind == "connect"
    assert PASSWORD not in repr(address)
    assert "Basic" not in repr(address)


async def test_a_proxy_that_is_not_there_is_named() -> None:
    """Not the server, which was never asked."""
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    for scheme in ("http", "https"):
        with pytest.raises(EndpointError, match="proxy"):
            await get(Pool(), HttpAddress.of("up", f"{scheme}://{HOST}/v1", None, f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"x" * 70_000, b"HTTP/1.1 502 Bad Gateway\r\n\r\n"])
async def test_whatever_a_proxy_answers_is_an_endpoint_error(said: bytes) -> None:
    """It may hang up, say no, or speak something else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    via = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        with pytest.raises(EndpointError, match="no connection through the proxy") as caught:
            await get(Pool(), HttpAddress.of("up", f"https://{HOST}/v1", None, via))
    finally:
        listener.close()
    assert caught.value.kind == "connect"
