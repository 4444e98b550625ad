"""What the gateway can serve now: the models that are installed, and names that mean one of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from importlib import import_module

from selfopt.errors import SelfoptError, UnknownModelError
from selfopt.home import escape_control
from selfopt.records import RoutingConfig
from selfopt.settings import EndpointSettings

from .app import App

_SLOW = "selfopt.endpoints.factory"
FRESH_S = 10.0
WAIT_S = 2.0
MAX_LISTED = 2000
MAX_NAME = 256


class Inventory:
    """The models of all endpoints, asked for at most every ten seconds.

    Only servers on this machine are asked, unless `allow_remote` is on. Of other servers it knows
    the models that settings and rules name.
    """

    def __init__(self, app: App, rules: Callable[[], RoutingConfig], clock: Callable[[], float] = time.monotonic) -> None:
        """rules: returns the rules in force."""
        self._app = app
        self._rules = rules
        self._clock = clock
        self._installed: dict[str, list[str] | None] = {}
        self._looked_at: float | None = None
        self._looking = asyncio.Lock()

    async def names(self) -> list[str]:
        """Return the full names and aliases that can be asked now, in order."""
        known = await self._known()
        aliases = {alias for alias in self._app.settings.models.aliases if self._has(self._app.known_model(alias), known)}
        return sorted({*aliases, *known.values()})

    async def find(self, name: str, may_ask: Callable[[str], bool] = lambda model: True) -> str:
        """Return the full name that a name without its endpoint stands for.

        A model on this machine comes first. One that is not on it needs consent, because the name
        does not say where the request goes.

        Args:
            may_ask: says whether the client may ask for a model, by its full name.

        Raises:
            UnknownModelError: no endpoint has the model, or several have it.
        """
        settings, known = self._app.settings, await self._known()
        places = [model for place in settings.endpoints if may_ask(model := known.get(settings.one_name(f"{place}/{name}"), ""))]
        here = [model for model in filter(None, places) if settings.is_local(model)]
        found = here or [model for model in places if model]
        shown, full = escape_control(name, 200), ", ".join(escape_control(model, 200) for model in found)
        if not found:
            raise UnknownModelError(f"unknown model {shown!r}; /v1/models lists the models that can be asked for")
        if len(found) > 1:
            raise UnknownModelError(f"model {shown!r} is at several endpoints: ask for one of {full}")
        if not here and not settings.allow_remote:
            raise UnknownModelError(f"model {shown!r} is not on this machine: ask for it by its full name, {full}")
        return found[0]

    def known_now(self) -> frozenset[str]:
        """Return the one name of each model that rules, settings and servers name, as far as that is known now."""
        app, settings = self._app, self._app.settings
        fallbacks = filter(None, (app.known_model(rule.fallback) for rule in self._rules().rules if rule.fallback))
        listed = (model for names in self._installed.values() for model in names or ())
        return frozenset(settings.one_name(model) for model in (*self._named(), *fallbacks, *listed))

    async def _known(self) -> dict[str, str]:
        """Return the full names of the models that can be asked now, by their one name."""
        async with self._looking:
            if self._looked_at is None or self._clock() - self._looked_at >= FRESH_S:
                await self._look()
        settings = self._app.settings
        listed = [model for names in self._installed.values() for model in names or ()]
        named = [model for model in self._named() if self._answers_for(model)]
        found: dict[str, str] = {}
        for model in (*listed, *named):
            found.setdefault(settings.one_name(model), model)
        return found

    def _named(self) -> Iterable[str]:
        """Yield the full names that settings and rules name."""
        app, fallbacks = self._app, self._app.settings.fallbacks
        names = (*app.settings.models.aliases, *fallbacks.atomic, *fallbacks.extended, *(r.model for r in self._rules().rules))
        return filter(None, map(app.known_model, dict.fromkeys(names)))

    def _answers_for(self, model: str) -> bool:
        """Say whether the endpoint of a model that is only named may have it."""
        app = self._app
        place, entry = app.settings.endpoint_of(model)
        if place not in self._installed:  # it was not asked, since it is elsewhere
            return app.settings.missing_key(place, app.environ) is None
        return self._installed[place] is not None and not _lists_all(entry)

    def _has(self, model: str | None, known: dict[str, str]) -> bool:
        return model is not None and self._app.settings.one_name(model) in known

    async def _look(self) -> None:
        await asyncio.to_thread(import_module, _SLOW)  # others are served meanwhile
        settings = self._app.settings
        near = [place for place, entry in settings.endpoints.items() if entry.is_local or settings.allow_remote]
        asked = [place for place in near if self._lists(place)]
        answers = await asyncio.gather(*map(self._ask, asked))
        self._installed = dict(zip(asked, answers, strict=True))
        self._looked_at = self._clock()

    def _lists(self, place: str) -> bool:
        if self._app.settings.endpoints[place].traits.engine:
            return True
        try:
            return self._app.sender.lists_models(place)
        except SelfoptError:  # its settings are incomplete
            return False

    async def _ask(self, place: str) -> list[str] | None:
        """Return the full names that an endpoint lists; None if it does not answer."""
        app = self._app
        if app.settings.endpoints[place].traits.engine:
            return [model.name for model in app.store.installed() if model.name in app.catalogue]
        try:
            async with asyncio.timeout(WAIT_S):
                names = await app.sender.installed(place)
        except (SelfoptError, TimeoutError):
            return None
        if names is None:
            return None
        return [f"{place}/{name}" for name in names if name.isprintable() and 0 < len(name) <= MAX_NAME][:MAX_LISTED]


def _lists_all(entry: EndpointSettings) -> bool:
    """Say whether an endpoint has no model that it does not list, as a server may that takes any name."""
    return entry.traits.lists_models or entry.traits.engine or entry.plays_here
