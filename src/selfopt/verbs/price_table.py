"""Reads the table of prices that LiteLLM's package ships. Nothing in it is believed."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from selfopt.errors import UsageError
from selfopt.home import escape_control
from selfopt.records.price import MOST
from selfopt.settings.prices import PriceSettings

MAX_TABLE_BYTES = 16_000_000
LeftOut = Literal["shape", "mode", "name", "tiers", "unpriced", "price", "twice", "provider", "not_wanted", "by_hand"]
Partly = Literal["free", "long", "reasoning", "request"]
"""What a price does not tell of its model: it costs nothing by the table, or more in some requests."""
_TOKENS = 1_000_000
_NAME = re.compile(r"[!-~]{1,200}")
_PROVIDER = re.compile(r"[a-z0-9_.-]{1,60}")
_LONG = re.compile(r"(?:input|output)_cost_per_token_above_\d+k_tokens")
_FIELDS = {"input": "input_cost_per_token", "output": "output_cost_per_token", "cached": "cache_read_input_token_cost"}


@dataclass(frozen=True, slots=True)
class TablePrice:
    """A price of the table.

    Attributes:
        provider: the table's name for who serves the model.
        name: what that provider calls the model.
        price: for a million tokens.
        partly: what the price does not tell.
    """

    provider: str
    name: str
    price: PriceSettings
    partly: frozenset[Partly] = frozenset()


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What can be used of a table, and how many of its entries can't, by why."""

    prices: tuple[TablePrice, ...]
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)


def read_table(text: str, rate: float = 1.0) -> PriceTable:
    """Returns the prices of a table.

    Args:
        text: JSON: for each model its provider, its mode, and what a token costs in US dollars.
        rate: what one US dollar is in the wanted currency, above 0.

    Raises:
        UsageError: the text is no JSON object.
    """
    try:
        table = json.loads(text)
    except RecursionError:
        raise UsageError(
            "nested too deeply to be a table of prices; name LiteLLM's model_prices_and_context_window.json"
        ) from None
    except ValueError as error:
        raise UsageError(f"not valid JSON: {escape_control(str(error), 200)}; get the table anew") from None
    if not isinstance(table, dict):
        raise UsageError(f"holds a JSON {type(table).__name__}, and a table of prices is an object with an entry for each model")
    found: dict[tuple[str, str], TablePrice] = {}
    left_out: Counter[LeftOut] = Counter()
    for key in sorted(table):
        entry = _entry(key, _meant(table, table[key]), rate)
        if isinstance(entry, str):
            left_out[entry] += 1
        elif (place := (entry.provider, entry.name)) in found:
            left_out["twice"] += found[place].price != entry.price
        else:
            found[place] = entry
    return PriceTable(tuple(found.values()), {why: n for why, n in left_out.items() if n})


def _meant(table: Mapping[str, Any], value: Any) -> Any:
    """Returns the entry that one stands for: another name of a model names the entry that has its price."""
    if isinstance(value, dict) and isinstance(other := value.get("alias_of"), str) and "litellm_provider" not in value:
        return table.get(other)
    return value


def _entry(key: str, value: Any, rate: float) -> TablePrice | LeftOut:
    """Returns one price, or why there is none."""
    if not isinstance(value, dict) or not isinstance(provider := value.get("litellm_provider"), str):
        return "shape"
    if value.get("mode") != "chat":
        return "mode"
    name = key.removeprefix(f"{provider}/")
    if not _NAME.fullmatch(name) or not _PROVIDER.fullmatch(provider):
        return "name"
    told = {ours: value.get(theirs) for ours, theirs in _FIELDS.items()}
    if told["input"] is None or told["output"] is None:
        return "tiers" if value.get("tiered_pricing") else "unpriced"
    prices = {ours: _million(cost, rate) for ours, cost in told.items() if cost is not None}
    if None in prices.values():
        return "price"
    price = PriceSettings.model_validate(prices)
    return TablePrice(provider, name, price, frozenset(_partly(value, price, rate)))


def _partly(value: Mapping[str, Any], price: PriceSettings, rate: float) -> Iterator[Partly]:
    if not price.input and not price.output:
        yield "free"
    if any(map(_LONG.match, value)) or value.get("tiered_pricing"):
        yield "long"
    if (_million(value.get("output_cost_per_reasoning_token"), rate) or 0) > (price.output or 0):
        yield "reasoning"
    if value.get("input_cost_per_request"):
        yield "request"


def _million(cost: Any, rate: float) -> float | None:
    """Returns what a million tokens cost; None for what is no price."""
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    try:
        price = float(cost) * _TOKENS * rate
    except OverflowError:
        return None
    return float(f"{price:.9g}") if math.isfinite(price) and 0 <= price <= MOST else None
