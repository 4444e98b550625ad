"""Reaches the model that a search asks for advice, as far as the user allows it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from selfopt.errors import UsageError
from selfopt.home.extras import extra_needed

if TYPE_CHECKING:
    from selfopt.measure.question import Adviser

    from .app import App


def adviser_of(app: App, model: str, asked: str) -> Adviser:
    """The model that is asked for advice about another.

    Args:
        model: who is asked.
        asked: full name of the model whose trials are shown. What is private to it does not leave
            this machine without consent; that is checked here and for every question.

    Raises:
        ConsentError: the questions may not leave this machine.
        UnknownModelError: no endpoint of the settings has the model.
    """
    from selfopt.measure.question import Adviser

    full = app.full_name(model)
    entry = app.settings.endpoint_of(full)[1]
    return Adviser(
        model=full,
        server_model=app.sender.server_model(full),
        endpoint=app.sender.endpoint(full, asked=asked),
        residency=app.sender.residency(full, asked=asked),
        takes_schema=entry.takes_any_schema,
        cost_of=lambda usage, busy_s: app.settings.cost_of(full, usage, busy_s),
        context_size=app.settings.engine.context_size if entry.traits.engine else None,
    )


def require_adviser(app: App, models: Iterable[str]) -> None:
    """Check, before anything is measured, that a search may and can ask for advice.

    Args:
        models: full names of those that are to be searched for.

    Raises:
        ConsentError, UnknownModelError, UsageError: it may not or cannot. `App.require_ready` may
            raise more.
    """
    settings = app.settings.loop
    if not settings.search or settings.reflection.model is None:
        return
    full = app.full_name(settings.reflection.model)
    for model in models:
        app.sender.require(model, full)
    if settings.reflection.backend == "gepa" and find_spec("gepa") is None:
        raise UsageError(f'loop.reflection.backend = "gepa" needs {extra_needed("search")}; or set it to "own"')
    app.require_ready({full})
