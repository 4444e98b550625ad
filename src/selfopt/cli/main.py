"""The entry point.

Loads only the called command's file, and turns errors into one line and an exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import click

from selfopt import __version__
from selfopt.errors import SelfoptError

from .faults import fault_of, inert, no_such_command
from .streams import make_streams_usable

# name -> (module, one-line help). The help is here so that `selfopt --help` loads no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("quickstart", "Watch the whole loop work on two real models."),
    "run": ("run", "Measure one pass of a model on a phase, under the rules in force."),
    "supervise": ("supervise", "Measure n passes, with warm-up, outcome rows and resume."),
    "feedback": ("feedback", "Turn the newest evaluations into findings and recommendations."),
    "decide": ("decide", "Put a candidate through the gates against the baseline."),
    "enforce": ("enforce", "Turn recommendations into rules in force."),
    "loop": ("loop", "Run whole cycles: measure, diagnose, decide, enforce, verify."),
    "tune": ("tune", "Make prompts for your own tools, search with them, write the rule."),
    "compare": ("compare", "Compare models and variants on the same prompts, in one table."),
    "check": ("check", "Say whether a build passes: no regression, thresholds, prompts."),
    "report": ("report", "Write the reports from the ledger."),
    "export": ("export", "Write what was measured and served for other programs."),
    "serve": ("serve", "Serve live traffic under the rules, OpenAI-compatible."),
    "ui": ("ui", "Show this home in a browser: live requests, rules, experiments."),
    "keys": ("keys", "Make, list and revoke API keys of the gateway."),
    "routes": ("routes", "Show, set, import or roll back the rules in force."),
    "audit": ("audit", "Show, verify, anchor or trace the audit trail."),
    "show": ("show", "Show one trial: exact request, raw reply, calls, verdict."),
    "try": ("try_", "Ask a model once through any variant; raw and parsed."),
    "rescore": ("rescore", "Judge stored replies again with another parser, free."),
    "models": ("models", "List, pull, inspect and remove models."),
    "suites": ("suites", "List, show, check and make suites."),
    "escalation": ("escalation", "Say whether a model may serve when it is sure, and hand on the rest."),
    "simulate": ("simulate", "Try the policy on made-up worlds where the truth is known."),
    "variants": ("variants", "List, show and render variants."),
    "scripted": ("scripted", "Serve a scripted endpoint from a YAML file."),
    "trust": ("trust", "Let a project's files count, list what is trusted, withdraw it."),
    "config": ("config", "Find, show or edit your own settings."),
    "prices": ("prices", "Show what models cost, or import prices from a public table."),
    "ledger": ("ledger", "Make the ledger of a database, or bring it up to date."),
    "doctor": ("doctor", "Check this installation and say what to fix."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists all commands, in the order of the loop."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the file of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"selfopt.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests the nearest command if the typed one is unknown."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.65)
            raise click.UsageError(no_such_command(args[0], near, "selfopt"), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


# Variables of no option, which the settings and this file read. The settings check `SELFOPT_SECTION__KEY`.
_OWN_VARIABLES = frozenset(
    {
        "SELFOPT_CACHE",
        "SELFOPT_CONFIG",
        "SELFOPT_DOTENV",
        "SELFOPT_TRACEBACK",
        "SELFOPT_ALLOW_REMOTE",
        "SELFOPT_CURRENCY",
        "SELFOPT_LEDGER",
        "SELFOPT_LEDGER_PATIENCE_S",
        "SELFOPT_BLOBS",
        "SELFOPT_VARIANTS",
    }
)


def refuse_unknown_variables(ctx: click.Context, environ: Mapping[str, str]) -> None:
    """Refuses an unknown SELFOPT_ variable like an unknown option: a misspelt cap or switch would
    have no effect.

    If a variable may be another command's option, this loads that command to find out.
    """
    called = ctx.invoked_subcommand
    known = _variables_of_options(ctx.command, "SELFOPT") | _OWN_VARIABLES
    wanted = sorted(n for n in environ if n.startswith("SELFOPT_") and "__" not in n and n not in known)
    known |= _variables_of_command(ctx, called) if wanted else set()
    for name in wanted:
        others = [c for c in COMMANDS if c != called and name.startswith(f"SELFOPT_{c.upper()}_")]
        if name in known or any(name in _variables_of_command(ctx, other) for other in others):
            continue
        import difflib

        from selfopt.verbs.opening import variables_of_settings

        known |= variables_of_settings().union(*(_variables_of_command(ctx, other) for other in others))
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        hint = f"did you mean {near[0]}? " if near else ""
        raise click.UsageError(
            f"nothing reads the variable {name}; {hint}unset it, or write SELFOPT_COMMAND_OPTION for an option and "
            "SELFOPT_SECTION__KEY for a setting"
        )


def _variables_of_command(ctx: click.Context, name: str | None) -> set[str]:
    command = cli.get_command(ctx, name) if name else None
    return _variables_of(command, f"SELFOPT_{name}") if command is not None else set()


def _variables_of(command: click.Command, prefix: str) -> set[str]:
    """Lists the variables of the options of a command and of the commands below it."""
    found = _variables_of_options(command, prefix)
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            found |= _variables_of(inner, f"{prefix}_{name}") if inner is not None else set()
    return found


def _variables_of_options(command: click.Command, prefix: str) -> set[str]:
    return {f"{prefix}_{p.name}".upper().replace("-", "_") for p in command.params if isinstance(p, click.Option) and p.name}


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SELFOPT"})
@click.version_option(__version__, prog_name="selfopt")
@click.option("--home", metavar="DIR", help="Home folder (else SELFOPT_HOME, the nearest .selfopt upwards, or your data folder).")
@click.option("-v", "--verbose", is_flag=True, help="Say which home and settings are used, and what is done.")
@click.pass_context
def cli(ctx: click.Context, home: str | None, verbose: bool) -> None:
    """The self-optimizing harness for language models that call tools.

    measure -> diagnose -> recommend -> decide -> enforce -> measure again
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise click.UsageError("the folder that you are in does not exist any more; change to another one") from None
    ctx.obj = {"home": home, "verbose": verbose}
    refuse_unknown_variables(ctx, os.environ)


# What a user can mend. SELFOPT_TRACEBACK shows where anything else came from.
_EXPECTED = (SelfoptError, OSError, KeyboardInterrupt, click.ClickException, click.exceptions.Abort)


def _escaped(character: str) -> str:
    """Escapes a control character or lone surrogate as Python does."""
    return character.encode("unicode_escape").decode("ascii")


def _fail(message: str, code: int) -> int:
    safe = "".join(c if c.isprintable() else _escaped(c) for c in " ".join(message.split()))
    with contextlib.suppress(OSError):  # standard error may be closed; the exit code still tells
        print(inert(f"selfopt: {safe}"), file=sys.stderr, flush=True)
    return code


def _to_null(stream: TextIO) -> None:
    """Discards what is left to flush when the reader has gone (`selfopt ...

    | head`), which is no error.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(argv: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        result = cli.main(args=list(argv), prog_name="selfopt", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except (BrokenPipeError, SystemExit):  # click turns a BrokenPipeError, and nothing else, into SystemExit
        _to_null(sys.stdout)
        return 0
    except (Exception, KeyboardInterrupt) as error:  # a bug, too: the user still gets one line
        if os.environ.get("SELFOPT_TRACEBACK") and not isinstance(error, _EXPECTED):
            import traceback

            traceback.print_exception(error)
        return _fail(*fault_of(error))


def main() -> None:
    """Runs the console script."""
    make_streams_usable()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _fail(f"the output could not be written: {error.strerror or error}; check space", 1)
        _to_null(sys.stdout)
    sys.exit(code)
