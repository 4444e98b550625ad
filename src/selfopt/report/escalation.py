"""The tables of `selfopt escalation`: what each threshold serves, per tool set, and beside each model alone."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfopt.home import counted
from selfopt.records import Calibration, CurvePoint, Escalation, ServedFigures, SetShare, WayFigures
from selfopt.words.escalation import SAMPLE_NAMES, cost_head, way_cost
from selfopt.words.thresholds import CLAIM_ON, least_text, share_text

from .escape import safe_terminal, safe_text

_WIDE = 76  # columns that every figure takes
_POINTS = 10
_BAR, _SHORT_BAR = 14, 5
_SETS = 20


def shown_points(calibration: Calibration, most: int = _POINTS) -> list[CurvePoint]:
    """At most so many points of the curve, evenly, with the first, the last and the chosen one."""
    curve = calibration.curve
    if len(curve) <= most:
        return list(curve)
    places = {round(step * (len(curve) - 1) / (most - 1)) for step in range(most)}
    chosen = chosen_point(calibration)
    return [point for place, point in enumerate(curve) if place in places or point is chosen]


def chosen_point(calibration: Calibration) -> CurvePoint | None:
    """The point of the curve at which the model would serve; None where no threshold holds."""
    when = calibration.serve_when
    return None if when is None else next((point for point in calibration.curve if point.least == when.least), None)


def calibrated_prompts(calibration: Calibration) -> int:
    """How many prompts the curve is about, at least one. The lowest threshold serves all whose confidence is told."""
    return max(1, len(calibration.calibration_trials), *(point.served for point in calibration.curve))


def shown_sets(figures: ServedFigures) -> tuple[list[SetShare], int]:
    """The tool sets with most wrong answers among the served, and how many others there are."""
    every = sorted(figures.sets.values(), key=lambda one: (-one.bad, -one.served, one.name))
    return every[:_SETS], max(0, len(every) - _SETS)


def shown_ways(figures: ServedFigures, calibration: Calibration) -> list[tuple[str, str, WayFigures]]:
    """Each model alone and both in turn, with what tells who that is; empty where no prompt was answered by both."""
    ways = (
        ("small alone", calibration.model, figures.paired_small),
        ("large alone", calibration.fallback or "", figures.large),
        ("both in turn", f"{figures.paired_served} of {figures.paired} served by the small one", figures.cascade),
    )
    return [(name, told, way) for name, told, way in ways if way is not None]


def served_tables(found: Escalation, *, width: int = _WIDE) -> RenderableType:
    """The curve, the tool sets, and each model alone beside both in turn. width: of the terminal."""
    parts: list[RenderableType] = [_curve(found.calibration, width)]
    for figures in found.figures:
        if figures.served:
            parts.append(_sets(figures, width))
        if figures.large is not None:
            parts.append(_ways(figures, found, width))
    return Group(*parts)


def _table(title: str, heads: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(
            head, justify="right" if place else "left", no_wrap=bool(place) or head in ("confidence", "sure"), overflow="fold"
        )
    return table


def _curve(calibration: Calibration, width: int) -> RenderableType:
    wide, n = width >= _WIDE, calibrated_prompts(calibration)
    table = _table(f"of {counted(n, 'calibration prompt')}", ["confidence" if wide else "sure", "served", "wrong", "at most"])
    table.add_column("", no_wrap=True)
    chosen = chosen_point(calibration)
    bar = _BAR if wide else _SHORT_BAR
    for point in shown_points(calibration):
        share = point.bad / point.served if point.served else 0.0
        wrong = f"{share_text(share)} ({point.bad})" if wide else share_text(share)
        served = f"{share_text(point.served / n)} ({point.served})" if wide else share_text(point.served / n)
        full = round(bar * point.served / n)
        mark = " <- here" if point is chosen and wide else " <-" if point is chosen else ""
        style = "bold" if point is chosen else ""
        least = f">= {least_text(point.least)}"
        table.add_row(least, served, wrong, share_text(point.upper), f"{'#' * full}{'.' * (bar - full)}{mark}", style=style)
    bound = f"at most: upper limit at {share_text(calibration.confidence)} confidence of each threshold alone, {CLAIM_ON[calibration.claim]}"
    return Group(table, Text(bound, "dim"))


def _sets(figures: ServedFigures, width: int) -> RenderableType:
    table = _table(f"per tool set, {SAMPLE_NAMES[figures.sample]}", ["tool set", "prompts", "served", "wrong"])
    shown, more = shown_sets(figures)
    for one in shown:
        name = safe_text(one.name, limit=60)
        if width >= _WIDE:
            name = Text.assemble(name, (f" {safe_terminal(', '.join(one.tools), limit=60)}", "dim"))
        table.add_row(name, str(one.prompts), str(one.served), str(one.bad))
    return Group(table, *([Text(f"and {counted(more, 'more tool set')}", "dim")] if more else []))


def _ways(figures: ServedFigures, found: Escalation, width: int) -> RenderableType:
    calibration = found.calibration
    title = f"{counted(figures.paired, 'prompt')} that both answered, {SAMPLE_NAMES[figures.sample]}"
    table = _table(title, ["", "right", "seconds", cost_head(found) if width >= _WIDE else "cost of 1,000"])
    for name, told, way in shown_ways(figures, calibration):
        label = Text.assemble(name, (f"\n{safe_terminal(told, limit=60)}", "dim") if width >= _WIDE else "")
        table.add_row(label, share_text(way.accuracy), f"{way.latency_s:.2f}", way_cost(way))
    return table
