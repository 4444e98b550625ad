"""Which program answers is asked before the first request that depends on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from selfopt.dialects.known_server import MAX_QUESTIONS, KnownServer
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.errors import EndpointError, EndpointFault
from tests.endpoints.kit import config_for

LLAMA = {"data": [{"id": "m", "owned_by": "llamacpp"}]}


class Server:
    """Answers questions. fault: why it does not; asked: how often it was."""

    def __init__(self, fault: EndpointFault | None) -> None:
        self.fault = fault
        self.asked = 0

    async def models(self) -> Any:
        """Answer for /v1/models."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            raise EndpointError("no answer", kind=self.fault)
        return LLAMA

    async def props(self) -> Any:
        """Answer for /props."""
        return None


def dialect() -> OpenAIChat:
    """The one of a local server that was not asked yet."""
    return OpenAIChat(config_for("openai_compatible", "http://127.0.0.1:1", key=None, server=None, local=True))


@pytest.mark.parametrize("fault", ["connect", "loading"])
async def test_a_server_that_is_not_there_yet_is_still_asked_once_it_is(fault: EndpointFault) -> None:
    """However many requests came before it."""
    of, server = dialect(), Server(fault)
    known = KnownServer(of)
    for _ in range(MAX_QUESTIONS * 2):
        await known.ask(server.models, server.props)
    assert of.server is None
    server.fault = None
    await known.ask(server.models, server.props)
    assert of.server == "llama.cpp"


@pytest.mark.parametrize("fault", ["server", "timeout", "rate_limited"])
async def test_a_server_that_never_says_what_it_is_counts_as_other(fault: EndpointFault) -> None:
    """So that no request waits for that question forever."""
    of, server = dialect(), Server(fault)
    known = KnownServer(of)
    for _ in range(MAX_QUESTIONS * 2):
        await known.ask(server.models, server.props)
    assert (of.server, server.asked) == ("other", MAX_QUESTIONS)


async def test_requests_at_the_same_time_share_one_question() -> None:
    """Whatever becomes of it."""
    of, server = dialect(), Server("timeout")
    known = KnownServer(of)
    await asyncio.gather(*(known.ask(server.models, server.props) for _ in range(10)))
    assert (of.server, server.asked) == (None, 1)
