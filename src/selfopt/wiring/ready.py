"""Checks what requests will need before the first one is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from selfopt.errors import ModelStoreError, SettingsError, VariantError
from selfopt.reading import needs_logprobs
from selfopt.records import Variant
from selfopt.settings import Settings
from selfopt.variants import rests_on_logprobs

if TYPE_CHECKING:
    from .app import App


def require_logprobs(settings: Settings, variant: Variant, endpoint: str) -> None:
    """VariantError when a variant rests on log probabilities and its endpoint can't be asked for any."""
    entry = settings.endpoints[endpoint]
    if not rests_on_logprobs(variant) or entry.may_give_logprobs:
        return
    why = "omit names them in its settings" if "logprobs" in entry.omit else f"its kind, {entry.kind}, has none"
    reads = needs_logprobs(variant.parsers)
    does, cause = (
        ("makes no call without", "sure-N in its parsers") if reads else ("decides by", "decide or pick among its options")
    )
    raise VariantError(
        f"variant {variant.name!r} {does} the log probabilities of a reply, and endpoint {endpoint!r} gives none "
        f"({why}); take a variant without {cause}, or another endpoint"
    )


def require_all(app: App, models: Iterable[str]) -> None:
    """Check what these models need; see `App.require_ready`."""
    models = list(models)
    app.executors.require(models)
    for model in models:
        name, entry = app.settings.endpoint_of(model)
        variable = app.settings.missing_key(name, app.environ)
        if variable is not None:
            raise SettingsError(
                f"endpoint {name!r} has no API key: {variable} is not set; export it, or set api_key or "
                f"api_key_env of [endpoints.{name}] in your own settings"
            )
        # Also a server on this machine may ask one that is paid. A cap of a project's files is no reason to refuse it.
        own_cap = app.own_limits.max_cost is not None and not (entry.traits.engine or entry.plays_here)
        capped = app.settings.limits.max_cost is not None and (own_cap or not entry.is_local)
        if capped and app.settings.price_of(model) is None:
            raise SettingsError(
                f"max_cost is set, but {model} has no price, so the cap can't hold: set input and output (per million tokens; 0 "
                f'if it costs nothing) in [prices."{model}"] of your own settings, call selfopt prices import FILE, or leave max_cost out'
            )
        if entry.traits.engine and app.store.path_of(model) is None:
            raise ModelStoreError(f"{model} is not pulled; run: selfopt models pull {model}")
        if entry.plays_here and entry.script is None:
            raise SettingsError(f"endpoint {name!r} has neither script nor base_url; set one in selfopt.toml")
