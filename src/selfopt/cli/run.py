"""`selfopt run MODEL PHASE [VARIANT]`."""

from __future__ import annotations

from typing import Any

import click

from .common import json_option
from .measuring import measure_command, measure_flags


@click.command("run")
@measure_flags
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **flags: Any) -> int:
    """Measure one pass of MODEL on PHASE (atomic or extended), under the rules in force.

    A model that its rule disables is served by its fallback, or refused. VARIANT: the rule's promoted one, else native_api.
    """
    return measure_command(ctx, flags, n_runs=1, as_json=as_json)
