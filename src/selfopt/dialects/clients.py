"""The interface of a dialect that clients of the gateway speak."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from selfopt.records import ChatRequest, FinishReason, LogProbs, ReplyContent, ToolCall, Usage

from .chat_body import BodyLimits, ChatBody
from .jsontext import write_text
from .refusal import Refusal

PassReason = Literal[
    "size",
    "role",
    "content",
    "history",
    "tools",
    "tool_choice",
    "sampling",
    "choices",
    "logprobs",
    "response_format",
    "fields",
    "grammar",
    "no_logprobs",
]
"""Why a request goes past the promoted variant, which has no words for a part of it:

- `size`: too many tools, or too large;
- `role`, `content`, `history`: a message of an unknown role; pictures, audio, files, refusals; calls
  that no record can express;
- `tools`, `tool_choice`: other tools than functions, or an unknown choice;
- `sampling`: a number out of range;
- `choices`, `logprobs`, `fields`: the answer would have parts that a variant's answer has not;
- `response_format`: the variant limits or writes the reply itself;
- `grammar`: the variant limits the reply by a grammar, for which the server has no words;
- `no_logprobs`: the variant asks how sure the model was, and the server gives no log probabilities.
"""


NO_USAGE = Usage()


class NoWordsError(Exception):
    """A request that records cannot express. Whoever judges it is the server.

    Attributes:
        reason: the part that it lies in.
        param: the field of the request.
        code: of the refusal, where no server can judge it.
    """

    def __init__(self, reason: PassReason, message: str, param: str, code: str = "unsupported_content") -> None:
        super().__init__(message)
        self.reason = reason
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A chat request of a client.

    Attributes:
        request: the request, with the client's name of the model. `beside` holds all fields but
            those of its attributes, undecoded. If the client demands or allows certain tools,
            `tools` holds only these.
        max_tokens: the client's limit; None if it sets none.
        parallel: whether the reply may hold several tool calls.
        wants_usage: whether a stream should end with the token counts.
        size: the size of the body in bytes.
        tools_kept: whether the next chat with these tools gets the same tool records.
        beyond: what no variant has words for; None if there is nothing of the kind.
        unkept: whether the client wants its answer to be kept, and it is not.
    """

    request: ChatRequest
    max_tokens: int | None = None
    parallel: bool = True
    wants_usage: bool = False
    size: int = 0
    tools_kept: bool = True
    beyond: PassReason | None = None
    unkept: bool = False


class RawCall(ToolCall):
    """A call whose arguments nothing could read. It goes to the client as it came.

    Attributes:
        raw: the arguments, as text.
    """

    raw: str = ""


def arguments_text(call: ToolCall) -> str:
    """The arguments of a call as text."""
    return call.raw if isinstance(call, RawCall) else write_text(call.arguments)


class ReplyWriter(ABC):
    """Writes one answer, whole or streamed. A stream can begin before the reply is settled.

    Attributes:
        text: the text of the settled reply.
        calls: its tool calls.
        finish: why it ended: `stop`, `length`, `tool_calls` or `content_filter`.
        refused: whether the text is a refusal.
        usage: its token counts.
        thinking: what the model thought before it.
        thoughts: the same in the blocks that the server signed.
        stop_sequence: the text of the client that ended the reply, where that is known.
        logprobs: the log probabilities of its tokens, where the client wants them and they came.
    """

    def __init__(self) -> None:
        self.text = ""
        self.thinking = ""
        self.thoughts: Sequence[dict[str, Any]] = ()
        self.stop_sequence: str | None = None
        self.calls: Sequence[ToolCall] = ()
        self.finish: FinishReason = "stop"
        self.refused = False
        self.usage = NO_USAGE
        self.logprobs: LogProbs | None = None

    def settle(self, said: ReplyContent, usage: Usage) -> None:
        """Set the whole reply."""
        self.text, self.calls, self.refused, self.usage = said.text, said.tool_calls, said.refused, usage
        cut = said.finish_reason == "length" and any(isinstance(call, RawCall) for call in self.calls)
        self.stop_sequence = said.stop_sequence
        ends = said.finish_reason if said.finish_reason in ("length", "content_filter") else "stop"
        self.finish = "tool_calls" if self.calls and not cut else ends

    @abstractmethod
    def whole(self) -> bytes:
        """The body of the settled answer."""
        ...

    @abstractmethod
    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None, *, thinking: str = "") -> bytes:
        """The next piece of a stream.

        Args:
            text: the text that the piece adds.
            call: the tool call that it adds, and its number, counted from 0.
            thinking: the thinking that it adds.

        With none of them, the piece begins the stream.
        """
        ...

    def signed(self, thought: dict[str, Any]) -> bytes:
        """What a stream says of a signed block of thinking, behind the pieces of its text."""
        return b""

    @abstractmethod
    def ending(self, *, with_usage: bool) -> bytes:
        """The end of a stream, once the reply is settled."""
        ...

    def broken_off(self, refusal: Refusal) -> bytes:
        """What ends a stream of this writer that breaks off; empty where its dialect says that."""
        return b""


class Counted(NamedTuple):
    """Token counts of a reply; None where the server does not tell them.

    Attributes:
        asked: of the request, `cached` among them.
        said: of the reply.
        cached: those of the request that came from the server's cache.
    """

    asked: int | None
    said: int | None
    cached: int | None


class PassedOn(Protocol):
    """What is read of requests and replies that are passed on unchanged.

    Attributes:
        watched: whether calls are looked for in the text of such replies. A request whose reply has
            to be read so is translated where they are not.
    """

    watched: bool

    def addressed(self, headers: Mapping[bytes, bytes], query: bytes) -> tuple[bytes, bytes]:
        """Where below a server's base URL a request goes, and lines of its head that the server gets, each with its end.

        Args:
            headers: of the client's request, by their names in lower case.
            query: of its target.
        """
        ...

    def counted(self, body: bytes) -> Counted | None:
        """The token counts of a whole reply; None without any."""
        ...

    def counted_in(self, first: bytes, last: bytes) -> Counted | None:
        """Those of a stream, of which these are the first bytes and the last."""
        ...

    def ended(self, last: bytes) -> bool:
        """Whether a stream is complete that ends with these bytes."""
        ...

    def error(self, body: bytes) -> bytes | None:
        """The error of a server as clients expect it; None if this is none that says anything."""
        ...


class ClientDialect(Protocol):
    """Reads the requests of the clients of one route and writes the answers.

    What the gateway looks at of any request are the fields of OpenAI's chat completions: `ChatBody.fields`
    holds a request in these words, whatever the client wrote it in.

    Attributes:
        name: the name of the dialect. Replies of servers that speak it are passed on unchanged.
        passed: reads of what is passed on.
    """

    name: str
    passed: PassedOn

    def reading_body(self, body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
        """Read a body as far as routing needs it, in steps. Raises Refusal: 400, with what is wrong and where."""
        ...

    def reading_request(self, chat: ChatBody, server: str) -> Generator[None, None, ClientRequest]:
        """Read a chat in steps of a few milliseconds.

        Args:
            server: the dialect of the server that is to be asked.

        Raises:
            NoWordsError: it holds what records cannot express, such as audio, or what that dialect
                has no words for.
        """
        ...

    def reply(self, request_id: str, model: str, chat: ChatBody) -> ReplyWriter:
        """Make the writer of the answer to a chat."""
        ...

    def fault(self, refusal: Refusal) -> bytes:
        """The body of an answer that is an error."""
        ...

    def broken_off(self, refusal: Refusal) -> bytes:
        """What ends a stream of a server that breaks off."""
        ...
