"""Building blocks of the figures: inline SVG that the browser scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from .escape import safe_terminal

WIDTH, LEFT, RIGHT = 360.0, 40.0, 348.0
"""Of a figure, in the units of a phone's width; the figure is drawn between the last two."""
NAME_MAX = 44


def text(value: str, limit: int = 400) -> str:
    """Makes text of unknown origin harmless for HTML, and `->` an arrow that no line break splits."""
    return escape(safe_terminal(value, limit=limit), quote=True).replace("-&gt;", "&rarr;")


def label(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    """Words at a place. The caller escapes them."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{words}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    """A line through points; closed: an area."""
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}{" Z" if closed else ""}" class="{kind}"/>'


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Maps values to coordinates. Values far outside stay near, since they are cut off anyway."""
    span = (high - low) or 1.0
    return lambda value: start + min(max((value - low) / span, -2.0), 3.0) * (end - start)


def cut(top: float, bottom: float, parts: Sequence[str]) -> list[str]:
    """Shows the parts only between two heights."""
    box = f"{LEFT:.0f} {top:.0f} {RIGHT - LEFT + 5:.0f} {bottom - top:.0f}"
    x, y, width, height = box.split()
    return [f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{box}">', *parts, "</svg>"]


def dot(x: float, y: float, kind: str) -> str:
    """A point."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{kind}"/>'
