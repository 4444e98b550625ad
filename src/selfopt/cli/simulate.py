"""`selfopt simulate`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from .common import LiveLine, Number, console, draw, emit, json_option, progress_option

WORLD_NAMES = ("12x4", "200x4", "200x16", "det150x4", "cycles")
_POINTS = {"others", "churn", "drift"}


def _known(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """Refuses what can't be simulated, with what can."""
    if value is not None and value != "escalation":
        raise click.UsageError(
            f"got {value[:40]!r}; `selfopt simulate` tries the race, and `selfopt simulate escalation` thresholds of confidence",
            ctx,
        )
    return value


@click.command("simulate")
@click.argument("what", required=False, metavar="[escalation]", callback=_known)
@click.option("--world", "worlds", multiple=True, type=click.Choice(WORLD_NAMES), help="Prompts x candidates; default 12x4.")
@click.option(
    "--replications",
    type=click.IntRange(min=1, max=1_000_000),
    help="Worlds drawn for each row; default 200, and 2000 calibrations for escalation.",
)
@click.option(
    "--gain",
    "gains",
    multiple=True,
    type=Number(min=0, max=100, min_open=True),
    metavar="POINTS",
    help="How much better the first candidate is; default 5 and 10.",
)
@click.option(
    "--alpha", type=Number(min=0, max=0.5, min_open=True), default=0.05, show_default=True, help="Chance of a false promotion."
)
@click.option("--prompts", type=click.IntRange(min=1, max=10_000), help="Size of the suite.")
@click.option("--candidates", type=click.IntRange(min=1, max=100), help="How many candidates race.")
@click.option("--flaky", type=Number(min=0, max=1), help="Share of prompts that pass only sometimes.")
@click.option("--others", type=Number(min=-100, max=100), metavar="POINTS", help="How much better the other candidates are.")
@click.option(
    "--churn", type=Number(min=0, max=100), metavar="POINTS", help="What each candidate wins on some prompts and loses on others."
)
@click.option("--cold", type=Number(min=0, max=1), help="Share of prompts whose first answers fail while the model loads.")
@click.option("--warm-up/--no-warm-up", default=None, help="Warm up before anything counts.")
@click.option("--drift", type=Number(min=0, max=100), metavar="POINTS", help="How much worse the server gets in 1000 trials.")
@click.option("--deterministic/--stochastic", default=None, help="Whether every prompt passes always or never.")
@click.option("--max-trials", type=click.IntRange(min=1), help="Hold a race before it takes more than so many trials.")
@click.option(
    "--lower-bound", "bound_worlds", type=click.IntRange(min=0, max=1000), help="Average the lower bound over so many worlds."
)
@click.option("--seed", metavar="TEXT", help="Draw other worlds.")
@click.option("--processes", type=click.IntRange(min=1, max=256), help="Default: one for each core.")
@progress_option
@json_option
def command(what: str | None, worlds: tuple[str, ...], gains: tuple[float, ...], as_json: bool, **options: Any) -> None:
    """Try the race, the plain gates and a fixed number of runs on made-up worlds, where the truth
    is known.

    The policy is real, the models are not. Shows how often a candidate is promoted that is not
    better, how often a gain is found, and after how many trials. Nothing is written. The same seed
    gives the same figures.

    With `escalation`, thresholds of confidence are chosen instead, in worlds of their own: how often
    their bound is broken, what they serve of what could be served, and what a shift does to them.

    \b
    selfopt simulate --world 12x4 --world 200x4
    selfopt simulate --prompts 60 --candidates 6 --flaky 0.2 --gain 3
    selfopt simulate escalation --replications 200

    """
    if what:
        _escalation(worlds, gains, as_json, options)
        return
    from selfopt.report import cycles_table, simulation_table
    from selfopt.verbs.simulating import simulate_worlds

    world_options = ("prompts", "candidates", "flaky", "others", "churn", "cold", "warm_up", "drift", "deterministic")
    given = [name for name in world_options if options[name] is not None]
    changes = {name: options[name] / 100 if name in _POINTS else options[name] for name in given}
    plan = {name: value for name, value in options.items() if name not in world_options and value is not None}
    if gains:
        plan["gains"] = tuple(gain / 100 for gain in dict.fromkeys(gains))
    with LiveLine(enabled=not as_json) as live:
        found = dict(simulate_worlds(worlds or ("12x4",), changes=changes, progress=live.show, **plan))
    cycles = found.pop("cycles", None)
    if as_json:
        emit({"worlds": found, **({"cycles": cycles} if cycles else {})})
        return
    for name, figures in found.items():
        draw(console(), simulation_table(name, figures))
    if cycles:
        draw(console(), cycles_table(cycles))


def _escalation(worlds: tuple[str, ...], gains: tuple[float, ...], as_json: bool, options: dict[str, Any]) -> None:
    from selfopt.report import simulated_escalation_tables
    from selfopt.verbs.simulating import simulate_escalation

    taken = ("replications", "seed", "processes")
    chosen = {**options, "world": worlds, "gain": gains}
    if click.get_current_context().get_parameter_source("alpha") == ParameterSource.DEFAULT:
        chosen.pop("alpha")
    refused = sorted(name for name, value in chosen.items() if value not in (None, ()) and name not in taken)
    if refused:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in refused)
        raise click.UsageError(
            f"{listed}: `simulate escalation` has worlds of its own; it takes --replications, --seed and --processes"
        )
    plan = {name: options[name] for name in taken if options[name] is not None}
    with LiveLine(enabled=not as_json) as live:
        found = simulate_escalation(progress=live.show, **plan)
    if as_json:
        emit(found)
        return
    for table in simulated_escalation_tables(found):
        draw(console(), table)
