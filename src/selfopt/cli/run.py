"""`selfopt run MODEL PHASE [VARIANT]`."""

from __future__ import annotations

from typing import Any

import click

from .common import json_option
from .exit_codes import fail_on
from .measuring import measure_command, measure_flags


@click.command("run")
@measure_flags
@fail_on("regression", help="when it is measurably worse than the baseline on the same prompts.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **flags: Any) -> int:
    """Measure one pass of MODEL on PHASE (atomic or extended), under the rules in force.

    If the rules disable the model, its fallback serves, or the run is refused. Default VARIANT: the
    rule's, else native_api.

    \b
    selfopt run local/smollm2-135m atomic
    selfopt run haiku extended extended --limit 3 --timeout 20

    """
    return measure_command(ctx, flags, as_json=as_json)
