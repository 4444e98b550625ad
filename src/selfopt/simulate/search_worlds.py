"""Scripted worlds for searches: how good every point of the space truly is, prompt by prompt.

These worlds were written before the proposers were tuned, and are frozen: a test keeps their hash.
Every draw has a key of its own, so that a part that the space gains later changes no older point.
The figures of docs/SEARCH.md are of seeds on which nothing was tuned.
"""

from __future__ import annotations

import hashlib
import math
import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Literal

from selfopt.search.archive import joined, reading_text
from selfopt.search.marks import ReplyMark
from selfopt.variants.space import PARTS, Point, asking_part, neighbours_of, point_of, point_text, readings_of

PromptKind = Literal["one", "two", "none", "missing"]
"""One call is asked for, or two; none is; or one whose required detail is missing."""

FAULTS = ("shape", "spelling", "foreign", "invented")
"""What can be wrong with a call. Each choice of a reading part mends one of them now and then."""

WORLD_PARTS = frozenset(
    ["tools", "required_only", "form", "steps", "examples", "instructions", "words", "fit", "offered", "spelling", "backing"]
)
"""The parts of the space when the worlds were frozen. Searches are compared within them."""

_NORMAL = NormalDist()
_KINDS: tuple[PromptKind, ...] = ("one", "one", "one", "two", "none", "missing")
_SKILL: Mapping[PromptKind, float] = {"one": 0.0, "two": -1.2, "none": 0.0, "missing": 0.0}
_PULL: Mapping[PromptKind, float] = {"one": 1.3, "two": 1.3, "none": 1.0, "missing": 1.6}
_TOGETHER = 0.04
"""The chance that two choices of different parts help only together."""
_CLASH = 0.10
"""The chance that two choices get in each other's way or suit each other somewhat."""
_INSIGHT = 0.5
"""How often the scripted reflection names a change for its effect, and not at random."""
_LOOKED_AT = 6
"""How many changes it thinks of."""


@dataclass(frozen=True, slots=True)
class SearchPrompt:
    """A prompt of a scripted world.

    Attributes:
        id: its id.
        kind: what it asks for.
        tool_set: the tools that it offers. Held-out prompts have tool sets of their own.
        held_out: whether a search may not see it.
    """

    id: str
    kind: PromptKind
    tool_set: str
    held_out: bool

    @property
    def needs_call(self) -> bool:
        """Whether a call is right."""
        return self.kind in ("one", "two")


@dataclass(frozen=True, slots=True)
class Truth:
    """How good a point truly is on some prompts: means of its chances, each from 0 to 1."""

    accuracy: float
    call_accuracy: float
    restraint: float


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a choice changes, in units of a logit: how often a call is right, how often one is made
    at all, and how well prompts are told apart that need one.
    """

    skill: float = 0.0
    eager: float = 0.0
    apart: float = 0.0

    def __add__(self, other: _Effect) -> _Effect:
        return _Effect(self.skill + other.skill, self.eager + other.eager, self.apart + other.apart)


class SearchWorld:
    """A model, a suite and what every point of the space brings. The same seed gives the same world.

    The same request gives the same reply: a repetition is a copy.

    Args:
        seed: of the world.
        tool_sets: of search prompts, and of held-out prompts.
        prompts: per tool set.
    """

    def __init__(self, seed: int, *, tool_sets: tuple[int, int] = (8, 12), prompts: int = 15) -> None:
        self.seed = seed
        self.prompts = tuple(
            SearchPrompt(f"{part}{s}-{i}", _KINDS[i % len(_KINDS)], f"{part}{s}", part == "h")
            for part, sets in zip("sh", tool_sets, strict=True)
            for s in range(sets)
            for i in range(prompts)
        )
        self.by_id: Mapping[str, SearchPrompt] = {prompt.id: prompt for prompt in self.prompts}
        self._sums: dict[tuple[str, ...], _Effect] = {}
        self._faults: dict[str, tuple[float, ...]] = {}
        self._means: dict[tuple[str, bool], tuple[tuple[int, tuple[float, ...]], ...]] = {}

    def ids(self, *, held_out: bool = False) -> tuple[str, ...]:
        """The ids of all search prompts, or of all held-out ones."""
        return tuple(prompt.id for prompt in self.prompts if prompt.held_out == held_out)

    def marks(self, asking: Point, prompts: Iterable[str]) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of one way to ask, by the text of the reading and prompt id."""
        way, found = point_text(asking_part(asking)), {text: dict[str, ReplyMark]() for text in self._readings}
        for one in prompts:
            prompt = self.by_id[one]
            reply = self._reply(asking, prompt)
            mends = {key: _uniforms(self.seed, "reads", way, one, *key)[:2] for key in self._reading_choices}
            for text, chosen in self._readings.items():
                state = reply
                for key in chosen:
                    fault, mended, dropped = self._reading_choices[key]
                    if state == fault and mends[key][0] < mended:
                        state = "right"
                    if state in dropped and mends[key][1] < dropped[state]:
                        state = "none"
                passed = (state == "right") if prompt.needs_call else (state == "none")
                found[text][one] = ReplyMark(passed, prompt.needs_call, state != "none")
        return found

    def truth(self, point: Point, *, held_out: bool = True) -> Truth:
        """How good a point truly is on all held-out prompts, or on all search prompts."""
        asking, (passing, calling) = asking_part(point), self._read[reading_text(point)]
        key = (point_text(asking), held_out)
        if key not in self._means:
            prompts = [prompt for prompt in self.prompts if prompt.held_out == held_out]
            self._means[key] = tuple(self._mean(asking, [p for p in prompts if p.needs_call == one]) for one in (True, False))
        (calls, needing), (idle, idling) = self._means[key]
        right = sum(share * now for share, now in zip(needing, passing, strict=True))
        held = 1 - sum(share * now for share, now in zip(idling, calling, strict=True))
        return Truth((calls * right + idle * held) / (calls + idle), right, held)

    def chance(self, point: Point, prompt: SearchPrompt) -> tuple[float, float]:
        """The chance that a point passes a prompt, and that it calls something."""
        passing, calling = self._read[reading_text(point)]
        states = self._states(point, prompt)
        called = sum(share * now for share, now in zip(states, calling, strict=True))
        right = sum(share * now for share, now in zip(states, passing, strict=True))
        return (right, called) if prompt.needs_call else (1 - called, called)

    def reflect(self, point: Point, failed: Sequence[str], rng: random.Random) -> tuple[Point, tuple[str, ...]] | None:
        """What a reflection model would say of failed prompts: a changed point, and which of the
        prompts it expects to be mended.

        It thinks of six changes of a single part. Half of the time it knows which of them helps
        these prompts most. Its expectations are right about as often.
        """
        near = list(neighbours_of(point, ("tools", "grammar", "json_schema"), parts=WORLD_PARTS))
        if not near or not failed:
            return None
        looked_at = rng.sample(near, min(_LOOKED_AT, len(near)))
        prompts = [self.by_id[one] for one in failed]
        if rng.random() < _INSIGHT:
            changed = max(looked_at, key=lambda one: sum(self.chance(one, prompt)[0] for prompt in prompts))
        else:
            changed = rng.choice(looked_at)
        better = [p.id for p in prompts if self.chance(changed, p)[0] - self.chance(point, p)[0] > 0.1]
        guessed = rng.sample([p.id for p in prompts], len(prompts) // 3)
        return changed, tuple(better if rng.random() < _INSIGHT else guessed)

    def _mean(self, asking: Point, prompts: Sequence[SearchPrompt]) -> tuple[int, tuple[float, ...]]:
        """How many prompts there are, and the mean chance of each state of a reply."""
        states = [self._states(asking, prompt) for prompt in prompts]
        return len(states), tuple(sum(column) / len(states) for column in zip(*states, strict=True))

    def _reply(self, asking: Point, prompt: SearchPrompt) -> str:
        drawn = _uniforms(self.seed, "reply", point_text(asking_part(asking)), prompt.id)[0]
        for state, share in zip(("right", *FAULTS), self._states(asking, prompt), strict=True):
            drawn -= share
            if drawn < 0:
                return state
        return "none"

    def _states(self, point: Point, prompt: SearchPrompt) -> tuple[float, ...]:
        """The chances of a right call and of each fault. What is missing to 1 is no call."""
        asking = asking_part(point)
        text = point_text(asking)
        effect = self._effect(asking, text, prompt)
        own, pull = self._own[prompt.id]
        if prompt.needs_call:
            called = _logistic(_PULL[prompt.kind] + effect.eager + 0.5 * effect.apart + 0.7 * pull)
            right = _logistic(-1.1 + _SKILL[prompt.kind] + effect.skill + 1.1 * own)
        else:
            called, right = _logistic(_PULL[prompt.kind] + effect.eager - effect.apart + 0.9 * pull), 0.0
        return (called * right, *(called * (1 - right) * share for share in self._shares(asking, text)))

    def _effect(self, asking: Point, text: str, prompt: SearchPrompt) -> _Effect:
        """What the choices of a way to ask bring on such prompts, alone and together."""
        where = [("main",), ("kind", prompt.kind), ("tools", prompt.tool_set)]
        if prompt.held_out:
            where.append(("held out",))
        total = _Effect()
        for place in where:
            key = (text, *place)
            if key not in self._sums:
                self._sums[key] = self._together(asking) if place == ("main",) else self._shifted(asking, place)
            total += self._sums[key]
        return total

    def _shifted(self, asking: Point, place: tuple[str, ...]) -> _Effect:
        """What is different for a kind, for a tool set, and for held-out prompts."""
        size = {"kind": 0.25, "tools": 0.25, "held out": 0.15}[place[0]]
        drawn = [_normals(self.seed, *place, part, choice) for part, choice in asking.items()]
        base = _normals(self.seed, *place)
        if place[0] != "tools":
            base = (0.0,) * 4
        return _Effect(*(0.4 * base[i] + size * sum(one[i] for one in drawn) for i in range(3)))

    def _together(self, asking: Point) -> _Effect:
        """The effects of choices, and of pairs of them."""
        base = _normals(self.seed, "base")
        total = _Effect(0.3 * base[0], 0.3 * base[1], 0.3 * base[2])
        chosen = list(asking.items())
        for one in chosen:
            skill, eager, apart, _ = _normals(self.seed, "choice", *one)
            total += _Effect(0.45 * skill - 0.15, 0.6 * eager - 0.2, 0.4 * apart)
        for place, one in enumerate(chosen):
            for other in chosen[place + 1 :]:
                which, *_ = _uniforms(self.seed, "which", *one, *other)
                skill, eager, apart, _ = _normals(self.seed, "pair", *one, *other)
                if which < _TOGETHER:
                    total += _Effect(0.6 + 0.3 * abs(skill), 0.3 * eager, 0.6 + 0.3 * abs(apart))
                elif which < _TOGETHER + _CLASH:
                    total += _Effect(0.7 * skill - 0.2, 0.5 * eager, 0.5 * apart)
        return total

    def _shares(self, asking: Point, text: str) -> tuple[float, ...]:
        """How the wrong calls of a way to ask are distributed over the faults."""
        if text not in self._faults:
            drawn = [_normals(self.seed, "faults"), *(_normals(self.seed, "faults", *one) for one in asking.items())]
            weights = [math.exp(0.5 * sum(one[i] for one in drawn)) for i in range(len(FAULTS))]
            self._faults[text] = tuple(weight / sum(weights) for weight in weights)
        return self._faults[text]

    @cached_property
    def _own(self) -> Mapping[str, tuple[float, float]]:
        """How easy each prompt is, and how much it invites a call."""
        drawn = {prompt.id: _normals(self.seed, "prompt", prompt.id) for prompt in self.prompts}
        return {one: (own, pull) for one, (own, pull, *_) in drawn.items()}

    @cached_property
    def _readings(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """The choices of every reading, by its text."""
        return {reading_text(point): tuple(point.items()) for point in readings_of({})}

    @cached_property
    def _reading_choices(self) -> Mapping[tuple[str, str], tuple[str, float, Mapping[str, float]]]:
        """The fault that each choice mends, how often, and how often it drops what."""
        found: dict[tuple[str, str], tuple[str, float, Mapping[str, float]]] = {}
        for key in [(part.name, choice.name) for part in PARTS if part.reads for choice in part.choices[1:]]:
            which, mended, right, *others = _uniforms(self.seed, "reading", *key)
            dropped = dict(zip(FAULTS, (0.6 * drop * drop for drop in others), strict=False))
            found[key] = (FAULTS[int(which * len(FAULTS))], 0.5 * mended, dropped | {"right": 0.15 * right})
        return found

    @cached_property
    def _read(self) -> Mapping[str, tuple[Sequence[float], Sequence[float]]]:
        """By reading: the chance that a reply in each state ends as right, and as a call."""
        states, found = ("right", *FAULTS), {}
        for text, chosen in self._readings.items():
            right, called = [], []
            for begun in states:
                now = dict.fromkeys(states, 0.0) | {begun: 1.0}
                for key in chosen:
                    fault, mended, dropped = self._reading_choices[key]
                    now["right"] += now[fault] * mended
                    now[fault] *= 1 - mended
                    now = {state: share * (1 - dropped.get(state, 0.0)) for state, share in now.items()}
                right.append(now["right"])
                called.append(sum(now.values()))
            found[text] = (right, called)
        return found


def best_points(world: SearchWorld, ways: Iterable[Point], *, restraint: float) -> list[tuple[float, Point]]:
    """Every way to ask with its best reading on held-out prompts, by true accuracy at this restraint
    or above. Ways that never hold so much are left out.
    """
    found = []
    for way in ways:
        truths = [(world.truth(point), point) for point in (joined(way, text) for text in world._readings)]
        held = [(truth.accuracy, point_text(point)) for truth, point in truths if truth.restraint >= restraint]
        if held:
            accuracy, text = max(held)
            chosen = {} if text == "native" else dict(part.split("=", 1) for part in text.split())
            found.append((accuracy, point_of(chosen)))
    return sorted(found, key=lambda one: (-one[0], point_text(one[1])))


def _uniforms(seed: int, *key: str) -> tuple[float, ...]:
    """Eight numbers from 0 to 1, from the seed and the key alone."""
    digest = hashlib.blake2b("\x1f".join((str(seed), *key)).encode()).digest()
    return tuple((number + 0.5) / 2**64 for number in struct.unpack(">8Q", digest))


def _normals(seed: int, *key: str) -> tuple[float, ...]:
    """Four standard normal numbers, from the seed and the key alone."""
    return tuple(_NORMAL.inv_cdf(min(max(one, 1e-12), 1 - 1e-12)) for one in _uniforms(seed, *key)[:4])


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
