"""The gateway's API keys. The audit trail records each change before it takes effect."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from selfopt.errors import UsageError
from selfopt.home import NO_TERMS, CheckedKeys, GatewayKey, KeyScope
from selfopt.wiring.app import App

__all__ = ["GatewayKey", "KeyScope", "add_key", "labels_of", "list_keys", "revoke_key", "set_key"]


def list_keys(app: App) -> CheckedKeys:
    """List all keys that the audit trail confirms, revoked ones included."""
    return app.keys.check()


def add_key(
    app: App,
    name: str,
    *,
    models: Collection[str] = (),
    scopes: Collection[KeyScope] = (),
    terms: Mapping[str, Any] | None = None,
) -> tuple[str, GatewayKey]:
    """Make a key and return it with its entry. Show the key once: it is stored nowhere.

    Args:
        models: names or aliases that the key may ask for; empty for all.
        terms: budgets, rates and labels by the names of `KeyTerms`; None for none.

    Raises:
        UnknownModelError: no endpoint has a model.
        UsageError: the name is taken, or a value is none that terms may have.
    """
    allowed = [app.resolve_model(model) for model in models] or None
    chosen = NO_TERMS.changed(_with_currency(app, terms or {}))
    app.home.ensure()
    return app.keys.add(name, models=allowed, scopes=scopes, terms=chosen)


def set_key(app: App, name: str, terms: Mapping[str, Any]) -> GatewayKey:
    """Change the terms of a key, by id or name. Returns its entry. A running gateway follows at once.

    terms: new values by the names of `KeyTerms`; None takes a limit away, and so does an empty label.

    Raises:
        UsageError: there is no such key, nothing to change, or a value that no terms may have.
    """
    if not terms:
        raise UsageError("nothing to change: name a budget, a rate or a label; see `selfopt keys set --help`")
    app.home.ensure()
    return app.keys.change(name, _with_currency(app, terms))


def revoke_key(app: App, name: str) -> GatewayKey:
    """Revoke a key for good, by id or name. UsageError when there is no such key."""
    app.home.ensure()
    return app.keys.revoke(name)


def labels_of(pairs: Collection[str]) -> dict[str, str]:
    """Return labels by name, from texts such as `team=blue`. UsageError for anything else."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r:.100} is no label: write NAME=VALUE, such as team=blue")
        found[name] = value
    return found


def unpriced(app: App, entry: GatewayKey) -> bool:
    """Say whether a key has a hard budget, and nothing has a price: then it can ask models of this machine alone."""
    return entry.terms.has_budget and entry.terms.on_budget == "hard" and not app.settings.prices


def _with_currency(app: App, terms: Mapping[str, Any]) -> dict[str, Any]:
    """Note in which currency a budget is."""
    priced = any(terms.get(name) is not None for name in ("budget_day", "budget_month"))
    return {**terms, **({"currency": app.settings.currency} if priced else {})}
