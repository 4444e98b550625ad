"""`selfopt trust`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import answer, console, json_option, say, say_each

if TYPE_CHECKING:
    from selfopt.verbs.trusting import TrustProposal


@click.command("trust")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Trust what is shown without asking.")
@click.option("--list", "listed", is_flag=True, help="List what is trusted, and what has changed since.")
@click.option("--withdraw", is_flag=True, help="Withdraw the trust of FOLDER.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, folder: Path | None, yes: bool, listed: bool, withdraw: bool, as_json: bool) -> int:
    """Let the selfopt.toml, the .env and the .selfopt of FOLDER count (default: the nearest project
    upwards).

    The files of a project that you do not trust change neither where a request goes, nor what is
    enforced, nor how strict the policy is, and cannot raise what is spent. Everything they ask for
    is shown first. Trust ends when one of them changes.
    """
    from selfopt.verbs.trusting import accept_trust, propose_trust, withdraw_trust

    if listed:
        if folder is not None or withdraw:
            raise click.UsageError("--list takes no folder", ctx)
        _list(as_json)
        return 0
    if withdraw:
        if folder is None:
            raise click.UsageError("--withdraw needs the folder", ctx)
        _tell(as_json, withdraw_trust(folder), "withdrawn")
        return 0
    proposal = propose_trust(folder)
    if not as_json:
        _show(proposal)
    if not yes:
        if as_json:
            raise click.UsageError("--json cannot ask you; look at what `selfopt trust` shows without it, then give --yes", ctx)
        if not sys.stdin.isatty():
            raise click.UsageError("without a terminal nobody can be asked; look at what is shown above, then give --yes", ctx)
        if not click.confirm("Trust this?", err=True):
            _tell(as_json, proposal.folder, "not trusted")
            return 1
    accept_trust(proposal)
    _tell(as_json, proposal.folder, "trusted")
    return 0


def _show(proposal: TrustProposal) -> None:
    out = console()
    say(out, f"{proposal.folder} asks for:", style="bold")
    say_each(out, proposal.lines or ("nothing",), indent=2)


def _tell(as_json: bool, folder: Path, what: str) -> None:
    answer({"folder": str(folder), "state": what}, [f"{folder}: {what}"], as_json=as_json)


def _list(as_json: bool) -> None:
    from selfopt.verbs.trusting import trusted_folders

    rows = trusted_folders()
    lines = []
    for row in rows:
        changed = f": {', '.join(row.files)}" if row.files else ""
        state = ("trusted" if row.kind == "project" else "counts") if row.state == "in force" else row.state
        lines.append(f"{row.kind}  {row.folder}  {state}{changed}")
    answer(rows, lines, as_json=as_json, hang=4, empty="no folder is trusted, and no .selfopt was made here")
