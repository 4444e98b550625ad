"""`selfopt feedback`."""

from __future__ import annotations

import click

from .common import console, counted, draw, emit, json_option, open_app, run_in_app, say


@click.command("feedback")
@click.option("--dry-run", is_flag=True, help="Print them only; write neither to the ledger nor to harness_feedback.json.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, as_json: bool) -> None:
    """Derive findings and recommendations from the last 8 evaluations of each model and phase.

    Writes them to the ledger and to harness_feedback.json.
    """
    from selfopt.report import findings_list
    from selfopt.verbs.diagnosing import make_feedback, only_reads
    from selfopt.words.evidence import on_prompts

    app = open_app(ctx)
    feedback = run_in_app(app, make_feedback(app, write=not dry_run))
    if as_json:
        emit(feedback)
        return
    out = console()
    for row in feedback.accuracy:
        calls = "-" if row.call_accuracy is None else f"{row.call_accuracy:.0%}"
        say(out, f"{row.model} {row.phase}", style="bold")
        figures = f"accuracy {row.accuracy:.0%}, call accuracy {calls}, {counted(row.evaluations, 'evaluation')}"
        say(out, on_prompts(f"{row.variant}: {figures}", synthetic=row.synthetic), indent=2)
    out.print("\nFindings", style="bold")
    draw(out, findings_list(feedback.findings))
    for failure in [h for h in feedback.hot_failures if h.failures > 1][:10]:
        what = ", ".join(f"{name} x{count}" for name, count in failure.outcomes.items())
        where = f"{failure.model} {failure.phase} {failure.prompt_id} ({failure.prompt_kind})"
        say(out, f"hot failure: {where} failed {failure.failures} of {failure.of}: {what}", indent=2, hang=4)
    out.print("\nRecommendations", style="bold")
    for item in feedback.recommendations:
        fallback = f", fallback {item.fallback}" if item.fallback else ""
        say(out, f"{item.action.replace('_', ' ')} {item.model} {item.phase}{fallback}", indent=2)
        say(out, item.reason, indent=4, hang=4)
        sure = on_prompts(f"confidence {item.confidence}", synthetic=item.synthetic)
        say(out, f"{sure}; {item.id}", indent=4, hang=4, style="dim")
    if not feedback.recommendations:
        out.print("  none: nothing to change")
    if only_reads(app) and not dry_run:
        say(out, f"not kept: {app.home.root} cannot be written")
    elif dry_run:
        out.print("dry run: nothing was written")
    else:
        say(out, f"written: {app.home.feedback}; to put it in force: selfopt enforce")
