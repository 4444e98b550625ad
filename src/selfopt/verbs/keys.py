"""The gateway's API keys. The audit trail records each change before it takes effect."""

from __future__ import annotations

from collections.abc import Collection

from selfopt.home import CheckedKeys, GatewayKey, KeyScope
from selfopt.wiring.app import App

__all__ = ["GatewayKey", "KeyScope", "add_key", "list_keys", "revoke_key"]


def list_keys(app: App) -> CheckedKeys:
    """List all keys that the audit trail confirms, revoked ones included."""
    return app.keys.check()


def add_key(app: App, name: str, *, models: Collection[str] = (), scopes: Collection[KeyScope] = ()) -> tuple[str, GatewayKey]:
    """Make a key and return it with its entry. Show the key once: it is stored nowhere.

    Args:
        models: names or aliases that the key may ask for; empty for all.

    Raises:
        UnknownModelError: no endpoint has a model.
        UsageError: the name is taken.
    """
    allowed = [app.resolve_model(model) for model in models] or None
    app.home.ensure()
    return app.keys.add(name, models=allowed, scopes=scopes)


def revoke_key(app: App, name: str) -> GatewayKey:
    """Revoke a key for good, by id or name. UsageError when there is no such key."""
    app.home.ensure()
    return app.keys.revoke(name)
