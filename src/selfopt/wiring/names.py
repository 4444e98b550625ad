"""The name under which this home knows a model that has several."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfopt.errors import StoreError
from selfopt.records import Baseline, Spec

if TYPE_CHECKING:
    from .app import App


def as_known(app: App, model: str) -> str:
    """Return a model's full name as this home spells it.

    Identities hold the name, so what was measured under one spelling is found under no other.
    """
    one_name = app.settings.one_name
    if app.settings.has_one_spelling(model):
        return model
    name = one_name(model)
    with contextlib.suppress(StoreError):  # whoever needs a damaged file says so
        return next((known for known in _known(app) if one_name(known) == name), model)
    return model


def _known(app: App) -> Iterator[str]:
    """Yield names: of baselines and measurements, the newest first, then of rules."""
    if app.has_ledger:
        yield from (baseline.model for baseline in app.ledger.read(Baseline, newest_first=True))
        yield from (spec.model for spec in app.ledger.read(Spec, newest_first=True))
    yield from (rule.model for rule in app.enforcer.look().config.rules)
