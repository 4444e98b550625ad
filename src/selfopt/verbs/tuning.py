"""`tune`: makes prompts for a user's own tools, searches with them for a variant, and writes the rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selfopt.authoring.drafts import UsableTools, usable_tools
from selfopt.errors import BudgetError, UsageError
from selfopt.loop import Listener, Target
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import Cycle, Suite, content_hash
from selfopt.suites import store_suites
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .diagnosing import UNHEARD
from .looping import run_loop
from .prompting import Authors, PromptMaker, TunedSuite, Way, stored_before, told, without_prompts
from .soliciting import Solicitor
from .tools import Tools, read_tools, tools_label

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TuneRequest", "Tuned", "TunedSuite", "tune_model"]

NO_WRITER = "none"
MIN_PROMPTS, MAX_PROMPTS, PROMPTS = 24, 1_000, 240
_FORM = 3  # raised where the same tools and authors give other prompts


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """What the user asks for.

    Attributes:
        model: the model that is tuned.
        tools: as `read_tools` takes them.
        writer: who writes the prompts; `none`: a template; None: the first model of fallbacks.atomic.
        solvers: one or two models that have to agree with what is expected. None named: the writer,
            asked in two ways.
        prompts: how many are wanted.
        prompts_only: stop once the suite is written.
        tools_timeout_s: seconds to wait for a server of tools; None for the default.
    """

    model: str
    tools: Tools
    writer: str | None = None
    solvers: tuple[str, ...] = ()
    prompts: int = PROMPTS
    prompts_only: bool = False
    tools_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The suite, and the cycle that searched with it; none with `prompts_only`."""

    model: str
    suite: TunedSuite
    cycles: tuple[Cycle, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a request comes to in this home. asked: see `Solicitor`."""

    model: str
    authors: Authors
    asked: dict[str, str]


@dataclass(slots=True)
class TuneListener:
    """Hears what happens.

    Attributes:
        suite: is told of the suite once it is there.
        show: is told how far the prompts are.
        loop, progress: as for `run_loop`.
    """

    suite: Callable[[TunedSuite], None] = lambda _: None
    show: Callable[[str], None] = lambda _: None
    loop: Listener = field(default_factory=lambda: UNHEARD)
    progress: Callable[[Progress], None] = ignore_progress


async def tune_model(
    app: App, request: TuneRequest, listener: TuneListener | None = None, clock: Callable[[], float] = time.monotonic
) -> Tuned:
    """Make prompts for the tools, search with them and write the rule by the usual decision.

    The same call goes on where an earlier one was cut off. Where the suite is there already, no
    prompt is made.

    Raises:
        UsageError, SuiteError: the request or the tools cannot be used.
        ConsentError: a model that was not named, or a server of tools, is remote without consent.
            Nothing is sent.
        SelfoptError: too few prompts can be made.
        BudgetError: a cap ended it early. LockedError: another measurement works in this home.
    """
    hears = listener or TuneListener()
    # A file that is not there is told first: it is what was just typed.
    usable = usable_tools(await read_tools(app, request.tools, request.tools_timeout_s))
    plan = _planned(app, request)
    app.home.ensure()
    meter = BudgetMeter(app.budget, clock)
    began = clock()
    with measuring(app, "tune", [plan.model]):
        suite, found = await _suite(app, request, plan, usable, meter, hears.show)
    hears.suite(found)
    if request.prompts_only:
        return Tuned(plan.model, found)
    with _searching(app, suite, meter, (clock() - began) / 60):
        cycles = await run_loop(app, [Target(plan.model, "atomic")], listener=hears.loop, progress=hears.progress)
    return Tuned(plan.model, found, tuple(cycles))


def _planned(app: App, request: TuneRequest) -> _Plan:
    if not MIN_PROMPTS <= request.prompts <= MAX_PROMPTS:
        raise UsageError(f"--prompts got {request.prompts}: from {MIN_PROMPTS} to {MAX_PROMPTS}")
    if len(set(request.solvers)) != len(request.solvers) or len(request.solvers) > 2:
        raise UsageError("--solver names one model, or two different ones")
    model = app.resolve_model(request.model)
    asked: dict[str, str] = {}
    named = [app.resolve_model(name) for name in request.solvers]
    asked |= {name: name for name in named}
    writer: str | None = None
    if request.writer != NO_WRITER:
        writer = _writer(app, request, model)
        asked.setdefault(writer, writer if request.writer is not None else model)
    solving = named or ([writer] if writer is not None else [])
    ways: list[tuple[str, Way]] = [(one, "native") for one in solving] if len(solving) == 2 else []
    ways = ways or [(one, way) for one in solving for way in _WAYS]
    if model in asked:
        raise UsageError(
            f"{model} is the model that is tuned, and prompts that it wrote or solved itself would flatter it; name another"
        )
    for name, by in asked.items():
        app.sender.require(by, name)
    app.require_ready({*asked, *(() if request.prompts_only else (model,))})
    return _Plan(model, Authors(writer, tuple(ways)), asked)


_WAYS: tuple[Way, ...] = ("native", "text")


def _writer(app: App, request: TuneRequest, model: str) -> str:
    if request.writer is not None:
        return app.resolve_model(request.writer)
    others = (app.resolve_model(name) for name in app.settings.fallbacks.atomic)
    found = next((name for name in others if name != model), None)
    if found is None:
        raise UsageError(
            "no model is known that could write prompts; name one with --writer MODEL, set fallbacks.atomic, or write "
            f"plain prompts from the tools alone with --writer {NO_WRITER}"
        )
    return found


async def _suite(
    app: App, request: TuneRequest, plan: _Plan, usable: UsableTools, meter: BudgetMeter, show: Callable[[str], None]
) -> tuple[Suite, TunedSuite]:
    """The suite of this request: the stored one, or a new one."""
    tools = [tool.model_dump(mode="json") for tool in usable.tools]
    what: list[Any] = [_FORM, tools, plan.authors.by, plan.authors.agreeing, request.prompts]
    name = f"tune-{content_hash('tune', what).removeprefix('tune-')[:12]}"
    before = stored_before(name, app.home.suites)
    if before is not None:
        return before, told(before, app.home.suites, "unchanged", without_prompts(before, usable, {}))
    label = tools_label(request.tools) if isinstance(request.tools, str) else "given tools"
    solicitor = Solicitor(app, plan.asked, meter, show)
    maker = PromptMaker(usable, request.prompts, plan.authors, solicitor)
    suite = await maker.made(name, f"Prompts for {label}"[:200])
    app.on_step("prompts_made")
    store_suites(app.home.suites, [suite])
    app.on_step("suite_stored")
    return suite, told(suite, app.home.suites, "new", without_prompts(suite, usable, maker.drops.by_tool))


@contextmanager
def _searching(app: App, suite: Suite, meter: BudgetMeter, minutes: float) -> Iterator[None]:
    """Let the loop search on this suite, with what is left of the caps."""
    before, limits = app.settings, app.settings.limits
    spent = {"max_trials": meter.trials, "max_minutes": minutes, "max_tokens": meter.tokens, "max_cost": meter.cost}
    left = {name: getattr(limits, name) - used for name, used in spent.items() if getattr(limits, name) is not None}
    if any(amount <= 0 for amount in left.values()):
        name = next(name for name, amount in left.items() if amount <= 0)
        raise BudgetError(f"{name} = {getattr(limits, name):g} was reached once the prompts were made; the same command searches")
    app.settings = before.model_copy(
        update={
            "suites": before.suites.model_copy(update={"atomic": suite.name}),
            "loop": before.loop.model_copy(update={"search": True}),
            "limits": limits.model_copy(update=left),
        }
    )
    try:
        yield
    finally:
        app.settings = before
