"""`selfopt supervise MODEL PHASE [VARIANT]`."""

from __future__ import annotations

from typing import Any

import click

from .common import json_option
from .measuring import measure_command, measure_flags, validate_command


@click.command("supervise")
@measure_flags
@click.option("--runs", "n_runs", type=click.IntRange(1, 1000), default=7, show_default=True, help="How many passes.")
@click.option("--sampling/--no-sampling", default=False, help="Stop repeating where a seeded sample shows determinism.")
@click.option(
    "--validate-warm-up",
    "validate",
    is_flag=True,
    help="Measure what warm-up is worth: cold runs, each after a forced unload, alternate with warm ones (4 or more of each).",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, validate: bool, as_json: bool, **flags: Any) -> int:
    """Measure n passes of MODEL on PHASE, with warm-up before the first, outcome rows and variance.

    After an interruption the same command continues.

    \b
    selfopt supervise lfm2.5 atomic --enable-warmup
    selfopt supervise lfm2.5 atomic --validate-warm-up --runs 4
    """
    if not validate:
        return measure_command(ctx, flags, as_json=as_json)
    if flags["warm_up"] is not None or flags.pop("sampling"):
        raise click.UsageError(
            "--validate-warm-up measures with and without warm-up; leave out --enable-warmup, --no-warmup, --sampling", ctx
        )
    return validate_command(ctx, flags, as_json=as_json)
