"""What a dialect has to offer where clients of the gateway speak it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfopt.records import ChatRequest, ToolCall, Usage

from .chat_body import ChatBody


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A chat as a client of the gateway asks it.

    Attributes:
        request: what is asked, under the client's name of the model. What has no words in it is beside, as it came. A tool that the
            client demands is the only one, and required.
        max_tokens: as the client says; None where it does not.
        parallel: whether several calls may come back.
        wants_usage: whether a stream is to end with the figures.
        size: of the body in bytes.
        tools_kept: whether the same records of tools come with the next chat that offers these.
    """

    request: ChatRequest
    max_tokens: int | None = None
    parallel: bool = True
    wants_usage: bool = False
    size: int = 0
    tools_kept: bool = True


class ReplyWriter:
    """Writes one answer, whole or streamed. Streaming begins before the reply is settled.

    Attributes:
        text, calls: of the settled reply.
        finish: why it ended: `stop`, `length` or `tool_calls`.
        usage: its tokens.
    """

    def __init__(self) -> None:
        self.text = ""
        self.calls: Sequence[ToolCall] = ()
        self.finish = "stop"
        self.usage = Usage()

    def settle(self, text: str, calls: Sequence[ToolCall], finish: str, usage: Usage) -> None:
        """The reply is whole."""
        self.text, self.calls, self.usage = text, calls, usage
        self.finish = "tool_calls" if calls else "length" if finish == "length" else "stop"

    def whole(self) -> bytes:
        """The body of the settled answer in one piece."""
        raise NotImplementedError

    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None) -> bytes:
        """What a stream says next: a text, a call with its number from 0, or, with neither, that it begins."""
        raise NotImplementedError

    def ending(self, *, with_usage: bool) -> bytes:
        """What a stream of the settled answer ends with."""
        raise NotImplementedError


class ClientDialect(Protocol):
    """How clients of one route speak.

    Attributes:
        name: of the dialect. What a server of the same dialect serves is passed on as it came.
    """

    name: str

    def reading_request(self, chat: ChatBody) -> Generator[None, None, ClientRequest | None]:
        """What a chat asks, read in steps of a few milliseconds. None when it holds what records have no words for (pictures,
        sounds). Refusal (400) for broken messages, tools and figures."""
        ...

    def reply(self, request_id: str, model: str) -> ReplyWriter:
        """What writes the answer."""
        ...
