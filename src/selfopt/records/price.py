"""What a model costs, and what a request to it therefore cost."""

from __future__ import annotations

from pydantic import Field

from .base import Record
from .chat import Usage

MOST = 1_000_000
"""The highest price, in the user's currency. Nothing costs as much: whoever writes more has the wrong unit."""
_TOKENS = 1_000_000
_HOUR_S = 3600.0


class Price(Record):
    """Prices of one model, in the user's currency.

    Attributes:
        input, output: of a million tokens. None: they cost nothing, and the time alone is paid.
        cached: of a million input tokens that the server had in its cache. None: as `input`.
        per_hour: of an hour in which the model is busy with requests. None: time costs nothing.
    """

    input: float | None = Field(default=None, ge=0, le=MOST)
    output: float | None = Field(default=None, ge=0, le=MOST)
    cached: float | None = Field(default=None, ge=0, le=MOST)
    per_hour: float | None = Field(default=None, ge=0, le=MOST)


def cost_of(price: Price | None, usage: Usage, busy_s: float | None) -> float | None:
    """Returns what requests cost, in the currency of the price. It is finite and at least 0.

    Args:
        usage: the tokens of the requests together.
        busy_s: how long the model was busy with them, in seconds. None: not known.

    Returns:
        None where it is not known: without a price, or where the price counts something that nobody
        told. Tokens that the server did not call cached have the full price.
    """
    if price is None:
        return None
    told, replied = usage.input_tokens, usage.output_tokens
    if (told is None and (price.input or price.cached)) or (replied is None and price.output):
        return None
    if busy_s is None and price.per_hour:
        return None
    full = price.input or 0.0
    cached = min(max(usage.cached_tokens or 0, 0), max(told or 0, 0))
    tokens = (max(told or 0, 0) - cached) * full + cached * (full if price.cached is None else price.cached)
    tokens += max(replied or 0, 0) * (price.output or 0.0)
    return tokens / _TOKENS + max(busy_s or 0.0, 0.0) / _HOUR_S * (price.per_hour or 0.0)
