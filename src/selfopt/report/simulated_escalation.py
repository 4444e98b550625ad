"""The tables of `selfopt simulate escalation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfopt.home import counted

_CLAIMS = {"these_tools": "on these tools", "unseen_tools": "on tools not seen"}
_COLUMNS = ("world", "at most bad", "bound broken", "serves anything", "served", "could be served")
_SHIFT_COLUMNS = (
    "at most bad",
    "truly bad",
    "served",
    "requests until outcomes alarm",
    "until escalations alarm",
    "until it is void",
    "void without a shift",
)


def simulated_escalation_tables(found: Mapping[str, Any]) -> list[RenderableType]:
    """A table for each claim, and one of the shifted world."""
    tables: list[RenderableType] = []
    for claim, worlds in found["claims"].items():
        table = _table(f"claim {_CLAIMS[claim]}", _COLUMNS)
        for world, alphas in worlds.items():
            for alpha, row in alphas.items():
                broken = f"{_share(row['broken'])} \u2264 {_share(row['broken_upper95'])}"
                table.add_row(world, _share(float(alpha)), broken, *(_share(row[name]) for name in ("shown", "served", "oracle")))
        tables.append(table)
    shifted = _table("world shifted, after the shift", _SHIFT_COLUMNS)
    for alpha, row in found["shifted"].items():
        if row["held_before"]:
            waits = ((row[name], row[f"{name}_slow"]) for name in ("outcome_alarm", "share_alarm", "alarm"))
            alarms = (" / ".join(_wait(wait, found["most_requests"]) for wait in both) for both in waits)
            needless = f"{_share(row['needless'])} \u2264 {_share(row['needless_upper95'])}"
            shifted.add_row(_share(float(alpha)), _share(row["bad_share"]), _share(row["served"]), *alarms, needless)
    note = (
        f"{counted(found['replications'], 'calibration')} in each row, \u2264 exact upper 95 % limit. After the shift: "
        f"{counted(found['shifts'], 'calibration')}; waits of half and of nine in ten of them; {found['most_requests']:,} requests are "
        "looked at. One in ten outcomes of served requests is known."
    )
    return [*tables, Group(shifted, Text(note))]


def _wait(requests: float, most: int) -> str:
    return "more" if requests >= most else f"{requests:,.0f}"


def _table(title: str, heads: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if head == "world" and not place else "right")
    return table


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
