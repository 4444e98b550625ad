"""The playground: one request to a model, with what was sent, what came back and what was read in it. Nothing is scored or recorded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.errors import SelfoptError, StoreError, UsageError
from selfopt.home import readable_json, spread_json
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.reading.signals import signals_of
from selfopt.records import Message, ParsedReply, ReplyContent, Rule, ServeWhen, ToolDefinition, Usage, Variant
from selfopt.records.trial import EMBED_STEP
from selfopt.suites import list_suites
from selfopt.suites.importers.tools import tools_from
from selfopt.variants import options_of
from selfopt.wiring.app import App

from .doctor import answers
from .measured import every_measured
from .models import list_models
from .suite_facts import known_suite
from .trying import Tried, try_model

MAX_PROMPT = 100_000
MAX_TOOLS = 500_000
MAX_SUITES = 40
_LIST_S = 3.0
_MOST = 60
_MOST_INSTALLED = 20
Place = Literal["here", "engine", "elsewhere"]


@dataclass(frozen=True, slots=True)
class PlayModel:
    """A model that can be asked. place: `engine` for a child of the process that asks, `elsewhere` for another machine."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class PlayChoices:
    """What one can choose from.

    Attributes:
        in_force: variants of rules that no catalogue has.
        serving: each model that a rule lets serve through a variant, and that variant's name.
        sets: names of suites, each with the names of its tool sets and how many tools these have.
    """

    models: tuple[PlayModel, ...]
    variants: tuple[str, ...]
    in_force: tuple[str, ...]
    serving: tuple[tuple[str, str], ...]
    sets: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]


@dataclass(frozen=True, slots=True)
class PlayAsk:
    """One side of the playground.

    Attributes:
        model: full name or alias.
        variant: name of a variant, of one that a rule has, or a point of the space.
        remote: whether the user lets the prompt and the tools leave this machine.
        engine: whether this process may start the embedded engine.
    """

    model: str
    variant: str
    tools: tuple[ToolDefinition, ...]
    prompt: str
    remote: bool = False
    engine: bool = True


@dataclass(frozen=True, slots=True)
class PlayStep:
    """What went over the wire. Texts are as sent, with JSON spread over lines; empty where nothing was sent."""

    step: str
    sent: str
    came: str


@dataclass(frozen=True, slots=True)
class PlaySureness:
    """How sure the answer is by the rule in force for this model and variant. least, most: of the confidence, which
    differ where only a second way of asking would tell. border: from which on the rule serves.
    """

    least: float
    most: float
    border: float


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a request.

    Attributes:
        latency_ms: of all steps.
        cost: in the currency of the settings; None where it is not known.
        sureness: None where no threshold is in force, or the reply does not tell.
    """

    model: str
    variant: str
    place: Place
    steps: tuple[PlayStep, ...]
    content: ReplyContent | None
    parsed: ParsedReply | None
    latency_ms: float
    first_byte_ms: float | None
    usage: Usage
    cost: float | None
    sureness: PlaySureness | None


async def play_choices(app: App, *, engine: bool = True) -> PlayChoices:
    """Look for models, variants and tools. Servers on this machine are asked what they have; remote ones are not.

    engine: whether models of the embedded engine count.
    """
    named, variants, in_force, sets = await asyncio.to_thread(_known, app)
    local = [name for name, entry in app.settings.endpoints.items() if entry.is_local and not entry.traits.engine]
    for found in await asyncio.gather(*(_installed(app, name) for name in local)):
        named += found
    models = [PlayModel(name, place_of(app, name)) for name in dict.fromkeys(named) if app.known_model(name) is not None]
    models = [model for model in models if engine or model.place != "engine"][:_MOST]
    names = {model.name for model in models}
    serving = [(rule.model, rule.variant.name) for rule in _rules(app) if rule.allow and rule.variant and rule.model in names]
    return PlayChoices(tuple(models), variants, in_force, tuple(serving), sets)


def _known(app: App) -> tuple[list[str], tuple[str, ...], tuple[str, ...], tuple[tuple[str, tuple[tuple[str, int], ...]], ...]]:
    """Look through the home: models that rules, measurements and settings name, and pulled ones."""
    rules, settings = _rules(app), app.settings
    named = [name for rule in rules for name in (rule.model, rule.fallback) if name]
    named += [one.model for one in reversed(every_measured(app))]
    named += [row["name"] for row in list_models(app) if row["installed"] and row["known"]]
    named += [settings.models.aliases[alias] for alias in settings.models.aliases]
    named += [*settings.fallbacks.atomic, *settings.fallbacks.extended]
    own = app.variants
    variants = tuple(name for name, variant in own.items() if settings.models.embedding or not options_of(variant).embeds)
    in_force = tuple(dict.fromkeys(rule.variant.name for rule in rules if rule.variant and rule.variant.name not in own))
    return named, variants, in_force, tuple(_sets(app))


def _rules(app: App) -> tuple[Rule, ...]:
    try:
        return app.enforcer.look().config.rules
    except StoreError:
        return ()


def _sets(app: App) -> Iterable[tuple[str, tuple[tuple[str, int], ...]]]:
    """The tool sets of all suites that can be read."""
    for name in list_suites(app.home.suites)[:MAX_SUITES]:
        try:
            suite = known_suite(app, name)
        except SelfoptError:
            continue
        yield name, tuple((one, len(tools)) for one, tools in suite.tool_sets.items())[:_MOST]


async def _installed(app: App, endpoint: str) -> list[str]:
    """What a server has; nothing where it does not say so in time."""
    try:
        async with asyncio.timeout(_LIST_S):
            found = await app.sender.installed(endpoint)
    except (TimeoutError, SelfoptError):
        return []
    return [f"{endpoint}/{name}" for name in (found or [])[:_MOST_INSTALLED]]


def place_of(app: App, model: str) -> Place:
    """Say where a model is. model: its full name."""
    if not app.settings.is_local(model):
        return "elsewhere"
    return "engine" if app.settings.endpoint_of(model)[1].traits.engine else "here"


def tools_of_set(app: App, suite: str, name: str) -> str:
    """Return the tools of a suite's set as JSON. UsageError where there is none."""
    found = known_suite(app, suite).tool_sets.get(name)
    if found is None:
        raise UsageError(f"suite {suite} has no tool set {name[:80]!r}")
    return readable_json([tool.model_dump(mode="json") for tool in found], indent=2)


def typed_tools(text: str) -> tuple[ToolDefinition, ...]:
    """Read tools that somebody typed; none in an empty text. UsageError and SuiteError say what is wrong."""
    if not text.strip():
        return ()
    if len(text) > MAX_TOOLS:
        raise UsageError(f"the tools have {len(text)} characters, allowed are {MAX_TOOLS}; take some away")
    try:
        return tools_from(read_plain_json(text), "tools")
    except PlainJsonError as error:
        raise UsageError(f"tools: {error}") from None


async def play(app: App, ask: PlayAsk) -> Played:
    """Ask one side.

    Raises:
        UsageError: the prompt is empty or too long, the user did not let it leave this machine, or this process may
            not start the engine.
        EndpointError, VariantError, SettingsError: as `try_model`.
    """
    if not ask.prompt.strip():
        raise UsageError("there is no prompt; write one")
    if len(ask.prompt) > MAX_PROMPT:
        raise UsageError(f"the prompt has {len(ask.prompt)} characters, allowed are {MAX_PROMPT}; shorten it")
    model = app.full_name(ask.model)
    place = place_of(app, model)
    if place == "elsewhere" and not (ask.remote or app.settings.allow_remote):
        raise UsageError(
            f"not sent: {model} is not on this machine; tick that the prompt and the tools may leave it, or choose another model"
        )
    if place == "engine":
        await _require_engine(app, model, ask.engine)
    variant = _variant(app, ask.variant)
    when = _threshold(app, model, variant)
    tried = await try_model(app, model, variant, ask.tools, ask.prompt, observe=when is not None)
    return _played(app, ask, place, tried, when)


async def _require_engine(app: App, model: str, allowed: bool) -> None:
    """Raise UsageError where another process may have this model loaded: a second copy can fill the memory."""
    host, port = app.settings.gateway.host, app.settings.gateway.port
    if allowed and not await answers(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"):
        return
    raise UsageError(
        f"not sent: {model} is a model of the embedded engine, and a gateway may have it loaded; a second copy beside it could fill "
        "the memory; end the gateway and use `selfopt ui`, or choose a model of a server"
    )


def _variant(app: App, name: str) -> Variant:
    if name not in app.variants:
        for rule in _rules(app):
            if rule.variant is not None and rule.variant.name == name:
                return rule.variant
    return app.variant(name)


def _played(app: App, ask: PlayAsk, place: Place, tried: Tried, when: ServeWhen | None) -> Played:
    replies = [(step.step, step.reply) for step in tried.steps if step.reply is not None]
    asked = [reply for step, reply in replies if step != EMBED_STEP]
    usage = Usage(
        input_tokens=_sum([reply.usage.input_tokens for reply in asked]),
        output_tokens=_sum([reply.usage.output_tokens for reply in asked]),
        cached_tokens=_sum([reply.usage.cached_tokens for reply in asked]),
    )
    latency_ms = sum(reply.latency_ms for _, reply in replies)
    return Played(
        model=tried.model,
        variant=tried.variant,
        place=place,
        steps=tuple(PlayStep(step, spread_json(reply.request_body), spread_json(reply.reply_body)) for step, reply in replies),
        content=tried.content,
        parsed=tried.parsed,
        latency_ms=latency_ms,
        first_byte_ms=asked[0].first_byte_ms if len(asked) == 1 else None,
        usage=usage,
        cost=app.settings.cost_of(tried.model, usage, latency_ms / 1000),
        sureness=None if when is None else _sureness(when, ask, tried),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _threshold(app: App, model: str, variant: Variant) -> ServeWhen | None:
    """The threshold that is in force for this way of asking this model."""
    fitted = app.fitting(variant, app.settings.endpoint_of(model)[0])
    hashes = {variant.variant_hash, fitted.variant_hash}
    for rule in _rules(app):
        if rule.model == model and rule.serve_when is not None and rule.variant and rule.variant.variant_hash in hashes:
            return rule.serve_when
    return None


def _sureness(when: ServeWhen, ask: PlayAsk, tried: Tried) -> PlaySureness | None:
    """How sure an answer is by a threshold."""
    if tried.content is None or tried.parsed is None:
        return None
    content = tried.content
    if content.logprobs is None and tried.steps and (last := tried.steps[-1].reply) is not None:
        content = content.model_copy(update={"logprobs": last.logprobs})
    messages = (Message(role="user", content=ask.prompt),)
    signals = signals_of(content, tried.parsed, ask.tools, messages, wanted=when.model.signals)
    if not when.model.tells(signals):
        return None
    least, most = when.model.confidences(signals) if when.compares else (when.model.confidence(signals),) * 2
    return None if math.isnan(least) or math.isnan(most) else PlaySureness(least, most, when.least)
