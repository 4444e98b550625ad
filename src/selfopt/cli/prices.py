"""`selfopt prices show | import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import CommandGroup, console, counted, draw, emit, joined, json_option, open_app, say, say_each

if TYPE_CHECKING:
    from rich.table import Table

    from selfopt.verbs.pricing import PricesImported, PricesShown

_WIDE = 76  # columns that every price takes beside the others
_SHOWN = 400  # models of a table
_WHY = {
    "provider": "of providers that no endpoint of yours speaks to",
    "mode": "not for chats",
    "not_wanted": "not wanted (--only)",
    "by_hand": "of models whose price you wrote yourself",
    "unpriced": "without a price for a token of input and output",
    "price": "with a price that is none (no number, negative, not finite or above a million)",
    "name": "with a name that no model has",
    "tiers": "priced in tiers, by the length of the prompt",
    "shape": "of another form than a price",
    "twice": "with a second, other price of the same model",
}
_PARTLY = {
    "free": "free by the table, so a cap on cost does not hold them back",
    "long": "dearer for long prompts, which is not counted",
    "reasoning": "dearer for reasoning, which is not counted",
    "request": "with a fee for each request, which is not counted",
}
_ORIGINS = {"yours": "yours", "imported": "imported", "elsewhere": "variable"}


@click.group("prices", cls=CommandGroup)
def command() -> None:
    """Show what models cost, or import prices from a public table."""


@command.command("show")
@json_option
@click.pass_context
def show(ctx: click.Context, /, as_json: bool) -> None:
    """Show the prices in force, and what has none.

    Prices are for a million tokens, or for an hour in which the model is busy. Yours win over imported
    ones.
    """
    from selfopt.verbs.pricing import show_prices

    shown = show_prices(open_app(ctx))
    if as_json:
        emit(shown)
        return
    out = console()
    if shown.models:
        draw(out, _table(shown, wide=out.width >= _WIDE))
    else:
        say(out, "no prices yet: write [prices.MODEL] into your own settings, or call: selfopt prices import FILE")
    if len(shown.models) > _SHOWN:
        say(out, f"and {len(shown.models) - _SHOWN:,} more; --json prints all")
    unknown = [name for name in shown.unpriced if name not in shown.local]
    if shown.local:
        say(out, f"free, because they run on this machine and have no price: {joined(shown.local)}")
    if unknown:
        say(out, f"of unknown cost, because they have no price: {joined(unknown)}")


def _table(shown: PricesShown, *, wide: bool) -> Table:
    from rich import box
    from rich.table import Table

    from selfopt.report import safe_text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"model{f' ({shown.currency})' if shown.currency else ''}", overflow="fold", min_width=16)
    for head in ("input", "output", "cached", "an hour", "whose") if wide else ("input\noutput", "cached\nan hour"):
        table.add_column(head, justify="left" if head == "whose" else "right", no_wrap=True)
    for row in shown.models[:_SHOWN]:
        price, whose = row.price, _ORIGINS[row.origin]
        cached = price.input if price.cached is None else price.cached
        cells = [_number(value) for value in (price.input, price.output, cached, price.per_hour)]
        name = row.model if wide else f"{row.model} ({whose})"
        table.add_row(safe_text(name, limit=210), *([*cells, whose] if wide else ["\n".join(cells[:2]), "\n".join(cells[2:])]))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--only", multiple=True, metavar="GLOB", help="Only models whose full name (endpoint/name) fits; may be repeated.")
@click.option("--currency", metavar="NAME=RATE", help="Your currency, and what one US dollar is in it: EUR=0.92. [default: USD]")
@json_option
@click.pass_context
def import_(ctx: click.Context, /, file: Path, only: tuple[str, ...], currency: str | None, as_json: bool) -> None:
    """Take the prices of your endpoints' models from FILE.

    FILE is the table that LiteLLM ships: model_prices_and_context_window.json. Nothing is downloaded.
    An endpoint is known by the address of its server, else by its name, which is then the name that
    the table gives a provider. The prices go into a file beside your own settings. A price that you
    wrote yourself stays, and wins.

    \b
    selfopt prices import table.json --only 'openai/gpt-4o*'
    """
    from selfopt.verbs.pricing import import_prices

    done = import_prices(open_app(ctx), file, only=only, currency=currency)
    if as_json:
        emit(done)
        return
    say_each(console(), _told(done))


def _told(done: PricesImported) -> list[str]:
    count = sum(done.models.values())
    per = ", ".join(f"{name} {n}" for name, n in done.models.items())
    where = f"written to {done.path}" if done.changed else f"{done.path} holds them already" if count else "nothing was written"
    lines = [f"{counted(count, 'price')} in {done.currency}{f' ({per})' if per else ''}: {where}"]
    if done.by_hand:
        lines.append(f"kept as you wrote them: {joined(done.by_hand)}")
    left_out = {why: n for why, n in done.left_out.items() if why != "by_hand"}
    if left_out:
        lines.append("left out: " + "; ".join(f"{counted(n, 'entry')} {_WHY[why]}" for why, n in left_out.items()))
    if done.elsewhere:
        lines.append(f"providers without an endpoint of yours: {joined(f'{name} ({n})' for name, n in done.elsewhere.items())}")
    lines += [f"{_PARTLY[what]}: {joined(models)}" for what, models in done.partly.items()]
    lines += [
        f"no price for endpoint {name}: the table has no chat model of a provider {provider!r}"
        for name, provider in done.unmatched.items()
    ]
    if done.unpriced:
        lines.append(f"still without a price: {joined(done.unpriced)}; write [prices.MODEL] into your own settings")
    return lines
