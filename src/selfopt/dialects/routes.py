"""The routes beside chats whose requests pass as they come: of a request, the gateway reads the model's name and `stream`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Literal

from .chat_body import BodyLimits, ChatBody, reading_fields, wants_stream

Route = Literal["completions", "embeddings", "rerank", "messages/count_tokens"]
"""What follows `/v1/` in the path at the gateway, and the base URL at the server."""
DIALECTS: Mapping[Route, str] = {
    "completions": "openai_chat",
    "embeddings": "openai_chat",
    "rerank": "openai_chat",
    "messages/count_tokens": "anthropic",
}
"""The dialect of clients that each belongs to."""
FREE_ROUTES: frozenset[Route] = frozenset({"messages/count_tokens"})
"""What no server takes money for."""
WITHOUT_TEXT: frozenset[Route] = frozenset({"embeddings", "rerank"})
"""Whose answers hold no text that a model wrote."""


def reading_passed(body: bytes, limits: BodyLimits, route: Route) -> Generator[None, None, ChatBody]:
    """Read a request of a route in steps of a few milliseconds. Its server judges everything but the model.

    Raises:
        Refusal: 400, with what is wrong and where.
    """
    fields, model = yield from reading_fields(body, limits)
    stream = route == "completions" and wants_stream(fields)
    return ChatBody(fields, model, stream, 0, "atomic", len(body), calls_tools=False)
