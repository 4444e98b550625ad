"""The space of variants: parts with named choices, of which a variant is composed.

A point names one choice for each part that differs from its default. Every part is valid for any
tool schema. Some choices exclude each other, or need what not every server has. Some parts are of
one phase alone.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any

from selfopt.errors import VariantError
from selfopt.records import Capability, Phase, Variant, WrittenChoice

from .asking_parts import ASKING_PARTS, MAX_CALLS
from .catalogue import example_set
from .conversation_parts import CONVERSATION_PARTS, CONVERSATION_REPAIRS
from .options import options_of
from .part import PartChoice, VariantPart
from .reading_parts import READING_PARTS, READING_REPAIRS
from .sampling_parts import SAMPLING_PARTS
from .step_parts import STEP_PARTS
from .written import fields_of_written, is_written

Point = Mapping[str, str]
"""The choice of each part that differs from its default, by the part's name."""
ALL_DEFAULT = "native"
"""Names the point whose choices are all the default."""

PARTS: tuple[VariantPart, ...] = (
    *ASKING_PARTS,
    *STEP_PARTS,
    *SAMPLING_PARTS,
    *READING_PARTS,
    *CONVERSATION_PARTS,
)
"""Every part, in the order in which a point is written."""

_DRAWS = 40  # how often it is tried to draw a way, for each that is wanted
_NOTHING_WRITTEN: Mapping[str, WrittenChoice] = MappingProxyType({})
_REPAIRS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType({**READING_REPAIRS, **CONVERSATION_REPAIRS})


@cache
def parts_by_name() -> Mapping[str, VariantPart]:
    """Every part by its name."""
    return MappingProxyType({part.name: part for part in PARTS})


@cache
def parts_of(phase: Phase) -> tuple[VariantPart, ...]:
    """The parts that are chosen for this kind of work, each with its choices for it, in the order in
    which a point is written.
    """
    of_phase = (part for part in PARTS if phase in part.phases)
    return tuple(replace(part, choices=tuple(one for one in part.choices if phase in one.phases)) for part in of_phase)


def drawn_parts(phase: Phase, capabilities: frozenset[Capability]) -> tuple[VariantPart, ...]:
    """The parts of a way to ask among which chance draws, where a server has these capabilities.

    Those that need an embedding model are left out where there is none, and those about sampling where the
    model takes nothing of it: a seed then draws what it drew before there were such parts.
    """

    def fits(part: VariantPart) -> bool:
        needing = part.samples or any("embeddings" in choice.needs for choice in part.choices)
        return not needing or any(choice.needs <= capabilities for choice in part.choices[1:])

    return tuple(part for part in parts_of(phase) if not part.reads and fits(part))


def point_of(choices: Mapping[str, str]) -> Point:
    """A point in its canonical form: in the order of the parts, without defaults.

    Raises VariantError for a part or choice that does not exist.
    """
    return dict(_canonical(tuple(choices.items())))


def point_text(point: Point) -> str:
    """A point in one line: `tools=signatures backing=strict`; `native` where all is as by default."""
    return _text(tuple(point.items()))


def point_from(text: str) -> Point:
    """The point that a text names: what `point_text` writes, in any order and with defaults.

    Raises VariantError for what names no point.
    """
    chosen: dict[str, str] = {}
    for word in text.replace(",", " ").split() if text.strip() != ALL_DEFAULT else ():
        name, equals, choice = word.partition("=")
        if not equals or name in chosen:
            raise VariantError(
                f"{ascii(word)[:80]} in a point: write each part once as PART=CHOICE, such as tools=signatures backing=strict"
            )
        chosen[name] = choice
    return point_of(chosen)


@lru_cache(maxsize=65_536)
def _canonical(choices: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    known, chosen = parts_by_name(), dict(choices)
    for name, choice in choices:
        if name not in known:
            raise VariantError(f"no part {name!r}; parts are {', '.join(known)}")
        known[name].choice(choice)
    return tuple((part.name, chosen[part.name]) for part in PARTS if chosen.get(part.name, part.default) != part.default)


@lru_cache(maxsize=65_536)
def _text(choices: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{name}={choice}" for name, choice in _canonical(choices)) or ALL_DEFAULT


def contradiction(point: Point) -> str | None:
    """Why the choices of a point exclude each other, in one line. None if they don't."""
    for name, part in parts_by_name().items():
        choice = part.choice(point[name]) if name in point else part.choices[0]
        for other, allowed in choice.with_.items():
            chosen = point.get(other, parts_by_name()[other].default)
            if chosen not in allowed:
                return f"{name}={choice.name} needs {other} to be {' or '.join(sorted(allowed))}, and it is {chosen}"
    return None


def composed(point: Point, *, max_tokens: int = 160, written: Mapping[str, WrittenChoice] = _NOTHING_WRITTEN) -> Variant:
    """The variant that a point describes.

    Args:
        point: its choices.
        max_tokens: of one reply, beside what the model may think.
        written: the choices that were written during the search, by name.

    Raises:
        VariantError: a part or a choice does not exist, choices exclude each other, or what a
            written choice holds is not known.
    """
    point = point_of(point)
    if (why := contradiction(point)) is not None:
        raise VariantError(f"{point_text(point)}: {why}")
    fields: dict[str, Any] = {}
    options: dict[str, Any] = {}
    sampling: dict[str, Any] = {"max_tokens": max_tokens}
    parsers = ["all@2"]
    for name, chosen in point.items():
        choice = parts_by_name()[name].choice(chosen)
        more, further = fields_of_written(name, chosen, written) if is_written(name, chosen) else (choice.fields, choice.options)
        told = [text for text in (fields.get("instructions"), more.get("instructions")) if text]
        fields |= {**more, **({"instructions": " ".join(told)} if told else {})}
        options |= further
        sampling |= choice.sampling
        parsers += _REPAIRS.get((name, chosen), ())
    if isinstance(fields.get("examples"), str):
        fields["examples"] = example_set(fields["examples"])
    if fields.get("constraint", "none") != "none" or fields.get("steps", "single") != "single":
        options["max_calls"] = MAX_CALLS
    variant = Variant.model_validate(
        {**fields, "name": point_text(point), "options": options, "parsers": parsers, "sampling": sampling}
    )
    options_of(variant)
    return variant


def asking_part(point: Point) -> Point:
    """The choices that shape the requests. Points that share them share their replies."""
    return {name: choice for name, choice in point_of(point).items() if not parts_by_name()[name].reads}


def readings_of(point: Point, capabilities: Iterable[Capability] = (), phase: Phase = "atomic") -> Iterator[Point]:
    """Every point with the same requests, so that stored replies tell what each brings.

    Args:
        point: its choices.
        capabilities: what the server has. What a reading needs beyond them, it can't be read with.
        phase: the kind of work.
    """
    has = frozenset(capabilities)
    points: list[dict[str, str]] = [dict(asking_part(point))]
    for part in parts_of(phase):
        if part.reads:
            choices = [choice for choice in part.choices if choice.needs <= has]
            points = [{**one, part.name: choice.name} for one in points for choice in choices]
    yield from (point_of(one) for one in points)


def neighbours_of(
    point: Point, capabilities: Iterable[Capability], phase: Phase = "atomic", parts: Collection[str] | None = None
) -> Iterator[Point]:
    """Every valid point that differs in one part: one of `parts`; None: any."""
    has = frozenset(capabilities)
    for part in parts_of(phase):
        if parts is not None and part.name not in parts:
            continue
        for choice in part.choices:
            if choice.name != point.get(part.name, part.default):
                near = point_of({**point, part.name: choice.name})
                if possible(near, has, phase):
                    yield near


def possible(point: Point, capabilities: frozenset[Capability], phase: Phase = "atomic") -> bool:
    """Whether a point is valid and of this phase, and a server with these capabilities can be asked so."""
    chosen = [part.choice(point[part.name]) if part.name in point else part.choices[0] for part in PARTS]
    of_phase = all(phase in parts_by_name()[name].phases for name in point_of(point))
    fit = all(choice.needs <= capabilities and phase in choice.phases for choice in chosen)
    return of_phase and fit and contradiction(point) is None


def ways(capabilities: Iterable[Capability], phase: Phase = "atomic", parts: Collection[str] | None = None) -> Iterator[Point]:
    """Every possible way to ask, in a fixed order: the points without their readings.

    Args:
        capabilities: what the server has.
        phase: the kind of work.
        parts: the names of the parts that may differ from their defaults; None: all. There are
            tens of thousands of ways then; `some_ways` draws among them.
    """
    yield from _grown([part for part in parts_of(phase) if not part.reads], frozenset(capabilities), parts)


def points(capabilities: Iterable[Capability], phase: Phase = "atomic", parts: Collection[str] | None = None) -> Iterator[Point]:
    """Every possible point, in a fixed order. See `ways`."""
    yield from _grown(parts_of(phase), frozenset(capabilities), parts)


def some_ways(
    capabilities: Iterable[Capability],
    most: int,
    seed: int = 0,
    *,
    phase: Phase = "atomic",
    parts: Collection[str] | None = None,
) -> tuple[Point, ...]:
    """Every possible way to ask where there are at most so many; else as many that are drawn.

    Each part of a drawn way is as by default with a chance of one half, and of three quarters if it
    costs requests, repeats or thinking: what many choices bring together is for a search to find
    out. The same seed draws the same ways.
    """
    has, rng = frozenset(capabilities), random.Random(seed)
    found = list(islice(ways(has, phase, parts), most + 1))
    if len(found) <= most:
        return tuple(found)
    free = [part for part in drawn_parts(phase, has) if parts is None or part.name in parts]
    drawn: dict[str, Point] = {}
    for _ in range(most * _DRAWS):
        taken = [part for part in free if rng.random() < (0.25 if part.samples or part.choices[-1].requests else 0.5)]
        chosen = {part.name: rng.choice(part.choices[1:]).name for part in taken}
        point = point_of(chosen)
        if possible(point, has, phase):
            drawn.setdefault(point_text(point), point)
        if len(drawn) == most:
            break
    return tuple(drawn.values())


def most_requests(point: Point) -> int:
    """How many requests a prompt takes at most."""
    return 1 + sum(parts_by_name()[name].choice(choice).requests for name, choice in point_of(point).items())


def _grown(parts: Sequence[VariantPart], has: frozenset[Capability], free: Collection[str] | None) -> Iterator[Point]:
    """Every valid choice of these parts. What contradicts itself is left as soon as it does."""
    by_place = [
        [choice for choice in part.choices[: None if free is None or part.name in free else 1] if choice.needs <= has]
        for part in parts
    ]
    places = {part.name: place for place, part in enumerate(parts)}

    def grown(chosen: tuple[PartChoice, ...]) -> Iterator[Point]:
        if len(chosen) == len(parts):
            named = ((part, choice.name) for part, choice in zip(parts, chosen, strict=True))
            yield {part.name: name for part, name in named if name != part.default}
            return
        for choice in by_place[len(chosen)]:
            if all(chosen[places[name]].name in allowed for name, allowed in choice.with_.items()):
                yield from grown((*chosen, choice))

    yield from grown(())
