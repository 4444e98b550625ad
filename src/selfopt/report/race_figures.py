"""Inline SVG of how a race went.

It shows the evidence on each candidate over the trials, with its borders, and the narrowing
interval of its gain. The units are those of a phone's width, and the browser scales them. Words
carry the meaning, and colour only repeats it. Solid lines speak for the candidate, dashed lines
against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import svg
from .svg import LEFT, NAME_MAX, RIGHT, WIDTH, text

_LABEL = 64.0  # the width of a label such as "+44 points"
_FLOOR, _CEILING, _HIGHEST = -1.0, 1.3, 2.5  # in shares of the way to a border


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """The evidence after some trials of a race, or after some held-out prompts.

    Attributes:
        trials: how many.
        log_e, log_f: the natural log of the evidence for and against; log_f is None if not
            gathered.
        gain: the estimate, as a share.
        interval: of the gain, if it was computed.
    """

    trials: int
    log_e: float
    log_f: float | None
    gain: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The way of one candidate through a race or a test on held-out prompts.

    Attributes:
        ended: how the candidate stands at the end, in words.
        log_e_needed, log_f_needed: the borders; log_f_needed is None if there is none.
        null_mean: the gain that counts as not better.
        confidence: of the intervals.
        unit: what is counted along the way.
        synthetic: a model or a template wrote the prompts.
    """

    name: str
    model: str
    phase: str
    purpose: str
    cycle: int | None
    ended: str
    log_e_needed: float
    log_f_needed: float | None
    null_mean: float
    confidence: float
    points: tuple[CoursePoint, ...]
    unit: str = "trials"
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class GainBar:
    """The estimated gain of a decision and its interval, as shares. note: the verdict and the
    claim.
    """

    name: str
    gain: float | None
    interval: tuple[float, float] | None
    note: str


def course_svg(course: Course) -> str:
    """A figure of the evidence, above one of the gain over the same trials."""
    last = course.points[-1]
    x = svg.scale(0, max(last.trials, 1), LEFT, RIGHT)
    title = f"{text(course.name, NAME_MAX)}: {text(course.ended)}"
    parts = [
        f'<svg viewBox="0 0 {WIDTH:.0f} 286" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        *_evidence(course, x),
        *_gain(course, x),
        svg.label(LEFT, 282, "0", kind="small"),
        svg.label(RIGHT, 282, f"{last.trials} {text(course.unit)}", anchor="end", kind="small"),
        "</svg>",
    ]
    return "\n".join(parts)


def _evidence(course: Course, x: Callable[[float], float]) -> list[str]:
    top, bottom = 22.0, 132.0
    ours = [(p.trials, p.log_e / course.log_e_needed) for p in course.points]
    needed = course.log_f_needed
    theirs = [(p.trials, p.log_f / needed) for p in course.points if p.log_f is not None] if needed is not None else []
    highest = min(max(_CEILING, *(at + 0.15 for _, at in (*ours, *theirs))), _HIGHEST)
    y = svg.scale(_FLOOR, highest, bottom, top)
    # Evidence far beyond its border runs along the upper edge, so that its last point stays visible.
    solid, dashed = ([(x(trials), y(min(at, highest - 0.1))) for trials, at in way] for way in (ours, theirs))
    borders = f"E = {math.exp(course.log_e_needed):.3g} wins" + (
        f", F = {math.exp(needed):.3g} drops" if needed is not None else ""
    )
    head = "evidence: E for it (solid), F against it (dashed)" if theirs else "evidence: E for it"
    return [
        svg.label(LEFT, 12, head, kind="head"),
        svg.line(LEFT, y(1), RIGHT, y(1), "border"),
        svg.line(LEFT, y(0), RIGHT, y(0), "axis"),
        svg.label(LEFT - 4, y(1) + 4, "border", anchor="end", kind="small"),
        svg.label(LEFT - 4, y(0) + 4, "none", anchor="end", kind="small"),
        *svg.cut(top, bottom, [*_way(dashed, "against", "dot against-dot"), *_way(solid, "for", "dot")]),
        # Beside the lines, which would run through it.
        svg.label(LEFT, bottom + 13, borders, kind="small"),
    ]


def _way(points: Sequence[tuple[float, float]], kind: str, dot: str) -> list[str]:
    return [svg.path(points, kind), svg.dot(*points[-1], dot)] if points else []


def _gain(course: Course, x: Callable[[float], float]) -> list[str]:
    top, bottom = 172.0, 268.0
    seen = [p for p in course.points if p.gain is not None]
    sure = [p for p in course.points if p.interval is not None]
    low, high = _range(sure, course.null_mean)
    y = svg.scale(low, high, bottom, top)
    parts = [svg.label(LEFT, 162, f"gain in points, with {course.confidence:.0%} confidence at all times", kind="head")]
    if sure:
        ends = [(x(p.trials), y(p.interval[0]), y(p.interval[1])) for p in sure if p.interval is not None]
        band = [(place, high_end) for place, _, high_end in ends] + [(place, low_end) for place, low_end, _ in reversed(ends)]
        parts += svg.cut(top, bottom, [svg.path(band, "band", closed=True)])
    parts.append(svg.line(LEFT, y(0), RIGHT, y(0), "axis"))
    parts.append(svg.label(LEFT - 4, y(0) + 4, "0", anchor="end", kind="small"))
    if course.null_mean < 0:
        parts.append(svg.line(LEFT, y(course.null_mean), RIGHT, y(course.null_mean), "border"))
    for value in (low, high):
        if abs(y(value) - y(0)) > 12:
            parts.append(svg.label(LEFT - 4, y(value) + 4, f"{value * 100:+.0f}", anchor="end", kind="small"))
    if seen:
        line = [(x(p.trials), y(p.gain or 0.0)) for p in seen]
        parts += svg.cut(top, bottom, [svg.path(line, "for"), svg.dot(*line[-1], "dot")])
    return parts


def _range(sure: Sequence[CoursePoint], null_mean: float) -> tuple[float, float]:
    """A range for the last three quarters of the intervals.

    The first ones would flatten the rest.
    """
    later = [p.interval for p in sure[(len(sure) + 3) // 4 :] if p.interval is not None] or [(-1.0, 1.0)]
    low, high = min(low for low, _ in later), max(high for _, high in later)
    return max(-1.0, min(low, null_mean, 0.0) - 0.02), min(1.0, max(high, 0.0) + 0.02)


def gains_svg(bars: Sequence[GainBar]) -> str:
    """One row per candidate: a dot for the gain, and a line for its interval."""
    row, top = 56.0, 14.0
    ends = [end for bar in bars for end in (bar.interval or (bar.gain or 0.0,) * 2)]
    low, high = min(-0.05, *ends), max(0.05, *ends)
    pad = (high - low) * 0.05
    low, high = low - pad, high + pad
    x = svg.scale(low, high, 12.0, RIGHT)
    height = top + row * len(bars) + 16
    parts = [
        f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="gains of the candidates">',
        "<title>gains of the candidates</title>",
        svg.label(x(0), height - 4, "0", anchor="middle", kind="small"),
    ]
    for edge, anchor in ((low, "start"), (high, "end")):
        if abs(x(edge) - x(0)) > _LABEL:
            parts.append(svg.label(x(edge), height - 4, f"{edge * 100:+.0f} points", anchor=anchor, kind="small"))
    for i, bar in enumerate(bars):
        y = top + row * i
        told = "" if bar.gain is None else f"{bar.gain * 100:+.1f} points: "
        parts.append(svg.line(x(0), y + 20, x(0), y + 36, "axis"))
        parts.append(svg.label(12, y, text(bar.name, NAME_MAX), kind="head"))
        parts.append(svg.label(12, y + 14, f"{told}{text(bar.note, 60)}", kind="small"))
        if bar.interval is not None:
            parts.append(svg.line(x(bar.interval[0]), y + 28, x(bar.interval[1]), y + 28, "interval"))
        if bar.gain is not None:
            parts.append(svg.dot(x(bar.gain), y + 28, "dot"))
    return "\n".join([*parts, "</svg>"])
