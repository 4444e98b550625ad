"""`prices`: what models cost by the settings, and prices taken from a public table."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from selfopt.errors import StoreError, UsageError
from selfopt.home import InputFileError, atomic_write_text, read_input
from selfopt.settings import Settings, default_config_file
from selfopt.settings.endpoint import EndpointSettings
from selfopt.settings.prices import PriceSettings, imported_file
from selfopt.settings.project import MAX_BYTES
from selfopt.settings.sources import own_prices
from selfopt.wiring.app import App

from .price_table import MAX_TABLE_BYTES, LeftOut, Partly, PriceTable, TablePrice, read_table

Origin = Literal["yours", "imported", "elsewhere"]
USD = "USD"
_CURRENCY = re.compile(r"(?P<name>[A-Za-z]{1,8}|[$€£¥])(?:=(?P<rate>\d{1,9}(?:\.\d{1,9})?))?")
_HEAD = """\
# Written by `selfopt prices import`, for a million tokens each.
# The prices in your own settings win over these. Delete this file to forget them.
"""
# What the table calls whoever answers at these hosts. Another endpoint is known by its own name.
_PROVIDERS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.deepinfra.com": "deepinfra",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.minimax.io": "minimax",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshot",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.sambanova.ai": "sambanova",
    "api.together.xyz": "together_ai",
    "api.x.ai": "xai",
    "api.z.ai": "zai",
    "dashscope-intl.aliyuncs.com": "dashscope",
    "generativelanguage.googleapis.com": "gemini",
    "openrouter.ai": "openrouter",
}


@dataclass(frozen=True, slots=True)
class PricedModel:
    """What one model costs. origin: whose price it is."""

    model: str
    price: PriceSettings
    origin: Origin


@dataclass(frozen=True, slots=True)
class PricesShown:
    """The prices in force.

    Attributes:
        currency: empty where none is named.
        models: by their names.
        unpriced: models that the settings name and that have no price. Those on this machine cost
            nothing; the cost of others is unknown.
        local: the ones of them on this machine.
    """

    currency: str
    models: tuple[PricedModel, ...]
    unpriced: tuple[str, ...]
    local: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PricesImported:
    """What an import did.

    Attributes:
        path: the file of imported prices.
        changed: whether it was written; False where it held all of them already.
        currency: of the prices.
        models: how many models got a price, by endpoint.
        by_hand: models whose price the user wrote; it stays.
        left_out: how many entries of the table were not used, by why.
        elsewhere: how many have a provider that no endpoint speaks to, by provider.
        partly: models that got a price which does not tell all, by what it leaves out.
        unmatched: endpoints elsewhere that the table has no chat model of, each with the provider that
            was looked for.
        unpriced: models that the settings name, not on this machine, and that have no price yet.
    """

    path: Path
    changed: bool
    currency: str
    models: Mapping[str, int] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    partly: Mapping[Partly, tuple[str, ...]] = field(default_factory=dict)
    unmatched: Mapping[str, str] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()


def show_prices(app: App) -> PricesShown:
    """The prices in force, and the models that the settings name without one."""
    settings, (by_hand, imported) = app.settings, own_prices(app.environ)
    models = tuple(
        PricedModel(name, price, "yours" if name in by_hand else "imported" if name in imported else "elsewhere")
        for name, price in sorted(settings.prices.items())
    )
    unpriced = tuple(name for name in _named(settings) if settings.price_of(name) is None)
    return PricesShown(settings.currency, models, unpriced, tuple(name for name in unpriced if settings.is_local(name)))


def import_prices(app: App, file: Path, *, only: Sequence[str] = (), currency: str | None = None) -> PricesImported:
    """Take the prices of the models that the user's endpoints can serve from LiteLLM's table.

    The prices go into a file of their own beside the user's settings. What it held of other models
    stays. Asks nobody, and does nothing the second time.

    Args:
        only: patterns of full names; empty for all.
        currency: "EUR=0.92": what one US dollar is, in which the table counts. None: US dollars.

    Raises:
        UsageError: the file cannot be used, or the currency differs from that of other prices.
        StoreError: the prices cannot be written.
    """
    name, rate = _currency(currency)
    path = imported_file(default_config_file(app.environ))
    by_hand, kept = own_prices(app.environ)
    if app.settings.currency not in ("", name):
        raise UsageError(
            f"your prices are in {app.settings.currency}, and these would be in {name}: add --currency {app.settings.currency}=RATE "
            f"(what one US dollar is), or change currency in your settings; delete {path} to forget what was imported before"
        )
    try:
        table = read_table(read_input(file, MAX_TABLE_BYTES), rate)
    except (InputFileError, UsageError) as error:
        raise UsageError(f"{file}: {error}") from None
    matched = _Matched(app.settings, by_hand, only)
    matched.take(table)
    own = {app.settings.one_name(model) for model in by_hand}
    prices = {model: price for model, price in kept.items() if app.settings.one_name(model) not in own}
    prices.update((model, price.model_dump(exclude_none=True)) for model, price in matched.prices.items())
    changed = bool(prices) and _write(path, _text(name, prices))
    settings = app.settings.model_copy(update={"prices": {**app.settings.prices, **matched.prices}})
    return PricesImported(
        path=path,
        changed=changed,
        currency=name,
        models=dict(sorted(Counter(model.partition("/")[0] for model in matched.prices).items())),
        by_hand=tuple(sorted(matched.by_hand)),
        left_out=dict(sorted((Counter(table.left_out) + matched.left_out).items())),
        elsewhere=dict(matched.elsewhere.most_common()),
        partly={what: tuple(sorted(models)) for what, models in sorted(matched.partly.items())},
        unmatched=matched.unmatched(table),
        unpriced=tuple(m for m in _named(settings) if not settings.is_local(m) and settings.price_of(m) is None),
    )


class _Matched:
    """The prices of a table that belong to models of the user's endpoints."""

    def __init__(self, settings: Settings, by_hand: Mapping[str, Any], only: Sequence[str]) -> None:
        self._settings = settings
        self._only = only
        self._own = {settings.one_name(model) for model in by_hand}
        self._endpoints: dict[str, list[str]] = {}
        for name, entry in settings.endpoints.items():
            if (provider := provider_of(name, entry)) is not None:
                self._endpoints.setdefault(provider, []).append(name)
        self.prices: dict[str, PriceSettings] = {}
        self.by_hand: set[str] = set()
        self.left_out: Counter[LeftOut] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.partly: dict[Partly, set[str]] = {}

    def take(self, table: PriceTable) -> None:
        """Add what there is in a table."""
        for found in table.prices:
            endpoints = self._endpoints.get(found.provider, ())
            if not endpoints:
                self.elsewhere[found.provider] += 1
                self.left_out["provider"] += 1
            for endpoint in endpoints:
                self._add(f"{endpoint}/{found.name}", found)

    def unmatched(self, table: PriceTable) -> dict[str, str]:
        """The wanted endpoints elsewhere that a table has nothing of, each with the provider that was looked for."""
        told = {found.provider for found in table.prices}
        wanted = [pattern.partition("/")[0] for pattern in self._only] or ["*"]
        return {
            name: provider
            for provider, names in self._endpoints.items()
            for name in names
            if provider not in told and any(fnmatchcase(name, pattern) for pattern in wanted)
        }

    def _add(self, model: str, found: TablePrice) -> None:
        if self._only and not any(fnmatchcase(model, pattern) for pattern in self._only):
            self.left_out["not_wanted"] += 1
        elif self._settings.one_name(model) in self._own:
            self.by_hand.add(model)
            self.left_out["by_hand"] += 1
        else:
            self.prices[model] = found.price
            for what in found.partly:
                self.partly.setdefault(what, set()).add(model)


def provider_of(name: str, entry: EndpointSettings) -> str | None:
    """What LiteLLM's table calls whoever answers at an endpoint. None on this machine, which no table prices."""
    if entry.is_local:
        return None
    host = urlsplit(entry.base_url).hostname if entry.base_url else None
    return _PROVIDERS.get(host or "", name)


def _currency(text: str | None) -> tuple[str, float]:
    if text is None:
        return USD, 1.0
    found = _CURRENCY.fullmatch(text)
    rate = float(found["rate"] or (1 if found["name"] == USD else 0)) if found is not None else 0.0
    if found is None or not (math.isfinite(rate) and rate > 0):
        raise UsageError(
            f"the currency {text[:40]!r} can't be used: write NAME=RATE with what one US dollar is, such as EUR=0.92, "
            "since the table counts in US dollars"
        )
    return found["name"], rate


def _named(settings: Settings) -> list[str]:
    """The full names of the models that the settings name."""
    return sorted({model for model in _mentioned(settings) if model.partition("/")[0] in settings.endpoints})


def _mentioned(settings: Settings) -> Iterator[str]:
    yield from settings.models.aliases.values()
    yield from (*settings.fallbacks.atomic, *settings.fallbacks.extended)
    if settings.loop.reflection.model is not None:
        yield settings.loop.reflection.model


def _text(currency: str, prices: Mapping[str, Mapping[str, float]]) -> str:
    """The file's text. The same prices always make the same text."""
    tables = (
        "".join([f"\n[prices.{_quoted(model)}]\n", *(f"{key} = {float(value)!r}\n" for key, value in price.items())])
        for model, price in sorted(prices.items())
    )
    return "".join([_HEAD, f"currency = {_quoted(currency)}\n", *tables])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> bool:
    """Write the file, unless it holds this text. Says whether it did."""
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(f"so many prices don't fit into {MAX_BYTES} bytes, the most that is read; choose some with --only GLOB")
    tomllib.loads(text)
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; check its folder") from error
    atomic_write_text(path, text)
    return True
