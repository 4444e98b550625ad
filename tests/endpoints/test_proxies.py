"""Requests of the adapters go through a proxy."""

from __future__ import annotations

import pytest

from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.errors import EndpointError
from selfopt.scripted.server import serve_scripted
from tests.web.forwarder import forwarding

from .kit import KEY, ask, config_for, contract_script

HOST = "models.example.test"
PASSWORD = "passw0rd-0123"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_goes_through_the_proxy(streamed: bool) -> None:
    """With its user and password; the record of the request holds neither."""
    server = await serve_scripted(contract_script())
    port = int(server.base_url.rpartition(":")[2].split("/")[0])
    async with forwarding(port, b"Proxy-Authorization: Basic dTpwYXNzdzByZC0wMTIz") as proxy:
        config = config_for("openai_compatible", f"http://{HOST}/v1", proxy=proxy.with_user(f"u:{PASSWORD}"))
        assert PASSWORD not in repr(config) + config.model_dump_json()
        endpoint = create_endpoint(config)
        if streamed:
            final = [chunk async for chunk in endpoint.stream(ask("hello"))][-1].final
            assert final is not None
            reply = final
        else:
            reply = await endpoint.chat(ask("hello"))
        assert reply.content.text == "Hello."
        await endpoint.close()
        assert proxy.asked == [f"POST http://{HOST}/v1/chat/completions HTTP/1.1"]
        assert PASSWORD not in reply.model_dump_json()
    await server.close()


async def test_what_is_asked_about_models_goes_there_too() -> None:
    """Residency has a connection of its own."""
    server = await serve_scripted(contract_script())
    port = int(server.base_url.rpartition(":")[2].split("/")[0])
    async with forwarding(port) as proxy:
        residency = create_residency(config_for("ollama", f"http://{HOST}", proxy=proxy.url))
        await residency.status("m")
        assert proxy.asked
        assert all(line.split(" ")[1].startswith(f"http://{HOST}/api/") for line in proxy.asked)
    await server.close()


async def test_tls_asks_the_proxy_for_a_tunnel() -> None:
    """A server without TLS behind it is an error of the connection."""
    server = await serve_scripted(contract_script())
    port = int(server.base_url.rpartition(":")[2].split("/")[0])
    async with forwarding(port) as proxy:
        endpoint = create_endpoint(config_for("anthropic", f"https://{HOST}", proxy=proxy.with_user(f"u:{PASSWORD}")))
        with pytest.raises(EndpointError) as caught:
            await endpoint.chat(ask("hello"))
        await endpoint.close()
        assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
        assert KEY.encode() not in proxy.heads[0], "what is for the server alone"
        assert PASSWORD not in str(caught.value) + str(caught.value.told)
    await server.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_says_no_is_named(scheme: str) -> None:
    """It is not the server that refuses, so the advice is about the proxy, and no second request is made."""
    async with forwarding(1, b"Proxy-Authorization") as proxy:
        endpoint = create_endpoint(config_for("openai_compatible", f"{scheme}://{HOST}/v1", proxy=proxy.url))
        with pytest.raises(EndpointError, match="407") as caught:
            await endpoint.chat(ask("hello"))
        await endpoint.close()
    assert (caught.value.kind, caught.value.retryable) == ("connect", False)
    assert "wants a user and a password" in str(caught.value)
    assert "start the server" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "http://proxy.invalid:3128"])
async def test_a_proxy_that_is_not_there_is_named(proxy: str) -> None:
    """The advice is about it, and not about the server alone."""
    endpoint = create_endpoint(config_for("openai_compatible", f"http://{HOST}/v1", proxy=proxy))
    with pytest.raises(EndpointError, match=r"cannot connect to the proxy .*; check the proxy") as caught:
        await endpoint.chat(ask("hello"))
    await endpoint.close()
    assert caught.value.kind == "connect"
