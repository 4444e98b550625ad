"""Matches paths with the patterns of globs, in time that no pattern can blow up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

from selfopt.errors import SuiteError

MAGIC = re.compile(r"[*?\[{]")
MAX_CHARACTERS = 300
MAX_CHOICES = 64
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A pattern. `plain` is what comes before the first part with magic."""

    plain: tuple[str, ...]
    choices: tuple[tuple[str | re.Pattern[str], ...], ...]

    def __call__(self, parts: Sequence[str]) -> bool:
        """Whether the parts of a path match."""
        return any(_fits(parts, pattern) for pattern in self.choices)


def matcher(pattern: str, shown: str) -> Matcher:
    """Read a pattern: `*`, `?`, `[a-z]`, `**` for any number of folders, and `{a,b}`.

    Raises SuiteError, which begins with `shown`, for one that is too long.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise SuiteError(f"{shown}: longer than {MAX_CHARACTERS} characters; shorten the pattern")
    choices = [pattern]
    while any(_BRACES.search(choice) for choice in choices):
        choices = [one for choice in choices for one in _spread(choice)]
        if len(choices) > MAX_CHOICES:
            raise SuiteError(f"{shown}: stands for more than {MAX_CHOICES} patterns; write fewer choices")
    parts = [[part for part in choice.split("/") if part not in ("", ".")] for choice in choices]
    first = [part for part in pattern.split("/") if part not in ("", ".")]
    place = next((i for i, part in enumerate(first) if MAGIC.search(part)), len(first))
    read = tuple(tuple("**" if part == "**" else re.compile(translate(part)) for part in choice) for choice in parts)
    return Matcher(tuple(first[:place]), read)


def _spread(choice: str) -> list[str]:
    found = _BRACES.search(choice)
    if found is None:
        return [choice]
    return [choice[: found.start()] + one + choice[found.end() :] for one in found[1].split(",")]


def _fits(parts: Sequence[str], pattern: Sequence[str | re.Pattern[str]]) -> bool:
    """Walk through the path with the set of all places in the pattern that it can have reached."""
    places = _skipped({0}, pattern)
    for part in parts:
        reached = set()
        for place in places:
            if place == len(pattern):
                continue
            wanted = pattern[place]
            if isinstance(wanted, str):
                reached.add(place)
            elif wanted.match(part):
                reached.add(place + 1)
        places = _skipped(reached, pattern)
    return len(pattern) in places


def _skipped(places: set[int], pattern: Sequence[str | re.Pattern[str]]) -> set[int]:
    """Add the places after `**`, which also stands for no folder."""
    found = set(places)
    for place, part in enumerate(pattern):
        if place in found and isinstance(part, str):
            found.add(place + 1)
    return found
