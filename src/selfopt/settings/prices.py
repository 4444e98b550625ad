"""The settings of prices, and the file that imported ones are kept in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from selfopt.errors import SettingsError
from selfopt.records import Price

from .endpoint import Table

IMPORTED_SUFFIX = ".prices.toml"
_TUNED = re.compile(r"ft:[^:]+(?=:)")
_KEPT = frozenset({"currency", "prices"})


class PriceSettings(Table, Price):
    """Prices of one model, in the user's currency.

    Attributes:
        input, output: Of a million tokens. Both, or neither where time alone is paid.
        cached: Of a million input tokens that the server had in its cache. None: as `input`.
        per_hour: Of an hour in which the model is busy with requests.
    """

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.input is None) is not (self.output is None):
            missing = "input" if self.input is None else "output"
            raise ValueError(f"{missing} is missing; write input and output (per million tokens; 0 if it costs nothing)")
        if self.input is None and (self.per_hour is None or self.cached is not None):
            raise ValueError("input and output are missing; write both (per million tokens), or per_hour alone")
        return self


def found_price(prices: Mapping[str, PriceSettings], model: str, name_of: Callable[[str], str]) -> PriceSettings | None:
    """Returns the price of a model, under whichever of its names it was given; None without one.

    A fine-tuned model of one's own costs what those of its base do: `ft:BASE:ORGANISATION::ID` as `ft:BASE`.

    name_of: gives one name for all names of a model.
    """
    if not prices or model in prices:
        return prices.get(model)
    endpoint, _, own = model.partition("/")
    name = name_of(model)
    for known, price in prices.items():  # names of one endpoint alone are compared: a table may have thousands
        if known.startswith(f"{endpoint}/") and name_of(known) == name:
            return price
    tuned = _TUNED.match(own)
    return prices.get(f"{endpoint}/{tuned[0]}") if tuned is not None else None


def imported_file(user_file: Path) -> Path:
    """Returns the path of the imported prices that belong to a user's settings file: both may be missing."""
    return user_file.with_name(user_file.name.removesuffix(".toml") + IMPORTED_SUFFIX)


def imported_values(path: Path, values: dict[str, Any], by_hand: Any) -> dict[str, Any]:
    """Returns what counts of imported prices.

    Args:
        path: their file, for messages.
        values: what it holds.
        by_hand: the prices of the user's own file. They replace imported ones as a whole.

    Raises:
        SettingsError: it holds other settings.
    """
    other = next((key for key in values if key not in _KEPT), None)
    if other is not None:
        raise SettingsError(
            f"{path} sets {other!r}, but holds nothing but imported prices; remove it there, or delete the file and import again"
        )
    prices = values.get("prices")
    if not isinstance(prices, dict) or not isinstance(by_hand, dict):
        return values
    return {**values, "prices": {name: price for name, price in prices.items() if name not in by_hand}}
