"""API keys of the gateway: each change is in the audit trail before it holds."""

from __future__ import annotations

from collections.abc import Collection

from selfopt.home import GatewayKey, KeyFile, KeyScope

from .app import App

__all__ = ["add_key", "list_keys", "revoke_key"]


def list_keys(app: App) -> tuple[GatewayKey, ...]:
    """All, the revoked ones too. Raises what reading the file raises."""
    return KeyFile(app.home.keys).read()


def add_key(app: App, name: str, *, models: Collection[str] = (), scopes: Collection[KeyScope] = ()) -> tuple[str, GatewayKey]:
    """(the key itself, which is shown once and kept nowhere; its entry). models: names or aliases, none for all.
    UnknownModelError; UsageError for a name that is taken."""
    allowed = [app.resolve_model(model) for model in models] or None
    app.home.ensure()

    def audited(entry: GatewayKey) -> None:
        _tell(app, "key_added", entry)

    return KeyFile(app.home.keys).add(name, models=allowed, scopes=scopes, before=audited)


def revoke_key(app: App, name: str) -> GatewayKey:
    """Make a key invalid for good, by its id or name. UsageError for one that is none."""
    app.home.ensure()
    return KeyFile(app.home.keys).revoke(name, before=lambda entry: _tell(app, "key_revoked", entry))


def _tell(app: App, event: str, entry: GatewayKey) -> None:
    told = {"key": entry.id, "name": entry.name, "models": entry.models, "scopes": entry.scopes}
    app.enforcer.trail.append(event, reason=f"{entry.id} ({entry.name})", details=told)
