"""The interface of a dialect that clients of the gateway speak."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfopt.records import ChatRequest, FinishReason, ReplyContent, ToolCall, Usage

from .chat_body import ChatBody


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A chat request of a client.

    Attributes:
        request: the request, with the client's name of the model. `beside` holds the fields that
            it has no attribute for, undecoded. If the client demands one tool, `tools` holds only
            that one, and it is required.
        max_tokens: the client's limit; None if it sets none.
        parallel: whether the reply may hold several tool calls.
        wants_usage: whether a stream should end with the token counts.
        size: the size of the body in bytes.
        tools_kept: whether the next chat with these tools gets the same tool records.
    """

    request: ChatRequest
    max_tokens: int | None = None
    parallel: bool = True
    wants_usage: bool = False
    size: int = 0
    tools_kept: bool = True


class RawCall(ToolCall):
    """A call whose arguments nothing could read. It goes to the client as it came.

    Attributes:
        raw: the arguments, as text.
    """

    raw: str = ""


class ReplyWriter(ABC):
    """Writes one answer, whole or streamed. A stream can begin before the reply is settled.

    Attributes:
        text: the text of the settled reply.
        calls: its tool calls.
        finish: why it ended: `stop`, `length`, `tool_calls` or `content_filter`.
        refused: whether the text is a refusal.
        usage: its token counts.
    """

    def __init__(self) -> None:
        self.text = ""
        self.calls: Sequence[ToolCall] = ()
        self.finish: FinishReason = "stop"
        self.refused = False
        self.usage = Usage()

    def settle(self, said: ReplyContent, usage: Usage) -> None:
        """Set the whole reply."""
        self.text, self.calls, self.refused, self.usage = said.text, said.tool_calls, said.refused, usage
        cut = said.finish_reason == "length" and any(isinstance(call, RawCall) for call in self.calls)
        ends = said.finish_reason if said.finish_reason in ("length", "content_filter") else "stop"
        self.finish = "tool_calls" if self.calls and not cut else ends

    @abstractmethod
    def whole(self) -> bytes:
        """The body of the settled answer."""
        ...

    @abstractmethod
    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None) -> bytes:
        """The next piece of a stream.

        Args:
            text: the text that the piece adds.
            call: the tool call that it adds, and its number, counted from 0.

        With neither, the piece begins the stream.
        """
        ...

    @abstractmethod
    def ending(self, *, with_usage: bool) -> bytes:
        """The end of a stream, once the reply is settled."""
        ...


class ClientDialect(Protocol):
    """Reads the requests of the clients of one route and writes the answers.

    Attributes:
        name: the name of the dialect. Replies of servers that speak it are passed on unchanged.
    """

    name: str

    def reading_request(self, chat: ChatBody) -> Generator[None, None, ClientRequest | None]:
        """Read a chat in steps of a few milliseconds.

        Returns:
            The request; None if it holds what records cannot express, such as images.

        Raises:
            Refusal: 400, for invalid messages, tools or numbers.
        """
        ...

    def reply(self, request_id: str, model: str) -> ReplyWriter:
        """Make the writer of the answer."""
        ...
