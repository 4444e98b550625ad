"""Fits a quickstart to the machine: measures its pace, and makes the suites as large as the plan says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from selfopt.errors import SelfoptError
from selfopt.records import ChatRequest, Message, Phase, Prompt, Sampling, Suite
from selfopt.suites import store_suites
from selfopt.wiring.app import App
from selfopt.words.first_run import left_out_text, pace_text, planned_text

from .first_plan import LADDER, LIMIT_S, Pace, Plan, seconds

_TOKENS = 16
_TIMEOUT_S = 60.0
_PROMPT = (
    "Repeat the names of all months and of all days of the week, and then count from one to forty in words. "
    "Write nothing else, leave nothing out, and put a comma after each word, as in this beginning: "
    "January, February, March, April, May, June, July, August, September, October, November, December, "
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, one, two, three, four, five, six, seven."
)


async def measure_paces(app: App, models: Sequence[str]) -> tuple[Pace, ...]:
    """How fast each model reads and writes; empty where one does not tell.

    Each answers one request, which nothing records, and is unloaded again. So the first measured
    request finds it as cold as ever.
    """
    found: list[Pace] = []
    for model in models:
        pace = await _pace(app, model)
        if pace is None:
            return ()
        found.append(pace)
    return tuple(found)


async def _pace(app: App, model: str) -> Pace | None:
    entry = app.settings.endpoint_of(model)[1]
    if not entry.traits.engine:
        return None
    request = ChatRequest(
        model=app.sender.server_model(model),
        messages=(Message(role="user", content=_PROMPT),),
        sampling=Sampling(max_tokens=_TOKENS),
        timeout_s=_TIMEOUT_S,
        isolate=True,
        context_size=app.settings.engine.context_size,
    )
    try:
        reply = await app.sender.endpoint(model, asked=model).chat(request)
        await app.sender.residency(model, asked=model).unload(app.sender.server_model(model))
    except SelfoptError:
        return None  # the first cycle says what is wrong, with its records
    usage, timings = reply.usage, reply.timings
    read = (usage.input_tokens or 0) - (usage.cached_tokens or 0)
    if read <= 0 or not usage.output_tokens or not timings.prompt_ms or not timings.output_ms:
        return None
    return Pace(1000 * read / timings.prompt_ms, 1000 * usage.output_tokens / timings.output_ms)


def whole_plan(app: App, models: Sequence[str]) -> Plan:
    """All that there is to measure."""
    sizes = [len(app.suite(app.settings.suite_of(phase)).prompts) for phase in ("atomic", "extended")]
    most = LADDER[0]
    warm_ups = min(len(models), most.warm_ups) if app.settings.warm_up.enabled else 0
    return Plan(sizes[0], app.settings.loop.determinism_sample or most.sample, most.candidates, sizes[1], warm_ups, len(models))


def plan_told(plan: Plan, whole: Plan, models: Sequence[str], paces: Sequence[Pace]) -> list[str]:
    """The pace, the plan, and what it leaves out for the time's sake."""
    lines = []
    if paces:
        lines.append(pace_text([(m, p.reads, p.writes) for m, p in zip(models, paces, strict=True)]))
        lines.append(f"about {seconds(plan, paces) / 60:.1f} minutes at this pace: {_planned(plan, models)}")
    left_out = _left_out(plan, whole, models)
    if left_out:
        lines.append(f"left out, because the whole would take longer than {LIMIT_S / 60:.0f} minutes here: {left_out}")
    return lines


def change_told(plan: Plan, before: Plan, models: Sequence[str], took_s: float, planned_s: float) -> str:
    """Why a plan has changed on the way."""
    took = f"so far it took {took_s:.0f} s instead of {planned_s:.0f} s"
    added = _left_out(before, plan, models)
    if plan.conversations >= before.conversations and plan.warm_ups >= before.warm_ups:
        return f"there is time left ({took}), so this is measured too: {added}"
    return f"slower than planned ({took}), so this is left out, to stay within {LIMIT_S / 60:.0f} minutes: {_left_out(plan, before, models)}"


def _planned(plan: Plan, models: Sequence[str]) -> str:
    return planned_text(
        models[: plan.models], plan.prompts, plan.candidates, plan.conversations, plan.sample, models[: plan.warm_ups]
    )


def _left_out(plan: Plan, whole: Plan, models: Sequence[str]) -> str:
    return left_out_text(
        models[plan.models : whole.models],
        whole.prompts - plan.prompts,
        whole.candidates - plan.candidates,
        whole.conversations - plan.conversations,
        whole.sample - plan.sample,
        models[plan.warm_ups : whole.warm_ups],
    )


@contextmanager
def sized(app: App) -> Iterator[None]:
    """Let plans change the app's suites and sample, and set them back at the end."""
    before = app.settings
    try:
        yield
    finally:
        app.settings = before


def use_plan(app: App, plan: Plan, whole: Plan) -> None:
    """Make the suites and the sample as large as the plan says.

    A part of a suite is a suite of its own in the home, under a name that says so. Rules that rest
    on it are not taken for rules that rest on the whole.
    """
    loop = app.settings.loop.model_copy(update={"determinism_sample": plan.sample})
    if plan != whole:  # where a timeout makes a model stochastic, all of its runs would take many times as long
        loop = loop.model_copy(update={"n_runs": min(loop.n_runs, app.settings.policy.min_runs)})
    suites = app.settings.suites
    if plan.prompts < whole.prompts:
        suites = suites.model_copy(update={"atomic": _stored(app, "atomic", plan.prompts)})
    if 0 < plan.conversations < whole.conversations:
        suites = suites.model_copy(update={"extended": _stored(app, "extended", plan.conversations)})
    app.settings = app.settings.model_copy(update={"loop": loop, "suites": suites})


def _stored(app: App, phase: Phase, count: int) -> str:
    whole = app.suite(app.settings.suite_of(phase))
    name = f"quickstart-{phase}-{count}"
    if whole.name == name:
        return name
    part = part_of(whole, count).model_copy(update={"name": name, "title": f"{count} of {len(whole.prompts)}: {whole.title}"})
    store_suites(app.home.suites, [part], replace=True)
    return name


def part_of(suite: Suite, count: int) -> Suite:
    """So many prompts of a suite, spread over it, with the same share of those that need a call."""
    calls = [p for p in suite.prompts if p.needs_call]
    others = [p for p in suite.prompts if not p.needs_call]
    wanted = round(count * len(calls) / len(suite.prompts))
    # Each sort is there where the suite has it: a part without one would show nothing about it.
    wanted = min(len(calls), max(wanted, count - len(others), 1 if calls else 0, 0), count - (1 if others and count > 1 else 0))
    chosen = {p.id for p in (*_spread(calls, wanted), *_spread(others, count - wanted))}
    return suite.model_copy(update={"prompts": tuple(p for p in suite.prompts if p.id in chosen)})


def _spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    return [prompts[i * len(prompts) // count] for i in range(min(count, len(prompts)))]
