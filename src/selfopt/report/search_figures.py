"""Inline SVG of a search: what nothing beats, what it takes, and how the best value came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfopt.words.evidence import on_prompts

from . import svg
from .searches import ToldSearch
from .svg import LEFT, RIGHT, WIDTH, text

_TOP, _BOTTOM = 24.0, 172.0
_HEIGHT = 204


def search_figures(searches: Sequence[ToldSearch]) -> list[str]:
    """The figures of finished searches, as HTML."""
    made: list[str] = []
    for one in searches:
        figures = [
            ("what nothing beats: call accuracy over restraint", frontier_svg(one)),
            ("what it takes: accuracy over the median latency", latency_svg(one)),
            ("the best value over trials", curve_svg(one)),
        ]
        made += [
            f"<figure><figcaption>{text(one.name)}: {on_prompts(caption, synthetic=one.start.synthetic)}</figcaption>{figure}</figure>"
            for caption, figure in figures
            if figure
        ]
    if not made:
        return []
    reading = "A dot is a way to ask with its best reading. The line joins the points that no other beats; the dotted line is the floor."
    return [f"<p>{reading}</p>", f'<div class="figures">{"".join(made)}</div>']


def frontier_svg(one: ToldSearch) -> str:
    """Call accuracy over restraint. Empty where the search kept no figures."""
    tried = [(w.best.restraint, w.best.call_accuracy) for w in one.end.tried]
    dots = [(held, made) for held, made in tried if held is not None and made is not None]
    edge = [(p.restraint, p.call_accuracy) for p in one.end.frontier if p.restraint is not None and p.call_accuracy is not None]
    if not edge:
        return ""
    every = [*dots, *edge]
    x, y, frame = _axes([p[0] for p in every], [p[1] for p in every], ("restraint", "call accuracy"), "{:.2f}")
    floor = one.start.objective.restraint if one.start.objective is not None else None
    low, high = min(p[0] for p in every), max(p[0] for p in every)
    parts = [svg.line(x(floor), _TOP, x(floor), _BOTTOM, "border")] if floor is not None and low <= floor <= high else []
    parts += [_small(x(held), y(made)) for held, made in dots]
    corners = [(x(held), y(made)) for held, made in edge]
    parts += [svg.path(_stairs(corners), "for"), *(svg.dot(*corner, "dot") for corner in corners)]
    return _figure(f"{text(one.name)}: {len(edge)} points that nothing beats", [*frame, *parts])


def latency_svg(one: ToldSearch) -> str:
    """Accuracy over the median latency of a prompt. Empty where the search kept no figures."""
    points = [(w.best.latency_s, w.best.accuracy) for w in one.end.tried if w.best.n == len(one.start.prompt_ids)]
    dots = sorted((taken, right) for taken, right in points if taken is not None and right is not None)
    if not dots or dots[-1][0] <= 0:
        return ""
    x, y, frame = _axes([p[0] for p in dots], [p[1] for p in dots], ("seconds a prompt", "accuracy"), "{:.3g}", ground=True)
    edge: list[tuple[float, float]] = []
    for taken, right in sorted(dots, key=lambda dot: (dot[0], -dot[1])):
        if not edge or right > edge[-1][1]:
            edge.append((taken, right))
    corners = [(x(taken), y(right)) for taken, right in edge]
    parts = [_small(x(taken), y(right)) for taken, right in dots]
    parts += [svg.path(_stairs(corners), "for"), *(svg.dot(*corner, "dot") for corner in corners)]
    return _figure(f"{text(one.name)}: accuracy over latency", [*frame, *parts])


def curve_svg(one: ToldSearch) -> str:
    """The value of the best point, as it was estimated then, over the trials that were made."""
    asked, points = 0, list[tuple[float, float]]()
    for batch in one.batches:
        asked += len(batch.trial_ids) - batch.reused
        points.append((float(asked), batch.best.value))
    if not points:
        return ""
    x, y, frame = _axes([0.0, *(p[0] for p in points)], [p[1] for p in points], ("trials", "value"), "{:.3g}", ground=True)
    way = [(x(trials), y(value)) for trials, value in points]
    return _figure(f"{text(one.name)}: the best value over trials", [*frame, svg.path(way, "for"), svg.dot(*way[-1], "dot")])


def _axes(
    xs: Sequence[float], ys: Sequence[float], names: tuple[str, str], form: str, *, ground: bool = False
) -> tuple[Callable[[float], float], Callable[[float], float], list[str]]:
    """Scales for both axes, and their frame. ground: the horizontal axis begins at 0."""
    low, high = (0.0, max(xs)) if ground else _share_range(xs)
    bottom, top = _share_range(ys)
    x, y = svg.scale(low, high, LEFT + 6, RIGHT - 6), svg.scale(bottom, top, _BOTTOM - 8, _TOP + 8)
    frame = [
        svg.label(LEFT, 12, names[1], kind="head"),
        svg.line(LEFT, _TOP, LEFT, _BOTTOM, "axis"),
        svg.line(LEFT, _BOTTOM, RIGHT, _BOTTOM, "axis"),
        svg.label(LEFT - 4, y(top) + 4, f"{top:.2f}", anchor="end", kind="small"),
        svg.label(LEFT - 4, y(bottom) + 4, f"{bottom:.2f}", anchor="end", kind="small"),
        svg.label(x(low), _BOTTOM + 14, form.format(low), anchor="middle", kind="small"),
        svg.label(x(high), _BOTTOM + 14, form.format(high), anchor="end", kind="small"),
        svg.label((LEFT + RIGHT) / 2, _BOTTOM + 28, names[0], anchor="middle", kind="small"),
    ]
    return x, y, frame


def _share_range(values: Sequence[float]) -> tuple[float, float]:
    """A range of at least a tenth around values, which are shares, or values of points. At most 1."""
    low, high = min(values), max(values)
    high = min(max(high, low + 0.1), max(1.0, high))
    return min(low, high - 0.1), high


def _stairs(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A line along a frontier, by steps."""
    found: list[tuple[float, float]] = []
    for place, (px, py) in enumerate(corners):
        if place:
            found.append((px, corners[place - 1][1]))
        found.append((px, py))
    return found


def _small(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="other"/>'


def _figure(title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH:.0f} {_HEIGHT}" role="img" aria-label="{title}">'
    return "\n".join([head, f"<title>{title}</title>", *parts, "</svg>"])
