"""How what proposers expected came true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfopt.variants.space import asking_part, point_text

from .archive import Archive, SeenWay, reading_text


@dataclass(frozen=True, slots=True)
class Foresight:
    """The expectations of a proposer that could be checked, and how many came true.

    Attributes:
        fixed: prompts that were passed as expected, where the other point fails.
        of_fixes: prompts that were expected so and asked.
        broken: prompts that were failed as expected, where the other point passes.
        of_breaks: prompts that were expected so and asked.
    """

    fixed: int = 0
    of_fixes: int = 0
    broken: int = 0
    of_breaks: int = 0

    def __add__(self, other: Foresight) -> Foresight:
        return Foresight(
            self.fixed + other.fixed,
            self.of_fixes + other.of_fixes,
            self.broken + other.broken,
            self.of_breaks + other.of_breaks,
        )


def foresight(archive: Archive) -> Mapping[str, Foresight]:
    """By proposer: how its expectations came true, read as the point that they compare with is read."""
    found: dict[str, Foresight] = {}
    for look in archive.looks.values():
        if look.instead_of is not None:
            found[look.by] = found.get(look.by, Foresight()) + _checked(archive, look)
    return found


def _checked(archive: Archive, look: SeenWay) -> Foresight:
    assert look.instead_of is not None
    other, reading = archive.looks.get(point_text(asking_part(look.instead_of))), reading_text(look.instead_of)
    before, after = other.marks.get(reading, {}) if other is not None else {}, look.marks.get(reading, {})
    both = before.keys() & after.keys()
    fixes = [after[one].good for one in look.fixes & both if not before[one].good]
    breaks = [not after[one].good for one in look.breaks & both if before[one].good]
    return Foresight(sum(fixes), len(fixes), sum(breaks), len(breaks))
