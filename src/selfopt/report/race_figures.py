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
from html import escape

from .escape import safe_terminal

_WIDTH, _LEFT, _RIGHT = 360.0, 40.0, 348.0
_LABEL = 64.0  # the width of a label such as "+44 points"
_FLOOR, _CEILING, _HIGHEST = -1.0, 1.3, 2.5  # in shares of the way to a border
_NAME_MAX = 44


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


@dataclass(frozen=True, slots=True)
class GainBar:
    """The estimated gain of a decision and its interval, as shares. note: the verdict and the
    claim.
    """

    name: str
    gain: float | None
    interval: tuple[float, float] | None
    note: str


def text(value: str, limit: int = 400) -> str:
    """Makes text of unknown origin harmless for HTML, and `->` an arrow that no line break splits."""
    return escape(safe_terminal(value, limit=limit), quote=True).replace("-&gt;", "&rarr;")


def _label(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{words}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _path(points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}{" Z" if closed else ""}" class="{kind}"/>'


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Maps values to coordinates. Values far outside stay near, since they are cut off anyway."""
    span = (high - low) or 1.0
    return lambda value: start + min(max((value - low) / span, -2.0), 3.0) * (end - start)


def _cut(top: float, bottom: float, parts: Sequence[str]) -> list[str]:
    """Shows the parts only between two heights."""
    box = f"{_LEFT:.0f} {top:.0f} {_RIGHT - _LEFT + 5:.0f} {bottom - top:.0f}"
    x, y, width, height = box.split()
    return [f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{box}">', *parts, "</svg>"]


def _dot(x: float, y: float, kind: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{kind}"/>'


def course_svg(course: Course) -> str:
    """A figure of the evidence, above one of the gain over the same trials."""
    last = course.points[-1]
    x = _scale(0, max(last.trials, 1), _LEFT, _RIGHT)
    title = f"{text(course.name, _NAME_MAX)}: {text(course.ended)}"
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} 286" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        *_evidence(course, x),
        *_gain(course, x),
        _label(_LEFT, 282, "0", kind="small"),
        _label(_RIGHT, 282, f"{last.trials} {text(course.unit)}", anchor="end", kind="small"),
        "</svg>",
    ]
    return "\n".join(parts)


def _evidence(course: Course, x: Callable[[float], float]) -> list[str]:
    top, bottom = 22.0, 140.0
    ours = [(p.trials, p.log_e / course.log_e_needed) for p in course.points]
    needed = course.log_f_needed
    theirs = [(p.trials, p.log_f / needed) for p in course.points if p.log_f is not None] if needed is not None else []
    highest = min(max(_CEILING, *(at + 0.15 for _, at in (*ours, *theirs))), _HIGHEST)
    y = _scale(_FLOOR, highest, bottom, top)
    # Evidence far beyond its border runs along the upper edge, so that its last point stays visible.
    solid, dashed = ([(x(trials), y(min(at, highest - 0.1))) for trials, at in way] for way in (ours, theirs))
    borders = f"E = {math.exp(course.log_e_needed):.3g} wins" + (
        f", F = {math.exp(needed):.3g} drops" if needed is not None else ""
    )
    head = "evidence: E for it (solid), F against it (dashed)" if theirs else "evidence: E for it"
    return [
        _label(_LEFT, 12, head, kind="head"),
        _line(_LEFT, y(1), _RIGHT, y(1), "border"),
        _label(_LEFT + 4, y(1) - 3, borders, kind="small"),
        _line(_LEFT, y(0), _RIGHT, y(0), "axis"),
        _label(_LEFT - 4, y(1) + 4, "border", anchor="end", kind="small"),
        _label(_LEFT - 4, y(0) + 4, "none", anchor="end", kind="small"),
        *_cut(top, bottom, [*_way(dashed, "against", "dot against-dot"), *_way(solid, "for", "dot")]),
    ]


def _way(points: Sequence[tuple[float, float]], kind: str, dot: str) -> list[str]:
    return [_path(points, kind), _dot(*points[-1], dot)] if points else []


def _gain(course: Course, x: Callable[[float], float]) -> list[str]:
    top, bottom = 172.0, 268.0
    seen = [p for p in course.points if p.gain is not None]
    sure = [p for p in course.points if p.interval is not None]
    low, high = _range(sure, course.null_mean)
    y = _scale(low, high, bottom, top)
    parts = [_label(_LEFT, 162, f"gain in points, with {course.confidence:.0%} confidence at all times", kind="head")]
    if sure:
        ends = [(x(p.trials), y(p.interval[0]), y(p.interval[1])) for p in sure if p.interval is not None]
        band = [(place, high_end) for place, _, high_end in ends] + [(place, low_end) for place, low_end, _ in reversed(ends)]
        parts += _cut(top, bottom, [_path(band, "band", closed=True)])
    parts.append(_line(_LEFT, y(0), _RIGHT, y(0), "axis"))
    parts.append(_label(_LEFT - 4, y(0) + 4, "0", anchor="end", kind="small"))
    if course.null_mean < 0:
        parts.append(_line(_LEFT, y(course.null_mean), _RIGHT, y(course.null_mean), "border"))
    for value in (low, high):
        if abs(y(value) - y(0)) > 12:
            parts.append(_label(_LEFT - 4, y(value) + 4, f"{value * 100:+.0f}", anchor="end", kind="small"))
    if seen:
        line = [(x(p.trials), y(p.gain or 0.0)) for p in seen]
        parts += _cut(top, bottom, [_path(line, "for"), _dot(*line[-1], "dot")])
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
    x = _scale(low, high, 12.0, _RIGHT)
    height = top + row * len(bars) + 16
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="gains of the candidates">',
        "<title>gains of the candidates</title>",
        _label(x(0), height - 4, "0", anchor="middle", kind="small"),
    ]
    for edge, anchor in ((low, "start"), (high, "end")):
        if abs(x(edge) - x(0)) > _LABEL:
            parts.append(_label(x(edge), height - 4, f"{edge * 100:+.0f} points", anchor=anchor, kind="small"))
    for i, bar in enumerate(bars):
        y = top + row * i
        told = "" if bar.gain is None else f"{bar.gain * 100:+.1f} points: "
        parts.append(_line(x(0), y + 20, x(0), y + 36, "axis"))
        parts.append(_label(12, y, text(bar.name, _NAME_MAX), kind="head"))
        parts.append(_label(12, y + 14, f"{told}{text(bar.note, 60)}", kind="small"))
        if bar.interval is not None:
            parts.append(_line(x(bar.interval[0]), y + 28, x(bar.interval[1]), y + 28, "interval"))
        if bar.gain is not None:
            parts.append(_dot(x(bar.gain), y + 28, "dot"))
    return "\n".join([*parts, "</svg>"])
