"""Write docs/cli.md from the commands themselves.

python docs/generate_cli.py           write the file
python docs/generate_cli.py --check   exit 100 when the file is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from selfopt.cli.exit_codes import EXIT_CODES
from selfopt.cli.main import cli

PATH = Path(__file__).resolve().parent / "cli.md"

HEAD = """\
# The command line

<!-- Written by docs/generate_cli.py from the commands; change those and call `make docs`. -->

`selfopt [--home DIR] [--verbose] COMMAND ...`. Every command has `--help`, and `--json` prints one JSON document on standard output and
nothing else; progress, log lines and errors go to standard error, an error as one line. `-h` is short for `--help`.

{codes}

Every option is also an environment variable, named in the last column; the command line wins. Settings have variables of their own,
`SELFOPT_SECTION__KEY` (such as `SELFOPT_WARM_UP__ENABLED=false`). `SELFOPT_TRACEBACK=1` shows where an unexpected error came from.
"""

VALUES = {"integer range": "N", "integer": "N", "float range": "NUMBER", "float": "NUMBER", "path": "PATH", "text": "TEXT"}


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below, with the words that call it; a group before its own."""
    context = click.Context(command, info_name=path[-1] if path else "selfopt")
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None:
            yield (*path, name), below
            yield from commands(below, (*path, name))


def value_of(option: click.Option) -> str:
    """What an option takes, as a word; nothing for a flag."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + "|".join(map(str, option.type.choices))
    return " " + (option.metavar or VALUES.get(option.type.name, "VALUE"))


def bounds_of(option: click.Option) -> str:
    """The allowed range and the default, in words."""
    notes = []
    if isinstance(option.type, click.IntRange | click.FloatRange):
        low, high = option.type.min, option.type.max
        more = "more than" if option.type.min_open else "at least"
        if low is not None and high is not None:
            notes.append(f"{low:g} to {high:g}")
        elif low is not None:
            notes.append(f"{more} {low:g}")
    if option.show_default and option.default is not None:
        notes.append(f"default {option.default}")
    if option.required:
        notes.append("required")
    if option.multiple:
        notes.append("may be repeated")
    return f" ({'; '.join(notes)})" if notes else ""


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


def option_rows(path: tuple[str, ...], command: click.Command) -> list[str]:
    """One row per option."""
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden or option.name == "help":
            continue
        names = ", ".join(option.opts) + (f" / {', '.join(option.secondary_opts)}" if option.secondary_opts else "")
        variable = "_".join(["SELFOPT", *path, option.name or ""]).upper().replace("-", "_")
        shown = escaped(f"{names}{value_of(option)}")
        rows.append(f"| `{shown}` | {escaped(option.help or '')}{bounds_of(option)} | `{variable}` |")
    return rows


def section(path: tuple[str, ...], command: click.Command) -> str:
    """One command: usage, what it does, its options."""
    arguments = []
    for param in command.params:
        if isinstance(param, click.Argument) and param.metavar != "":
            name = (param.metavar or param.name or "").upper()
            whole = name if param.required or "[" in name else f"[{name}]"
            arguments.append(whole if "..." in whole or param.nargs != -1 else f"{whole}...")
    words = " ".join(["selfopt", *path, *(["COMMAND"] if isinstance(command, click.Group) else []), *arguments])
    lines = [f"{'##' if len(path) == 1 else '###'} {' '.join(path)}", "", f"`{words}`", ""]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            lines += ["```sh", *paragraph.strip("\b\n").splitlines(), "```", ""]
        else:
            lines += [" ".join(paragraph.split()), ""]
    rows = option_rows(path, command)
    if rows:
        lines += ["| option | meaning | variable |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def text() -> str:
    """The whole file."""
    codes = ["| exit code | meaning |", "|---|---|", *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())]
    return (
        "\n".join(
            [HEAD.replace("{codes}", "\n".join(codes)), *(section(path, command) for path, command in commands(cli, ()))]
        ).rstrip()
        + "\n"
    )


def main() -> None:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        if not PATH.exists() or PATH.read_text("utf-8") != text():
            sys.exit(100)
        return
    PATH.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
