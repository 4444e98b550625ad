"""The tables of `selfopt simulate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfopt.home import counted

_RULES = (
    ("", "race"),
    ("plain_rule", "plain gates"),
    ("fixed_n", "paired test"),
    ("mcnemar", "McNemar"),
    ("bets_alone", "bets alone"),
)
_FALSE = (("null", "nothing is better"), ("identical", "all are copies"), ("worse", "all are 3 points worse"))


def simulation_table(name: str, figures: Mapping[str, Any]) -> RenderableType:
    """One world, rule by rule: false promotions with their upper 95 % limit, gains found, trials."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"world {name}", title_justify="left")
    for head, justify in (("truth", "left"), ("rule", "left"), ("promoted", "right"), ("trials", "right")):
        table.add_column(head, justify="right" if justify == "right" else "left")
    own = "held-out test" if "mcnemar" in figures else "race"
    rules = [
        (figures[rule] if rule else figures, _headed(head if rule else own, figures.get(rule)))
        for rule, head in _RULES
        if not rule or rule in figures
    ]
    for label, words in _FALSE:
        rows = [
            (head, _limited(part, f"{label}_promoted"), _trials(part, label))
            for part, head in rules
            if f"{label}_promoted" in part
        ]
        _section(table, words, rows)
    for gain in (key.removeprefix("power_") for key in figures if key.startswith("power_") and not key.endswith("_se")):
        rows = [(head, _with_error(part, f"power_{gain}"), _trials(part, gain)) for part, head in rules]
        _section(table, f"one is {gain} points better", rows)
    lines = [f"{figures['replications']} replications of each, ± standard error, ≤ upper 95 % limit. alpha {figures['alpha']:g}."]
    for key, value in figures.items():
        gain = key.removeprefix("lower_bound_calls_")
        if gain != key and not gain.endswith("_se"):
            error = figures[f"{key}_se"]
            lines.append(f"No rule can find {gain} points with fewer than {value:.0f} ± {error:.0f} trials on average.")
    return Group(table, *(Text(line, "dim") for line in lines))


def _headed(head: str, part: Mapping[str, Any] | None) -> str:
    runs = (part or {}).get("runs")
    return head if runs is None else f"{head}, 1 run" if runs == 1 else f"{head}, {runs} runs"


def _section(table: Table, words: str, rows: Sequence[tuple[str, str, str]]) -> None:
    for i, row in enumerate(rows):
        table.add_row(words if i == 0 else "", *row, end_section=i == len(rows) - 1)


def cycles_table(figures: Mapping[str, Any]) -> RenderableType:
    """What becomes of the baseline over several cycles in a row."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=counted(figures["cycles"], "cycle"), title_justify="left")
    for head in ("", "race", "plain gates"):
        table.add_column(head, justify="left" if not head else "right")
    both = (figures, figures["plain_rule"])
    rows = (
        ("promoted_not_better", "histories that promote something not better"),
        ("promoted_worse", "histories that promote something worse"),
        ("ended_worse", "histories that end worse"),
    )
    for key, words in rows:
        table.add_row(words, *(_limited(part, key) for part in both))
    table.add_row("gain, points", *(f"{part['gain_points']:+.1f} ± {part['gain_points_se']:.1f}" for part in both))
    table.add_row("promotions", *(f"{part['promotions']:.1f}" for part in both))
    table.add_row("trials a cycle", *(f"{part['calls_per_cycle']:.0f}" for part in both))
    note = (
        f"{counted(figures['replications'], 'history')}; {counted(figures['prompts'], 'prompt')}, "
        f"{counted(figures['candidates'], 'candidate')} a cycle. alpha {figures['alpha']:g}."
    )
    return Group(table, Text(note, "dim"))


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _limited(part: Mapping[str, Any], key: str) -> str:
    return f"{_percent(part[key])} (≤ {_percent(part[key + '_upper95'])})"


def _with_error(part: Mapping[str, Any], key: str) -> str:
    return f"{_percent(part[key])} ± {part[f'{key}_se'] * 100:.1f}"


def _trials(part: Mapping[str, Any], label: str) -> str:
    key = f"calls_{label}"
    if key not in part:
        return ""
    return f"{part[key]:.0f}" + (f" ± {part[f'{key}_se']:.0f}" if part[f"{key}_se"] else "")
