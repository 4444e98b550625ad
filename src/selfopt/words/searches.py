"""Searches, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.home import counted, escape_control
from selfopt.records import PartShare, ProposerRating, SearchObjective, SearchStanding, TriedWay

from .reflecting import REFUSED_NAMES


def point_words(point: Mapping[str, str]) -> str:
    """A point in one line; `native` where all is as by default."""
    return " ".join(f"{part}={choice}" for part, choice in point.items()) or "native"


def figures_text(one: SearchStanding) -> str:
    """What is thought of a point: `0.62 (call accuracy 0.48, restraint 0.90)`, as far as it is known."""
    beside = [
        f"{name} {figure:.2f}"
        for name, figure in (("call accuracy", one.call_accuracy), ("restraint", one.restraint))
        if figure is not None
    ]
    accuracy = one.value if one.accuracy is None else one.accuracy
    return f"{accuracy:.2f}" + (f" ({', '.join(beside)})" if beside else "")


def best_text(one: SearchStanding) -> str:
    """The best point so far, and what is thought of it."""
    return f"{point_words(one.point)}, {figures_text(one)} on {one.n}"


def search_ended_text(stopped: str, later: int) -> str:
    """That a cap ended a search. later: how many trials are kept back for the candidates and the held-out prompts."""
    return f"the search ends: {stopped} ({counted(later, 'trial')} are kept back for the candidates and the held-out prompts)"


def no_embeddings_text(why: str) -> str:
    """That the embedding model of the settings can't be used, and what to do about it."""
    return (
        f"the search leaves out tools_by=meaning and both, as the embedding model can't be used: {escape_control(why, 500)}; "
        "name one that can as embedding in [models] of your own settings, or none"
    )


def time_text(seconds: float) -> str:
    """A time to wait, to the minute from two minutes on: `45 s`, `12 min`, `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ended_text(way: TriedWay, prompts: int) -> str:
    """Why a way to ask came no further. prompts: how many the search had."""
    if way.ended == "below_best":
        return f"stopped after {counted(way.best.n, 'prompt')}: below the best third"
    if way.ended == "below_floor":
        return "restraint below the floor"
    return {
        "ranked": f"asked on all {prompts}: others are worth more",
        "over_limit": "takes more than it may",
        "cut_off": f"the search ended after {counted(way.best.n, 'prompt')}",
        "not_asked": "no reply came",
    }[way.ended]


def part_text(one: PartShare) -> str:
    """What a part contributes, in points: `+12 points (calls +8, restraint +20) on 40 prompts`."""
    if not one.possible:
        return "the other parts need it"
    if one.gain is None:
        return "not asked without it"
    beside = [
        f"{name} {_points(gain)}"
        for name, gain in (("calls", one.call_gain), ("restraint", one.restraint_gain))
        if gain is not None
    ]
    return f"{_points(one.gain)} points ({', '.join(beside)}) on {counted(one.n, 'prompt')}"


def _points(gain: float) -> str:
    return f"{gain * 100:+.1f}" if round(gain * 100, 1) else "0"


def rating_text(one: ProposerRating) -> str:
    """What came of a proposer: how many ways it named, and how its predictions came true."""
    told = f"{one.paid} of {counted(one.ways, 'way')} to ask reached all prompts"
    if one.of_fixes or one.of_breaks:
        told += (
            f"; predictions that came true: {one.fixed} of {one.of_fixes} prompts fixed, {one.broken} of {one.of_breaks} broken"
        )
    if one.questions:
        told += f"; {escape_control(one.model or '', 200)} was asked {counted(one.questions, 'question')}"
        told += f", {one.unanswered} without an answer" if one.unanswered else ""
    if one.refused:
        told += f"; edits refused: {', '.join(f'{n} {REFUSED_NAMES[why]}' for why, n in one.refused.items())}"
    return told


def objective_text(wanted: SearchObjective) -> str:
    """What a search looks for: `accuracy at a restraint of 0.8 or more, in at most 2 s`."""
    parts = [f"accuracy at a restraint of {wanted.restraint:g} or more"]
    if wanted.call_weight:
        parts.append(f"call accuracy weighing {wanted.call_weight:g}")
    if wanted.latency_weight:
        parts.append(f"a second costing {wanted.latency_weight:g} points")
    if wanted.tokens_weight:
        parts.append(f"1,000 tokens costing {wanted.tokens_weight:g} points")
    if wanted.max_latency_s is not None:
        parts.append(f"in at most {wanted.max_latency_s:g} s")
    if wanted.max_tokens is not None:
        parts.append(f"with at most {wanted.max_tokens} tokens")
    return ", ".join(parts)


def frontier_text(points: Sequence[SearchStanding], most: int = 4) -> list[str]:
    """Of the points that nothing beats, at most so many, from the most restrained one to the one with
    the most right calls: `restraint 0.99, call accuracy 0.61: tools=signatures backing=strict`.
    """
    chosen = points if len(points) <= most else [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
    return [
        ", ".join(
            f"{name} {figure:.2f}"
            for name, figure in (("restraint", one.restraint), ("call accuracy", one.call_accuracy))
            if figure is not None
        )
        + f": {point_words(one.point)}"
        for one in chosen
    ]
