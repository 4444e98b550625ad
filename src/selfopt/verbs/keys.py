"""API keys of the gateway: each change is in the audit trail before it holds."""

from __future__ import annotations

from collections.abc import Collection

from selfopt.home import CheckedKeys, GatewayKey, KeyScope
from selfopt.wiring.app import App

__all__ = ["GatewayKey", "KeyScope", "add_key", "list_keys", "revoke_key"]


def list_keys(app: App) -> CheckedKeys:
    """All that the trail bears out, the revoked ones too. Raises what reading file and trail raises."""
    return app.keys.check()


def add_key(app: App, name: str, *, models: Collection[str] = (), scopes: Collection[KeyScope] = ()) -> tuple[str, GatewayKey]:
    """(the key itself, which is shown once and kept nowhere; its entry). models: names or aliases, none for all.
    UnknownModelError; UsageError for a name that is taken."""
    allowed = [app.resolve_model(model) for model in models] or None
    app.home.ensure()
    return app.keys.add(name, models=allowed, scopes=scopes)


def revoke_key(app: App, name: str) -> GatewayKey:
    """Make a key invalid for good, by its id or name. UsageError for one that is none."""
    app.home.ensure()
    return app.keys.revoke(name)
