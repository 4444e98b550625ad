"""`selfopt doctor`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, run_with_app, say


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> int:
    """Check home, settings, engine, models, endpoints, rules, audit trail and live requests.

    Exit code 1 when something is broken, 100 when records are not what was written (see `audit
    verify`). It loads no model, generates nothing and contacts no remote server, except the store that the setting `blobs` names.
    """
    from selfopt.verbs.doctor import diagnose_installation

    checks = run_with_app(ctx, diagnose_installation, forgiving=True)
    if as_json:
        emit(checks)
    else:
        out = console()
        for check in checks:
            style = {"FAIL": "bold dark_orange", "note": "dim"}.get(check["status"], "")
            say(out, f"{check['status']:5} {check['name']}: {check['detail']}", hang=6, style=style)
    return max((c.get("exit_code", 1) for c in checks if c["status"] == "FAIL"), default=0)
