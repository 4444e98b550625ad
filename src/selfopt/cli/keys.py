"""`selfopt keys add | set | list | usage | revoke`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .common import CommandGroup, answer, console, emit, joined, json_option, open_app, say
from .keys_usage import usage

if TYPE_CHECKING:
    from selfopt.verbs.keys import GatewayKey, KeyScope

F = TypeVar("F", bound=Callable[..., Any])
SCOPES = ("phase", "variant", "feedback", "admin")


@click.group("keys", cls=CommandGroup)
def command() -> None:
    """Make, limit, list and revoke API keys of the gateway. Once there is a key, every request needs one."""


class OrNone(click.ParamType[Any]):
    """A number, or `none`, which takes a limit away."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.name = "number"
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the number, or None."""
        if value == "none":
            return None
        try:
            return self._kind(value)
        except ValueError:
            self.fail(f"{value!r} is neither a {'whole ' if self._kind is int else ''}number nor none", param, ctx)


def terms_options(function: F) -> F:
    """The options that limit a key."""
    for option in (
        click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Such as team=blue; repeatable."),
        click.option("--tokens-per-minute", type=OrNone(int), help="In a minute of the clock; none for no limit."),
        click.option("--requests-per-minute", type=OrNone(int), help="In a minute of the clock; none for no limit."),
        click.option(
            "--on-budget",
            type=click.Choice(["hard", "warn"]),
            help="What a used-up budget does: refuse, or warn. [default: hard]",
        ),
        click.option("--budget-month", type=OrNone(float), help="In a month (UTC), in the currency of your prices."),
        click.option("--budget-day", type=OrNone(float), help="In a day (UTC), in the currency of your prices."),
    ):
        function = option(function)
    return function


def _terms(ctx: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the terms that the command line names. A value of None is `none`, and not an option that was left out."""
    from selfopt.verbs.keys import labels_of

    default = click.core.ParameterSource.DEFAULT
    terms = {name: value for name, value in given.items() if ctx.get_parameter_source(name) != default}
    return {**terms, "labels": labels_of(terms["labels"])} if "labels" in terms else terms


def _shown(entry: GatewayKey) -> dict[str, object]:
    return {**entry.model_dump(mode="json", exclude={"sha256", "terms"}), "terms": entry.terms.told()}


def _limits(entry: GatewayKey) -> str:
    """Returns what a key may use up, on one line."""
    terms, said = entry.terms, []
    for amount, span in ((terms.budget_day, "day"), (terms.budget_month, "month")):
        if amount is not None:
            said.append(f"{amount:g}{f' {terms.currency}' if terms.currency else ''} a {span} ({terms.on_budget})")
    for count, what in ((terms.requests_per_minute, "requests"), (terms.tokens_per_minute, "tokens")):
        if count is not None:
            said.append(f"{count} {what} a minute")
    said += [f"{name}={value}" for name, value in sorted(terms.labels.items())]
    return "; ".join(said)


@command.command("add")
@click.argument("name")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="Let it ask only this model; repeatable. [default: all]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="Let it also choose the phase, switch the variant off, give feedback, or open the gateway's page (admin); repeatable.",
)
@terms_options
@json_option
@click.pass_context
def add(
    ctx: click.Context, /, name: str, models: tuple[str, ...], scopes: tuple[KeyScope, ...], as_json: bool, **terms: Any
) -> None:
    """Make a key called NAME. It is shown only once, because only its hash is kept."""
    from selfopt.verbs.keys import add_key

    app = open_app(ctx)
    key, entry = add_key(app, name, models=models, scopes=scopes, terms=_terms(ctx, terms))
    if as_json:
        emit({**_shown(entry), "key": key})
        return
    print(key)
    click.echo(f"{entry.id} ({entry.name}): keep the key now, it cannot be shown again", err=True)
    _warn(app, entry)


def _warn(app: Any, entry: GatewayKey) -> None:
    from selfopt.verbs.keys import unpriced

    if unpriced(app, entry):
        click.echo(
            "selfopt: no model has a price, so this budget lets it ask models of this machine alone; see `selfopt prices --help`",
            err=True,
        )


@command.command("set")
@click.argument("key")
@terms_options
@json_option
@click.pass_context
def set_(ctx: click.Context, /, key: str, as_json: bool, **terms: Any) -> None:
    """Change what KEY (its id or name) may use up. What is not named stays; none takes a limit away, and NAME= a label."""
    from selfopt.verbs.keys import set_key

    app = open_app(ctx)
    entry = set_key(app, key, _terms(ctx, terms))
    answer(_shown(entry), [f"{entry.id} ({entry.name}): {_limits(entry) or 'no limits'}"], as_json=as_json)
    if not as_json:
        _warn(app, entry)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, /, as_json: bool) -> None:
    """List all keys, revoked ones too, without the keys themselves."""
    from selfopt.verbs.keys import list_keys

    checked = list_keys(open_app(ctx))
    for problem in checked.problems:
        click.echo(f"selfopt: {problem}", err=True)
    if as_json:
        emit([_shown(entry) for entry in checked.keys])
        return
    out = console()
    for entry in checked.keys:
        state = f"revoked {entry.revoked_at}" if entry.revoked_at else "valid"
        say(out, f"{entry.id}  {entry.name}  {state}, made {entry.created_at}")
        say(out, f"models: {joined(entry.models) if entry.models else 'all'}; scopes: {joined(entry.scopes) or 'none'}", indent=2)
        if limits := _limits(entry):
            say(out, limits, indent=2)
    if not checked.keys:
        out.print("no keys; `selfopt serve` answers everybody on this machine")


@command.command("revoke")
@click.argument("key")
@json_option
@click.pass_context
def revoke(ctx: click.Context, /, key: str, as_json: bool) -> None:
    """Make KEY (its id or name) invalid for good. A running gateway refuses it at once."""
    from selfopt.verbs.keys import revoke_key

    entry = revoke_key(open_app(ctx), key)
    answer(_shown(entry), [f"{entry.id} ({entry.name}) is revoked"], as_json=as_json)


command.add_command(usage)
