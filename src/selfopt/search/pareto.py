"""Draws points for reflection from those that are best on some prompt."""

from __future__ import annotations

import random
from collections.abc import Mapping

from selfopt.variants.space import asking_part, point_text

from .archive import Archive, RankedPoint, reading_text


def fronts(archive: Archive) -> Mapping[str, int]:
    """On how many prompts each point is among the best, by its text.

    The Pareto selection of GEPA (Agrawal et al. 2025, algorithm 2), over the best reading of each way
    to ask: a prompt's front are the points that are right about it. A point is left out when others
    that stay cover every front that it is in, the lowest values first. A prompt that nobody passes
    tells nothing.
    """
    found = _best(archive)
    on: dict[str, set[str]] = {}
    for text, standing in found.items():
        look = archive.looks[point_text(asking_part(standing.point))]
        for prompt, mark in look.marks.get(reading_text(standing.point), {}).items():
            if mark.good:
                on.setdefault(prompt, set()).add(text)
    left = {text for front in on.values() for text in front}
    for text in sorted(left, key=lambda one: (found[one].value, one)):
        if all(len(front) > 1 for front in on.values() if text in front):
            for front in on.values():
                front.discard(text)
            left.discard(text)
    return {text: sum(text in front for front in on.values()) for text in sorted(left)}


def drawn(archive: Archive, rng: random.Random) -> RankedPoint | None:
    """A point of these, the likelier the more prompts it is best on. None where nothing was right."""
    counts = fronts(archive)
    if not counts:
        return None
    text = rng.choices(list(counts), weights=list(counts.values()))[0]
    return _best(archive)[text]


def _best(archive: Archive) -> dict[str, RankedPoint]:
    return {point_text(standing.point): standing for standing in archive.ranking()}
