"""The table of `selfopt compare`, for terminals and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfopt.home import counted
from selfopt.records import ComparedRow, Comparison, Figure
from selfopt.words.causes import cause_text
from selfopt.words.evidence import SYNTHETIC

from .costs import money
from .escape import code, safe_markdown, safe_terminal, safe_text
from .figures import milliseconds, share
from .markdown import table as markdown_table

_WIDE = 76  # columns that every figure takes
_SAID = 200  # characters of a server's words
_NOTE = (
    "agent score: 0.4 call accuracy + 0.3 restraint + 0.3 (1 - share of replies that call a tool which no accepted answer names); "
    "arguments: right among the replies with the right tools"
)


def comparison_table(comparison: Comparison, *, width: int = _WIDE) -> RenderableType:
    """The table for terminals. It marks the rows that chance alone may have put in this order.

    width: of the terminal. A narrow one gets the score and two shares, without their intervals.
    """
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    table.add_column("model\nvariant", overflow="fold", min_width=16)
    heads = ("agent\nscore", "call\naccuracy", "restraint", "arguments", "p50\ntokens")
    for head in heads if wide else ("agent\nscore", "call acc.\nrestraint"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in comparison.rows:
        name = Text.assemble((safe_terminal(row.model, limit=80), "bold"), "\n", safe_text(row.variant, limit=60))
        figures = (row.agent_score, row.call_accuracy, row.restraint, row.argument_accuracy)
        shown = [_figure(f, "{}\n{}") for f in figures] if wide else [_figure(f, "{}") for f in figures]
        cells = [*shown, f"{milliseconds(row.p50_ms)}\n{row.output_tokens:.0f}"]
        table.add_row(
            Text.assemble(name, "\n", (_standing(row), "" if row.distinguishable else "bold")),
            *(cells if wide else _narrow(cells)),
        )
    for policy in comparison.policies:
        policy_figures = (policy.agent_score, policy.call_accuracy, policy.restraint)
        told = [share(f) if f is not None else "-" for f in policy_figures]
        table.add_row(safe_text(policy.name, limit=60), *((*told, "", "") if wide else _narrow(told)), style="dim")
    notes = _notes(comparison, intervals="below each share" if wide else "")
    if not wide:
        notes.append(f"intervals, arguments, p50 and tokens: at {_WIDE} columns, or with --markdown")
    return Group(table, *(Text(line, "dim") for line in notes))


def _narrow(cells: Sequence[str]) -> tuple[str, str]:
    """The score, and the two shares below each other."""
    return cells[0], f"{cells[1]}\n{cells[2]}"


def _figure(figure: Figure | None, form: str) -> str:
    """A share, or a share and its interval in a form such as `{} ({})`."""
    if figure is None:
        return "-"
    if figure.low is None or figure.high is None:
        return share(figure.value)
    return form.format(share(figure.value), f"{figure.low:.2f}-{figure.high:.2f}")


def _standing(row: ComparedRow) -> str:
    faults = f"; {row.faults} without a reply" if row.faults else ""
    faults += f"; {row.unread} of {row.replies} unread" if row.unread else ""
    if row.agent_score is None:
        return "no score" + faults
    if row.behind is None:
        return "the best" + faults
    return f"{row.behind.value:+.3f}, " + (_chance(row.p_value) if row.distinguishable else "not told apart") + faults


def _chance(p_value: float | None) -> str:
    """A p-value; one that rounds to zero is shown as what it is below."""
    return "p unknown" if p_value is None else "p < 0.001" if p_value < 0.0005 else f"p {p_value:.3f}"


def _notes(comparison: Comparison, safe: Callable[[str], str] = safe_terminal, *, intervals: str) -> list[str]:
    """intervals: where they stand, "" for nowhere."""
    over = f"; {intervals} 95 % intervals over {counted(comparison.tool_sets, comparison.unit)}"
    has_intervals = bool(intervals) and any(
        row.agent_score is not None and row.agent_score.low is not None for row in comparison.rows
    )
    suites = ", ".join(
        f"{safe_terminal(name, limit=60)} ({split}{f', {SYNTHETIC}' if name in comparison.synthetic else ''})"
        for name, split in zip(comparison.suites, comparison.splits, strict=True)
    )
    lines = [
        f"{counted(comparison.prompts, 'prompt')} of {suites}; {_NOTE}{over if has_intervals else ''}.",
        '"not told apart": from the best row, at 5 % over all rows together (Holm); the order may be chance.',
    ]
    if any(row.unread for row in comparison.rows):
        lines.append('"unread": replies with a call that the variant does not read; `selfopt feedback` says what does.')
    lines += _costs(comparison, safe)
    lines += [_why_silent(row, safe) for row in comparison.rows if row.faults and row.said]
    if comparison.unmeasured:
        lines.append(
            f"not measured yet: {safe_terminal(', '.join(comparison.unmeasured), limit=400)}; repeat the command to continue"
        )
    if comparison.stopped:
        lines.append(f"stopped: {safe_terminal(comparison.stopped, limit=200)}")
    return lines


def _costs(comparison: Comparison, safe: Callable[[str], str]) -> list[str]:
    """What a request costs with each row, where anything costs anything."""
    rows = [row for row in comparison.rows if row.replies]
    if not any(row.cost or row.cost is None for row in rows):
        return []
    told = (f"{row.model} {row.variant} {money(row.cost, comparison.currency)}" for row in rows)
    return [f"a request costs: {safe('; '.join(told))}; prices: selfopt prices show"]


def _why_silent(row: ComparedRow, safe: Callable[[str], str]) -> str:
    """Why replies are missing, in the server's words."""
    helps = "" if row.cause is None else f"; {cause_text(row.cause)}"
    return f"{safe(f'{row.model} {row.variant}')}: {row.faults} without a reply: {safe(row.said[:_SAID])}{helps}"


def comparison_markdown(comparison: Comparison) -> str:
    """The table as Markdown, with its notes."""
    heads = ["model", "variant", "agent score", "against the best", "call accuracy", "restraint", "arguments", "p50", "tokens"]
    rows = [
        [
            code(row.model),
            code(row.variant),
            _figure(row.agent_score, "{} ({})"),
            _standing(row),
            *(_figure(f, "{} ({})") for f in (row.call_accuracy, row.restraint, row.argument_accuracy)),
            milliseconds(row.p50_ms),
            f"{row.output_tokens:.0f}",
        ]
        for row in comparison.rows
    ]
    for policy in comparison.policies:
        figures = [share(f) if f is not None else "-" for f in (policy.agent_score, policy.call_accuracy, policy.restraint)]
        rows.append([safe_markdown(policy.name), "-", figures[0], "-", figures[1], figures[2], "-", "-", "-"])
    return "\n".join([*markdown_table(heads, rows), "", *_notes(comparison, safe_markdown, intervals="in brackets")]) + "\n"
