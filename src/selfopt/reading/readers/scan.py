"""A text and what is looked up in it while it is read."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfopt.reading.schema import properties_of, resolved, typed_text
from selfopt.records import ToolCall

from .base import Effort
from .loose import LooseReader, UnreadableError
from .marks import SPACE, Marks, Parameter
from .names import Names

BEYOND = 1 << 40  # a place behind any text


@dataclass(frozen=True, slots=True)
class Body:
    """What stands behind an opening mark.

    Attributes:
        calls: the calls in it.
        end: the position after it.
        form: the form of the arguments, as in `Family.body`.
        named: whether the name stands before the arguments, and not within them.
        none: whether it says that no tool is called.
        cut: whether it has no end in the text.
    """

    calls: tuple[ToolCall, ...]
    end: int
    form: str = "json"
    named: bool = False
    none: bool = False
    cut: bool = False


@dataclass(slots=True)
class Scan:
    """A text, the tools that were offered, and the marks that are looked for.

    Attributes:
        effort: how many characters failed attempts may still read.
    """

    text: str
    names: Names
    marks: Marks
    effort: Effort
    loose: LooseReader = field(init=False)
    _properties: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _places: dict[int, list[int]] = field(default_factory=dict)
    _ends: dict[tuple[int, bool], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loose = LooseReader(self.text)

    def skip(self, position: int) -> int:
        """The position after white space."""
        return SPACE.match(self.text, position).end()  # type: ignore[union-attr]  # it matches nothing, too

    def next(self, pattern: re.Pattern[str], position: int) -> int:
        """Where the pattern occurs next, at this position or after it; BEYOND if it doesn't.

        Of opening marks, words that any text may hold and those behind a name don't count.
        """
        places = self._places.get(id(pattern))  # the hash of a pattern takes long
        if places is None:
            every = pattern.finditer(self.text)
            if pattern is self.marks.opening:
                every = (one for one in every if not (self.marks.mark(one).word or self.marks.mark(one).behind))
            places = self._places[id(pattern)] = [one.start() for one in every]
        index = bisect_left(places, position)
        return places[index] if index < len(places) else BEYOND

    def parameter(self, position: int) -> tuple[Parameter, re.Match[str]] | None:
        """The mark before an argument that stands here."""
        for one in self.marks.parameters:
            found = one.opening.match(self.text, position)
            if found is not None:
                return one, found
        return None

    def past_ends(self, position: int, *, arguments: bool = True) -> int:
        """The position after the marks here that end calls, all calls, and (if wanted) arguments."""
        # Kept for each mark passed, since many calls may lead into one long run of marks.
        passed: list[int] = []
        while (known := self._ends.get((position, arguments))) is None:
            passed.append(position)
            at = self.skip(position)
            if self.text.startswith("```", at):
                after = self.skip(at + 3)
                if self.marks.ending.match(self.text, after):
                    at = after
            found = self.marks.ending.match(self.text, at)
            for one in self.marks.parameters if arguments and found is None else ():
                found = found or one.closing.match(self.text, at)
            if found is None or found.end() == at:
                known = position
                break
            position = found.end()
        self._ends.update(((one, arguments), known) for one in passed)
        return known

    def value(self, position: int, *, call: bool = False) -> tuple[Any, int] | None:
        """The value that starts here, and the position after it; None if it can't be read."""
        try:
            return self.loose.value(position, call=call)
        except UnreadableError as stopped:
            self.effort.spend(stopped.position - position)
            return None

    def properties(self, name: str) -> Mapping[str, Any]:
        """The properties of an offered tool; empty for any other."""
        known = self._properties.get(name)
        if known is None:
            schema = self.names.schema(name)
            known = self._properties[name] = properties_of(resolved(schema, schema)) if schema else {}
        return known

    def typed(self, name: str, key: str, raw: str) -> Any:
        """The value of an argument that was written as bare text."""
        return typed_text(raw, self.properties(name).get(key, {}), self.names.schema(name))
