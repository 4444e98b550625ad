"""The end of a quickstart: a sentence and a line for each model and phase, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from selfopt.records import Evaluation, MetricName, Phase
from selfopt.words.evidence import METRICS
from selfopt.words.first_run import percent, result_text, short_name

from .escape import safe_terminal, safe_text
from .figures import arrow, share
from .terminal import FAIL_STYLE, PASS_STYLE

_NAME = 24
_WIDE = 78  # columns that the whole table takes; below, it keeps the two columns that matter
_MISSING = "-"


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """One line of the closing table.

    Attributes:
        before, after: None where it was not measured.
        look_next: what to do now, in one sentence.
    """

    model: str
    phase: Phase
    before: Evaluation | None
    after: Evaluation | None
    look_next: str = ""


def closing_lines(rows: Sequence[BeforeAfter]) -> list[str]:
    """What came of each model and phase, in the sentence that matters."""
    return [result_text(row.model, row.phase, row.before, row.after) for row in rows]


def look_next_lines(rows: Sequence[BeforeAfter]) -> list[str]:
    """What to do now about each model and phase."""
    return [f"{short_name(row.model)} {row.phase}: {row.look_next}" for row in rows if row.look_next]


def closing_table(rows: Sequence[BeforeAfter], *, width: int) -> Table:
    """One line for each model and phase: before -> after, beside a model that never calls.

    width: of the terminal. A narrow one gets the shares of right requests alone.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Before -> after", title_justify="left")
    table.show_edge, table.padding = False, (0, 1, 0, 0)  # so that the widest figures fit 80 columns
    table.add_column("model", no_wrap=True, max_width=_NAME, overflow="ellipsis")
    table.add_column("phase", no_wrap=True)
    table.add_column("right", no_wrap=True, justify="right")
    wide = width >= _WIDE
    if wide:
        for head in (METRICS["restraint"], "silent", METRICS["p50_ms"]):
            table.add_column(head, no_wrap=True, justify="right")
    for row in rows:
        cells = [_change(row, "accuracy")]
        if wide:
            cells += [_change(row, "restraint"), Text(_silent(row), "dim"), _change(row, "p50_ms")]
        table.add_row(safe_text(short_name(row.model), "bold", limit=60), row.phase, *cells)
    return table


def _silent(row: BeforeAfter) -> str:
    known = row.after or row.before
    return percent(known.metrics.silent.accuracy) if known is not None else _MISSING


def _change(row: BeforeAfter, metric: MetricName) -> Text:
    """Before -> after, coloured where they differ as shown; one figure where they don't."""
    old, new = (e.metrics.figure(metric) if e is not None else None for e in (row.before, row.after))
    shown_old, shown_new = _shown(old, metric), _shown(new, metric)
    if shown_old == shown_new:
        return Text(safe_terminal(shown_old))
    text = Text(arrow(shown_old.removesuffix(" s"), shown_new) if metric == "p50_ms" else arrow(shown_old, shown_new))
    if old is not None and new is not None:
        text.stylize(PASS_STYLE if (new < old) == (metric == "p50_ms") else FAIL_STYLE, len(text) - len(shown_new))
    return text


def _shown(value: float | None, metric: MetricName) -> str:
    if value is None:
        return _MISSING
    if metric == "p50_ms":
        return f"{value / 1000:.1f} s"
    return percent(value) if metric == "accuracy" else share(value)
