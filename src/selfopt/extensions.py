"""Registries: the implementations of one seam by name, our own and those of installed packages."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


T = TypeVar("T")

logger = logging.getLogger("selfopt.extensions")


@dataclass(frozen=True, slots=True)
class Extension:
    """An implementation that an installed package offers.

    group: the entry point group. distribution, version: of the package. problem: why it is left
    out, None where it is used.
    """

    group: str
    name: str
    distribution: str
    version: str
    problem: str | None = None


class Registry(Generic[T]):
    """The implementations of one seam. Each is imported when it is first asked for.

    Args:
        group: the entry point group that packages use, such as `selfopt.detectors`.
        builtin: our own, in the order in which they count: each as `"name": "module:attribute"`, or,
            where it is no more than data, the implementation itself.
        seam: the Protocol or class that every implementation must satisfy.

    What a package offers is left out when it cannot be imported, does not satisfy the seam, or
    takes a name that is taken; `installed` says so. Our own must load, so their errors are raised.

    Example:
        DETECTORS: Registry[Detector] = Registry(
            "selfopt.detectors", {"flaky": "selfopt.feedback.detectors.flaky:DETECTOR"}, Detector
        )
    """

    def __init__(self, group: str, builtin: Mapping[str, str | T], seam: type[Any]) -> None:
        self.group = group
        self._builtin = dict(builtin)
        self._seam = seam
        self._loaded: dict[str, T] = {}
        self._found: tuple[Extension, ...] | None = None

    @property
    def builtin(self) -> tuple[str, ...]:
        """Names of our own, without a look at what is installed."""
        return tuple(self._builtin)

    def names(self) -> tuple[str, ...]:
        """Every name that `get` knows: our own in their order, then the others by name."""
        return tuple(self.all())

    def get(self, name: str) -> T | None:
        """The implementation of this name; None where there is none."""
        if name in self._builtin and name not in self._loaded:
            self._loaded[name] = self._resolved(self._builtin[name])
        if name not in self._loaded:
            self.installed()
        return self._loaded.get(name)

    def all(self) -> Mapping[str, T]:
        """All implementations by name, in the order of `names`."""
        self.installed()
        own = {name: self._loaded.get(name) or self._resolved(self._builtin[name]) for name in self._builtin}
        self._loaded |= own
        return own | {name: self._loaded[name] for name in sorted(self._loaded.keys() - own.keys())}

    def installed(self) -> tuple[Extension, ...]:
        """What installed packages offer, with the reason where one is left out."""
        if self._found is None:
            self._found = tuple(self._load(offered) for offered in _offered(self.group))
        return self._found

    @contextmanager
    def adding(self, name: str, implementation: T) -> Iterator[None]:
        """Use one more implementation for a while. ValueError when its name is taken or it does not satisfy the seam."""
        problem = self._unfit(name, implementation)
        if problem is not None:
            raise ValueError(f"{self.group}: {name!r} {problem}")
        self._loaded[name] = implementation
        try:
            yield
        finally:
            del self._loaded[name]

    def _load(self, offered: EntryPoint) -> Extension:
        dist = offered.dist
        found = Extension(self.group, offered.name, dist.name if dist else "unknown", dist.version if dist else "unknown")
        try:
            # Code of somebody else: whatever goes wrong in it must not stop ours.
            implementation = offered.load()
            problem = self._unfit(offered.name, implementation)
        except (Exception, SystemExit) as error:
            problem = f"cannot be loaded: {type(error).__name__}: {error}"
        if problem is None:
            self._loaded[offered.name] = implementation
            return found
        logger.warning("%s %r of %s %s is left out: it %s", self.group, found.name, found.distribution, found.version, problem)
        return replace(found, problem=problem)

    def _unfit(self, name: str, implementation: object) -> str | None:
        if name in self._builtin or name in self._loaded:
            return "takes a name that is taken"
        return None if isinstance(implementation, self._seam) else f"does not satisfy {self._seam.__name__}"

    def _resolved(self, place: str | T) -> T:
        if not isinstance(place, str):
            return place
        module, _, attribute = place.partition(":")
        found: T = getattr(importlib.import_module(module), attribute)
        return found


def _offered(group: str) -> list[EntryPoint]:
    """Entry points of a group, in an order that does not depend on how packages were installed."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda e: (e.name, e.dist.name if e.dist else "", e.value))
