"""The log probabilities of a reply's tokens: observed beside the reply, and no part of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, chain, compress
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from .base import Record

IMPOSSIBLE = -9999.0
"""Stands for minus infinity, as with OpenAI."""

Nats = Annotated[float, Field(ge=IMPOSSIBLE, le=0.0)]
"""A natural logarithm of a probability, in nats."""


class TokenLogProb(NamedTuple):
    """One token of a reply.

    Attributes:
        text: the token; "" for one that the server gives no text, such as the end of the reply or a
            special mark.
        logprob: its log probability in nats, at most 0.
        data: its bytes. A character may be split over tokens, whose texts are then no use.
        top: the likeliest tokens at this place with their log probabilities, as the server lists
            them. Under a grammar the token itself may not be among them.
    """

    text: str
    logprob: float
    data: bytes
    top: tuple[tuple[str, float], ...]


class LogProbs(Record):
    """The log probabilities of all tokens of a reply, in their order, as columns.

    They cover what the model wrote: text, thinking, and the text in which it called tools, before
    the server read any of it. Servers give the probabilities of the model itself. A grammar or a
    schema that excludes tokens does not change them. Values are rounded to five decimals.

    Attributes:
        tokens: their texts.
        logprobs: of these tokens, in nats.
        top_tokens, top_logprobs: the likeliest tokens at each place, at most twenty; empty where the
            server names none.
        raw: bytes, in hex, of the tokens that are no text alone, by their place.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[Nats, ...]
    top_tokens: tuple[tuple[str, ...], ...]
    top_logprobs: tuple[tuple[Nats, ...], ...]
    raw: dict[int, str] = Field(default_factory=dict, exclude_if=lambda raw: not raw)

    @model_validator(mode="after")
    def _columns_of_one_length(self) -> Self:
        columns = (self.logprobs, self.top_tokens, self.top_logprobs)
        if any(len(column) != len(self.tokens) for column in columns):
            raise ValueError("the columns have not one value for each token")
        if any(len(texts) != len(values) for texts, values in zip(self.top_tokens, self.top_logprobs, strict=True)):
            raise ValueError("the likeliest tokens have not one log probability each")
        for data in self.raw.values():
            bytes.fromhex(data)
        return self

    def __len__(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    @classmethod
    def joined(cls, parts: Sequence[LogProbs | None]) -> LogProbs | None:
        """Those of several replies, one after another. None if there is none, or one has none."""
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        starts = accumulate((len(part) for part in known), initial=0)
        return cls(
            tokens=tuple(chain.from_iterable(part.tokens for part in known)),
            logprobs=tuple(chain.from_iterable(part.logprobs for part in known)),
            top_tokens=tuple(chain.from_iterable(part.top_tokens for part in known)),
            top_logprobs=tuple(chain.from_iterable(part.top_logprobs for part in known)),
            raw={start + place: data for start, part in zip(starts, known, strict=False) for place, data in part.raw.items()},
        )

    @property
    def total(self) -> float:
        """The log probability of the whole reply in nats: the sum over all tokens that write
        something, finite and at most 0.

        Some servers list the token that ends a reply, and of these some only where they do not
        stream. It would make the same reply less sure in one of both.
        """
        if not self.raw:
            return math.fsum(compress(self.logprobs, self.tokens))
        places = zip(self.tokens, self.logprobs, strict=True)
        return math.fsum(logprob for place, (text, logprob) in enumerate(places) if text or self.raw.get(place))

    @cached_property
    def listed(self) -> tuple[TokenLogProb, ...]:
        """The tokens, one by one."""
        return tuple(
            TokenLogProb(text, logprob, self._data(place, text), tuple(zip(texts, values, strict=True)))
            for place, (text, logprob, texts, values) in enumerate(
                zip(self.tokens, self.logprobs, self.top_tokens, self.top_logprobs, strict=True)
            )
        )

    @property
    def text(self) -> str:
        """What the model wrote. Bytes that are no UTF-8 become U+FFFD."""
        return b"".join(token.data for token in self.listed).decode("utf-8", "replace")

    def _data(self, place: int, text: str) -> bytes:
        raw = self.raw.get(place)
        return text.encode("utf-8", "replace") if raw is None else bytes.fromhex(raw)
