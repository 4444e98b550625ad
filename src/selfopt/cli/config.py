"""`selfopt config path | show | edit`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from .common import CommandGroup, answer, console, emit, json_option, open_app, say, say_each

_EDITORS = ("VISUAL", "EDITOR")


@click.group("config", cls=CommandGroup)
def command() -> None:
    """Find, show or edit your own settings."""


@command.command("path")
@json_option
def path(as_json: bool) -> None:
    """Print where your own settings are, or would be."""
    from selfopt.verbs.config import own_file

    file = own_file(os.environ)
    answer({"path": file, "exists": file.is_file()}, [str(file)], as_json=as_json)


@command.command("show")
@click.option("--all", "everything", is_flag=True, help="Also the settings that have their built-in value.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, everything: bool, as_json: bool) -> None:
    """Show the settings in force, and where they come from.

    They are printed as TOML. Without --all: those that differ from the built-in ones. Keys and proxies
    are left out, because they may hold secrets.
    """
    from selfopt.verbs.config import show_settings

    shown = show_settings(open_app(ctx))
    if as_json:
        emit(shown)
        return
    out = console()
    say(out, f"# your own file: {shown.path}{'' if shown.exists else ' (not there; selfopt config edit makes it)'}")
    say_each(out, (f"# read: {source}" for source in shown.sources))
    lines = shown.lines(everything=everything)
    say_each(out, lines or ["# every setting has its built-in value; --all lists them"])


@command.command("edit")
@json_option
@click.pass_context
def edit(ctx: click.Context, /, as_json: bool) -> None:
    """Open your own settings in your editor.

    The editor is VISUAL or EDITOR, else vi. The file is checked afterwards. A file that is not there yet begins with comments that explain it.
    """
    from selfopt.verbs.config import begin_file, check_settings, own_file

    file = own_file(os.environ)
    editor = next((os.environ[name] for name in _EDITORS if os.environ.get(name)), "")
    if not editor and not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to edit in; set EDITOR, or edit {file} in another way", ctx)
    try:
        words = [*shlex.split(editor or "vi"), str(file)]
    except ValueError as error:
        raise click.UsageError(f"the editor {editor!r} cannot be split into words ({error}); correct EDITOR", ctx) from None
    made = begin_file(file)
    try:
        code = subprocess.run(words, check=False).returncode
    except OSError as error:
        raise click.UsageError(
            f"the editor {words[0]!r} could not be started: {error.strerror}; set EDITOR, or edit {file}", ctx
        ) from None
    if code:
        raise click.ClickException(f"the editor {words[0]!r} ended with {code}; {file} is as it left it")
    check_settings(os.environ, Path.cwd())
    answer({"path": file, "made": made}, [f"{file}: {'made' if made else 'read'} and understood"], as_json=as_json)
