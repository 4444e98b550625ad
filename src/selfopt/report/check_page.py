"""The page of a check for the terminal: the verdict, its figures, and the prompts that matter."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from selfopt.records import Check, CheckedPrompt, CheckFigure, CheckVerdict, Outcome
from selfopt.words.checks import (
    CHECK_VERDICTS,
    CRITERIA,
    METHODS,
    compared_text,
    cost_text,
    figure_text,
    reason_text,
    verdict_text,
)

from .escape import safe_terminal, safe_text
from .terminal import FAIL_STYLE, PASS_STYLE

_WIDE = 76  # columns that the table of figures takes with its words beside it
_SHOWN = 20  # prompts
_LETTERS = 12  # outcomes of one prompt
_STYLES: dict[CheckVerdict, str] = {"pass": PASS_STYLE, "fail": FAIL_STYLE, "undecided": "bold"}


def check_page(check: Check, *, width: int = 80) -> RenderableType:
    """One page about a check. width: of the terminal; from 50 columns on nothing is cut."""
    parts: list[RenderableType] = [Text(safe_terminal(verdict_text(check), limit=400), _STYLES[check.verdict])]
    compared = compared_text(check)
    if compared is not None:
        parts.append(_line(compared))
    parts += [_line(reason_text(reason, check)) for reason in check.reasons]
    parts.append(_figures(check.figures, width))
    rows = telling_rows(check)
    if rows:
        parts.append(_prompts(rows[:_SHOWN], compared=check.compared_with is not None))
        if len(rows) > _SHOWN:
            parts.append(_line(f"and {len(rows) - _SHOWN} more; --json lists every prompt"))
        parts.append(_line(_look_at(rows[0])))
    parts.append(_line(cost_text(check)))
    return Group(*parts)


def _line(text: str) -> RenderableType:
    return Padding(Text(safe_terminal(text, limit=600)), (0, 0, 0, 2))


def _look_at(row: CheckedPrompt) -> str:
    """How to see an answer behind the first row: one that failed, if there is one."""
    pairs = zip(row.now, row.trial_ids, strict=False)
    trial = next((name for outcome, name in pairs if outcome is not Outcome.PASS), None)
    return f"an answer: selfopt show {trial}" if trial else "P pass, F fail, in the order of time"


def _figures(figures: Sequence[CheckFigure], width: int) -> Table:
    """One line for each criterion; which test decided stands below what it found."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("criterion", overflow="fold", min_width=10)
    if width >= _WIDE:
        table.add_column("verdict", no_wrap=True)
    table.add_column("found", overflow="fold")
    for figure in figures:
        verdict = Text(CHECK_VERDICTS[figure.verdict], _STYLES[figure.verdict])
        name = Text(CRITERIA[figure.criterion])
        found = Text.assemble(figure_text(figure), "\n", (METHODS[figure.method], "dim"))
        if width >= _WIDE:
            table.add_row(name, verdict, found)
        else:
            table.add_row(Text.assemble(name, "\n", verdict), found)
    return table


def telling_rows(check: Check) -> list[CheckedPrompt]:
    """The prompts that matter, the worst first: those that fail or are open, then those that lost most."""
    found = [row for row in check.rows if row.verdict == "fail" or _is_open(row, check) or (row.before and _loss(row) > 0)]
    order: dict[CheckVerdict | None, int] = {"fail": 0, "undecided": 1, "pass": 2, None: 2}
    return sorted(found, key=lambda row: (order[row.verdict], _passing(row.now) if row.now else 0.0, -_loss(row)))


def _is_open(row: CheckedPrompt, check: Check) -> bool:
    """Whether a prompt that must pass is open and tells something: a check that fails leaves the others as they are."""
    return row.verdict == "undecided" and (check.verdict == "undecided" or _passing(row.now or (Outcome.PASS,)) < 1)


def _loss(row: CheckedPrompt) -> float:
    if not row.now or not row.before:
        return 0.0
    return _passing(row.before) - _passing(row.now)


def _passing(outcomes: Sequence[Outcome]) -> float:
    return sum(one is Outcome.PASS for one in outcomes) / len(outcomes)


def _prompts(rows: Sequence[CheckedPrompt], *, compared: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Prompts (P pass, F fail)", title_justify="left")
    table.add_column("prompt", overflow="fold", min_width=6)
    if compared:
        table.add_column("before", overflow="fold", min_width=6)
    table.add_column("now", overflow="fold", min_width=6)
    table.add_column("must pass", overflow="fold", min_width=9)
    for row in rows:
        before = [_letters(row.before)] if compared else []
        said = Text(CHECK_VERDICTS[row.verdict], _STYLES[row.verdict]) if row.verdict is not None else Text("-")
        table.add_row(safe_text(row.prompt_id, limit=60), *before, _letters(row.now), said)
    return table


def _letters(outcomes: Sequence[Outcome]) -> Text:
    """The first outcomes as letters; of more than fit, how many passed."""
    text = Text()
    if len(outcomes) > _LETTERS:
        return text.append(f"{sum(one is Outcome.PASS for one in outcomes)} of {len(outcomes)} pass")
    for outcome in outcomes:
        text.append(outcome.letter, PASS_STYLE if outcome is Outcome.PASS else FAIL_STYLE)
    return text
