"""Registries: the implementations of a seam by name, built in or from installed packages."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


T = TypeVar("T")
R = TypeVar("R")

_MOST_TOLD = 300  # characters of what a package says of itself

logger = logging.getLogger("selfopt.extensions")


@dataclass(frozen=True, slots=True)
class Extension:
    """An implementation that an installed package offers."""

    group: str  # the entry point group
    name: str
    distribution: str  # the package
    version: str  # of the package
    problem: str | None = None  # why it is not used; None when it is


class Registry(Generic[T]):
    """The implementations of one seam. Each is imported on first use.

    An implementation from a package is skipped when it cannot be imported, does not satisfy the
    seam, or has a name that is taken; `installed` says why. An error in a built-in one is raised.

    Args:
        group: the entry point group that packages use, such as `selfopt.detectors`.
        builtin: the built-in ones, in their order: each as `"name": "module:attribute"`, or the
            implementation itself when it is only data.
        seam: the Protocol or class that every implementation must satisfy.

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
        """The names of the built-in ones. Does not look for installed packages."""
        return tuple(self._builtin)

    def names(self) -> tuple[str, ...]:
        """Returns every name that `get` knows: the built-in ones in their order, then the others by
        name.
        """
        return tuple(self.all())

    def get(self, name: str) -> T | None:
        """Returns the implementation of this name, or None."""
        if name in self._builtin and name not in self._loaded:
            self._loaded[name] = self._resolved(self._builtin[name])
        if name not in self._loaded:
            self.installed()
        return self._loaded.get(name)

    def all(self) -> Mapping[str, T]:
        """Returns all implementations by name, in the order of `names`."""
        self.installed()
        own = {name: self._loaded.get(name) or self._resolved(self._builtin[name]) for name in self._builtin}
        self._loaded |= own
        return own | {name: self._loaded[name] for name in sorted(self._loaded.keys() - own.keys())}

    def added(self) -> Mapping[str, T]:
        """Returns those that are not built in, by name."""
        self.installed()
        return {name: self._loaded[name] for name in sorted(self._loaded.keys() - self._builtin.keys())}

    def installed(self) -> tuple[Extension, ...]:
        """Returns what installed packages offer, used or not."""
        if self._found is None:
            self._found = tuple(self._load(offered) for offered in _offered(self.group))
        return self._found

    def ask(self, question: Callable[[T], R], otherwise: R) -> Iterator[tuple[str, R]]:
        """Put a question to every implementation, in the order of `all`.

        Args:
            otherwise: the answer of an implementation that is not ours and raises. The log names
                it.

        Returns:
            The name of each implementation, and its answer. Errors of our own are raised.
        """
        for name, implementation in self.all().items():
            if name in self._builtin:
                yield name, question(implementation)
                continue
            try:
                answer = question(implementation)
            except Exception as error:  # code of somebody else: it must not stop ours
                logger.warning("%s %r failed with %s and is left out; update its package", self.group, name, type(error).__name__)
                answer = otherwise
            yield name, answer

    @contextmanager
    def adding(self, name: str, implementation: T) -> Iterator[None]:
        """Add an implementation while the block runs.

        ValueError when its name is taken or it does not satisfy the seam.
        """
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
            # Whatever goes wrong in the code of another package must not stop selfopt.
            implementation = offered.load()
            problem = self._unfit(offered.name, implementation)
        except (Exception, SystemExit) as error:
            problem = f"cannot be loaded: {type(error).__name__}: {error}"[:_MOST_TOLD]
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
    """Returns the entry points of a group, in an order that does not depend on how packages were
    installed.
    """
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda e: (e.name, e.dist.name if e.dist else "", e.value))
