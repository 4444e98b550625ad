"""`selfopt keys usage`: who spent what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from .common import console, counted, draw, emit, json_option, open_app, say

if TYPE_CHECKING:
    from rich.table import Table

    from selfopt.verbs.usage import KeyUsage, UsageRow

_SHOWN = 400
_WIDE = 100


@click.command("usage")
@click.option(
    "--by", type=click.Choice(["key", "label", "model", "day"]), default="key", help="What to add up by. [default: key]"
)
@click.option("--since", metavar="DAY", help="The first day (UTC), as YYYY-MM-DD. [default: the first of this month]")
@json_option
@click.pass_context
def usage(ctx: click.Context, /, by: Literal["key", "label", "model", "day"], since: str | None, as_json: bool) -> None:
    """Say what requests used, cost and saved, from the records on disk.

    Saved is an estimate: what the same tokens would have cost on the models that were asked for, less
    what they did cost. A model is the one that was asked for.
    """
    from selfopt.verbs.usage import key_usage

    found = key_usage(open_app(ctx), by=by, since=since)
    if as_json:
        from selfopt.verbs.usage import UsageRow

        total = {name: value for name, value in UsageRow("", found.total).told().items() if name not in ("name", "key")}
        emit(
            {
                "by": by,
                "since": found.since,
                "currency": found.currency,
                "rows": [row.told() for row in found.rows],
                "total": total,
            }
        )
        return
    out = console()
    if not found.rows:
        say(out, f"no request has been recorded since {found.since}")
        return
    draw(out, _table(found, wide=out.width >= _WIDE))
    if len(found.rows) > _SHOWN:
        say(out, f"and {len(found.rows) - _SHOWN:,} more; --json prints all")
    for line in _notes(found):
        say(out, line)


def _table(found: KeyUsage, *, wide: bool) -> Table:
    from rich import box
    from rich.table import Table

    from selfopt.report import safe_text
    from selfopt.verbs.usage import UsageRow

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(found.by, overflow="fold", min_width=10)
    heads = ("requests", "tokens in", "tokens out", "escalated", "cost", "as asked", "saved")
    for head in heads if wide else ("requests", "tokens", "escalated", "cost", "saved"):
        table.add_column(head, justify="right", no_wrap=True)
    rows = list(found.rows[:_SHOWN])
    for row in [*rows, *([UsageRow("all", found.total)] if len(found.rows) > 1 else [])]:
        table.add_row(safe_text(row.name, limit=210), *_cells(row, wide=wide))
    return table


def _cells(row: UsageRow, *, wide: bool) -> list[str]:
    own = row.spending
    share = "" if own.escalated_share is None else f"{own.escalated_share:.0%}"
    cost = f"{own.cost:.6g}{'+' if own.unknown else ''}"
    saved = f"~{own.saved:.6g}" if own.compared else ""
    if not wide:
        return [f"{own.requests:,}", f"{own.input_tokens + own.output_tokens:,}", share, cost, saved]
    asked = f"~{own.as_asked:.6g}" if own.compared else ""
    return [f"{own.requests:,}", f"{own.input_tokens:,}", f"{own.output_tokens:,}", share, cost, asked, saved]


def _notes(found: KeyUsage) -> list[str]:
    """Returns what the figures do not hold."""
    total, currency = found.total, f" {found.currency}" if found.currency else ""
    notes = [f"since {found.since} (UTC){f', in {found.currency}' if found.currency else ''}; ~ marks estimates"]
    if total.unknown:
        charged = f"; budgets count {total.charged:.6g}{currency} for them" if total.charged else ""
        notes.append(f"the cost of {counted(total.unknown, 'request')} is not known (no price, or no counts of tokens){charged}")
    if total.beside:
        notes.append(
            f"{counted(total.beside, 'request')} under rules with a stronger model cost {total.beside_cost:.6g}{currency}; it alone would "
            f"have cost ~{total.stronger_alone:.6g}{currency}"
        )
    return notes
