"""`selfopt supervise MODEL PHASE [VARIANT]`."""

from __future__ import annotations

from typing import Any

import click

from .common import json_option
from .measuring import measure_command, measure_flags


@click.command("supervise")
@measure_flags
@click.option("--runs", "n_runs", type=click.IntRange(1, 1000), default=7, show_default=True, help="How many passes.")
@click.option("--sampling/--no-sampling", default=False, help="Stop repeating where a seeded sample shows determinism.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, n_runs: int, sampling: bool, as_json: bool, **flags: Any) -> int:
    """Measure n passes of MODEL on PHASE: warm-up before the first, outcome rows, variance; resumes where it was cut off."""
    return measure_command(ctx, flags, n_runs=n_runs, sampling=sampling, as_json=as_json)
