"""Reads the body of a request in Anthropic's Messages dialect as far as routing needs it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from .chat_body import STEP_BYTES, BodyLimits, ChatBody, read_field, reading_fields, tools_in, wants_stream
from .messages_fields import translated
from .refusal import bad_request

_RESULT, _CALL = "tool_result", "tool_use"


class _TurnHead(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")


class _BlockHead(msgspec.Struct, gc=False):
    type: str = ""


_decode_turns = msgspec.json.Decoder(list[_TurnHead]).decode
_decode_blocks = msgspec.json.Decoder(list[_BlockHead]).decode
_encode = msgspec.json.Encoder().encode


class MessagesBody(ChatBody):
    """A request in Anthropic's words. `fields` is its translation, made when something first looks at it.

    Its messages stay what they are there, behind the system prompt: `messages_turns.translating`
    translates them in steps, for one server.

    Attributes:
        own: the top-level keys with their JSON, undecoded, as they came.
    """

    __slots__ = ("own",)

    own: dict[str, msgspec.Raw]

    def __init__(self, own: dict[str, msgspec.Raw], model: str, size: int) -> None:
        # `fields` is left out, so that `__getattr__` is asked for it.
        self.own, self.model, self.size = own, model, size
        self.stream, self.n_tools, self.phase, self.calls_tools = False, 0, "atomic", False

    def __getattr__(self, name: str) -> Any:
        if name != "fields":
            raise AttributeError(name)
        self.fields = translated(self.own)
        return self.fields

    def forwarded(
        self,
        server_model: str,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        streamed: bool = False,
    ) -> bytes:
        """See `ChatBody`. Nobody asks for a stream that the client does not want."""
        fields = self.own if finish is None else finish({**self.own})
        return _encode({**fields, "model": server_model})


def reading_body(body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
    """See `ClientDialect.reading_body`."""
    own, model = yield from reading_fields(body, limits)
    read = MessagesBody(own, model, len(body))
    turns = read_field(own, "messages", _decode_turns, "a list of objects that each have a role")
    if not 1 <= len(turns) <= limits.max_messages:
        raise bad_request(f"messages must hold 1 to {limits.max_messages} messages, not {len(turns)}", "messages")
    yield
    kinds = yield from _reading_kinds(turns)
    read.n_tools = tools_in(own, limits)
    yield
    read.stream = wants_stream(own)
    read.calls_tools = bool(read.n_tools) or _CALL in kinds or _RESULT in kinds
    if _RESULT in kinds or sum(turn.role == "user" for turn in turns) > 1:
        read.phase = "extended"
    return read


def _reading_kinds(turns: Sequence[_TurnHead]) -> Generator[None, None, set[str]]:
    """The types of all blocks."""
    kinds: set[str] = set()
    size = 0
    for place, turn in enumerate(turns):
        if bytes(memoryview(turn.content)[:1]) != b"[":
            continue
        try:
            kinds.update([block.type for block in _decode_blocks(turn.content)])
        except msgspec.DecodeError as error:
            said = f"messages[{place}].content must be a text or a list of blocks: {error}"
            raise bad_request(said, "messages", "invalid_type") from None
        size += len(turn.content)
        if size > STEP_BYTES:
            size = 0
            yield
    return kinds
