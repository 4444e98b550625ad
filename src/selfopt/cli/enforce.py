"""`selfopt enforce`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import console, emit, json_option, open_app, say, say_each


@click.command("enforce")
@click.option(
    "--input", "path", type=click.Path(path_type=Path), help="Feedback file (default: the home's harness_feedback.json)."
)
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@click.option("--override-manual", is_flag=True, help="Let recommendations change rules that were set by hand.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, path: Path | None, dry_run: bool, override_manual: bool, as_json: bool) -> None:
    """Turn recommendations into rules in force. Each change is audited, versioned, applied and read
    back, in this order.
    """
    from selfopt.verbs.routing import enforce_file

    app = open_app(ctx)
    done = enforce_file(app, path, dry_run=dry_run, override_manual=override_manual)
    changes = [change.describe() for change in done.changes]
    kept = [f"{item.action.replace('_', ' ')} {item.model} {item.phase}" for item in done.kept]
    if as_json:
        rules = done.after.rules
        emit({"dry_run": dry_run, "version": done.after.version, "changes": changes, "not_applied": kept, "rules": rules})
        return
    out = console()
    say_each(out, changes, indent=2, hang=6)
    why = "not applied, because the rule was set by hand (--override-manual applies it)"
    say_each(out, [f"{what}: {why}" for what in kept], indent=2, hang=6)
    if not changes:
        say(out, f"nothing to change; rules version {done.before.version} stays in force")
    elif dry_run:
        out.print("dry run: nothing was written")
    else:
        say(out, f"rules version {done.after.version} is in force: {app.home.routing_config}")
