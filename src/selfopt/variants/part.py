"""A part of the space of variants, and the ways to do what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import VariantError
from selfopt.records import Capability, Phase

from .written import is_written

EVERY_PHASE: frozenset[Phase] = frozenset({"atomic", "extended"})


@dataclass(frozen=True, slots=True)
class PartChoice:
    """One way to do what a part is about.

    Attributes:
        name: as it stands in a point.
        title: what it does, for people.
        fields: of the variant, that it sets. Instructions of several parts are told one after
            another.
        options: of the variant's options, that it sets.
        sampling: of the variant's sampling, that it sets.
        with_: the choices of other parts that it needs, by part. They come before its own part.
        needs: what the server must have.
        phases: the kinds of work in which it can be chosen.
        requests: how many requests more a prompt may take with it, at most.
    """

    name: str
    title: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    with_: Mapping[str, frozenset[str]] = field(default_factory=dict)
    needs: frozenset[Capability] = frozenset()
    phases: frozenset[Phase] = EVERY_PHASE
    requests: int = 0


@dataclass(frozen=True, slots=True)
class VariantPart:
    """One thing about a variant that can be chosen.

    Attributes:
        name: as it stands in a point.
        title: what is chosen, for people.
        choices: the first one is the default.
        reads: whether it only changes how replies are read, so that stored replies tell what it
            brings.
        phases: the kinds of work for which it is chosen. In others it keeps its default.
    """

    name: str
    title: str
    choices: tuple[PartChoice, ...]
    reads: bool = False
    phases: frozenset[Phase] = EVERY_PHASE

    @property
    def default(self) -> str:
        """The name of the first choice."""
        return self.choices[0].name

    @property
    def samples(self) -> bool:
        """Whether it is about how tokens are drawn, and not about what the model is shown."""
        return any(choice.sampling for choice in self.choices)

    def choice(self, name: str) -> PartChoice:
        """The choice of this name. VariantError lists the names there are.

        A choice that was written during a search is one by the form of its name: what it holds,
        `composed` has to be told.
        """
        if is_written(self.name, name):
            return PartChoice(name, "written during a search")
        found = next((choice for choice in self.choices if choice.name == name), None)
        if found is None:
            import difflib  # only where something is wrong

            names = [choice.name for choice in self.choices]
            near = difflib.get_close_matches(name, names, n=2)
            hint = f"; did you mean {' or '.join(near)}" if near else ""
            raise VariantError(f"part {self.name!r} has no choice {name!r}{hint}; choices are {', '.join(names)}")
        return found
