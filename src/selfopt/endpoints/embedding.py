"""Asks a server for embeddings: OpenAI's `/embeddings`, which most servers have, or Ollama's.

What comes is checked: as many vectors as texts were sent, of one length, of finite numbers, none
of them zero. Anything else is a fault of the server.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from operator import mul
from typing import Any, NamedTuple

from selfopt.dialects.jsontext import dump_json
from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.errors import EndpointError, SettingsError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig, ReplyContent

from .http import HttpClient
from .http_stream import Call, HttpStream

_AT_ONCE = 32  # texts in one request
_LONGEST = 8_192  # numbers in a vector
_KEPT_NUMBERS = 4_000_000  # of all vectors that are remembered: 16 MB
_KEPT_S = 600.0  # another model may stand behind the name by then
_DIGITS = 6

Vector = array  # of floats, of length 1


class EmbeddingEndpoint:
    """An `Endpoint` that answers one sort of request: how similar texts are to the first one.

    The messages of a request are the texts. The reply is a JSON list with the cosine of each further
    text and the first, from -1 to 1. Vectors are remembered for ten minutes, so the tools of a
    client are embedded once, and a request takes one call. Its tokens are counted nowhere, because
    another model read them.
    """

    def __init__(self, config: EndpointConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingsError for a kind of endpoint that has no embeddings."""
        kind = ENDPOINT_KINDS.get(config.kind)
        way = _WAYS.get(kind.speaks) if kind is not None else None
        if kind is None or way is None or (config.base_url is None and kind.serverless):
            raise SettingsError(
                f"endpoint {config.name} of kind {config.kind} has no embeddings; name a model of Ollama, of an "
                "OpenAI-compatible server or of the embedded engine as `embedding` in [models]"
            )
        dialect = kind.dialect(config)
        self._way = way
        self._url = f"{dialect.root}{way.path}"
        self._client = HttpClient(config, dialect.root, dialect.headers)
        self._known = _Vectors(clock)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return how similar the texts are to the first one. Raises EndpointError."""
        texts = [message.content for message in request.messages]
        found = {text: vector for text in texts if (vector := self._known.get(request.model, text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        sent: list[HttpStream] = []
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            stream, vectors = await self._embedded(request, some)
            sent.append(stream)
            for text, vector in zip(some, vectors, strict=True):
                found[text] = vector
                self._known.keep(request.model, text, vector)  # at once: whoever has no time for all finds these the next time
        if len({len(found[text]) for text in texts}) > 1:
            self._known.forget()
            raise EndpointError(
                f"{request.model} gave vectors of several lengths; another model may stand behind the name now", kind="protocol"
            )
        about = found[texts[0]]
        similar = [round(sum(map(mul, about, found[text])), _DIGITS) for text in texts[1:]]
        return ChatReply(
            content=ReplyContent(text=dump_json(similar).decode(), finish_reason="stop"),
            latency_ms=sum(stream.latency_ms for stream in sent),
            request_body="\n".join(stream.request_text for stream in sent),
            reply_body=dump_json({"vectors": len(missing), "numbers": len(about)}).decode(),
        )

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply as one piece."""
        yield ChatChunk(final=await self.chat(request))

    async def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        await self._client.close()

    async def _embedded(self, request: ChatRequest, texts: Sequence[str]) -> tuple[HttpStream, list[Vector[float]]]:
        """Send one request. Returns its reply, and one vector for each text."""
        body = {"model": request.model, "input": list(texts), **self._way.fields}
        stream = await self._client.read(Call(self._url, body, request.timeout_s, request.connect_timeout_s))
        _, data = await stream.whole()
        try:
            listed = self._way.listed(data)
            if len(listed) != len(texts):
                raise ValueError(f"{len(listed)} vectors came for {len(texts)} texts")
            return stream, [_unit(numbers) for numbers in listed]
        except ValueError as error:
            raise stream.broken(f"no embeddings: {error}") from None


class _Way(NamedTuple):
    """How a dialect asks for embeddings. listed: gives what a reply lists; raises ValueError."""

    path: str
    fields: Mapping[str, Any]
    listed: Callable[[Any], list[Any]]


def _openai(data: Any) -> list[Any]:
    items = data.get("data") if isinstance(data, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("the reply has no list `data` of objects")
    places = [item.get("index", place) for place, item in enumerate(items)]
    if not all(type(place) is int for place in places) or sorted(places) != list(range(len(items))):
        raise ValueError("`index` does not count the vectors")
    by_place = dict(zip(places, items, strict=True))
    return [by_place[place].get("embedding") for place in range(len(items))]


def _ollama(data: Any) -> list[Any]:
    listed = data.get("embeddings") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the reply has no list `embeddings`")
    return listed


_WAYS = {
    "openai_chat": _Way("/embeddings", {"encoding_format": "float"}, _openai),
    "ollama": _Way("/api/embed", {"truncate": True}, _ollama),
}


def _unit(numbers: Any) -> Vector[float]:
    """The vector of length 1 in the same direction. ValueError for what is no vector."""
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= _LONGEST:
        raise ValueError(f"a vector has to be a list of 1 to {_LONGEST} numbers")
    if not all(type(one) in (int, float) and abs(one) < 1e18 for one in numbers):  # of NaN, no comparison is true
        raise ValueError("a vector holds what is no finite number")
    length = math.sqrt(sum(one * one for one in numbers))
    if not length > 1e-18:
        raise ValueError("a vector is zero")
    return array("f", [one / length for one in numbers])


class _Vectors:
    """Remembers vectors, the last used ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: OrderedDict[tuple[str, str], tuple[float, Vector[float]]] = OrderedDict()
        self._numbers = 0

    def get(self, model: str, text: str) -> Vector[float] | None:
        """The vector of a text."""
        found = self._held.get((model, text))
        if found is None or self._clock() - found[0] > _KEPT_S:
            return None
        self._held.move_to_end((model, text))
        return found[1]

    def keep(self, model: str, text: str, vector: Vector[float]) -> None:
        """Remember a vector, and forget those that were not used for longest."""
        before = self._held.pop((model, text), None)
        self._numbers += len(vector) - (len(before[1]) if before is not None else 0)
        self._held[model, text] = self._clock(), vector
        while self._numbers > _KEPT_NUMBERS:
            self._numbers -= len(self._held.popitem(last=False)[1][1])

    def forget(self) -> None:
        """Forget all."""
        self._held.clear()
        self._numbers = 0
