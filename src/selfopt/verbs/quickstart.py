"""`quickstart`: runs the whole loop on two real models with the functions of the other commands.

A small file in the home says which steps are finished. The ledger continues an unfinished step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfopt.errors import RefusedError, StoreError, UsageError
from selfopt.home import NOT_MADE_HERE, Home, counted, counts_as_home, find_home
from selfopt.home.extras import install_command
from selfopt.loop import Listener, LoopEvent, Target
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import AuditRecord, Cycle, Evaluation, Phase, RouteDecision, Run, Trial
from selfopt.wiring.app import App
from selfopt.words.first_run import kept_away_text

from .first_plan import LIMIT_S, Plan, Step, at_pace, choose, seconds
from .first_plan import STEPS as SIZED
from .first_sizing import change_told, measure_paces, plan_told, sized, use_plan, whole_plan
from .first_state import State, load_state
from .looping import run_loop
from .measuring import MeasureRequest, measure_model
from .models import fetch_model
from .reporting import write_artefacts
from .routing import audit_records
from .warming import validate_model_warm_up

MODELS = ("local/smollm2-135m", "local/qwen2.5-coder-0.5b")
EXTENDED_CANDIDATES = 0
EXTENDED_VARIANT = "extended"
VALIDATION_RUNS = 4
VALIDATION_PROMPTS = 1
STEPS = (*SIZED, "shown")

Say = Callable[[LoopEvent], None]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model on one phase, before and after. trials: how many the quickstart took for it."""

    model: str
    phase: Phase
    before: Evaluation | None
    after: Evaluation | None
    trials: int
    look_next: str


@dataclass(frozen=True, slots=True)
class ServedLine:
    """What the rules did with one request: its route and audit record, or why it was refused."""

    title: str
    route: RouteDecision | None
    refused: str | None
    audit: AuditRecord | None


@dataclass(frozen=True, slots=True)
class QuickstartResult:
    """The result of a quickstart."""

    rows: tuple[ModelRow, ...]
    cycles: tuple[Cycle, ...]
    served: tuple[ServedLine, ...]
    reports: tuple[Path, ...]
    seconds: float
    trials: int
    home: Path


def quickstart_home(explicit: str | Path | None, environ: dict[str, str], cwd: Path) -> Home:
    """Choose the quickstart's home: by flag or environment, else `.selfopt` in the working folder.

    So its measurements stay out of the user's own home, and later commands in the folder find them.

    Raises:
        StoreError: somebody else made the folder's `.selfopt`.
    """
    if explicit is not None or environ.get("SELFOPT_HOME"):
        return find_home(Path(explicit).expanduser() if explicit else None, environ, cwd)
    own = cwd / ".selfopt"
    if own.exists() and not counts_as_home(own):
        raise StoreError(
            f"{own} {NOT_MADE_HERE}; move it aside, name another home with --home, or, if the folder is yours: selfopt trust {cwd}"
        )
    return Home(own)


def require_engine() -> None:
    """Refuse to begin where the engine is not installed. Raises UsageError."""
    if find_spec("xllamacpp") is None:
        raise UsageError(
            f"the quickstart runs two models in the embedded engine, which is not installed; run: {install_command('engine')}; "
            "a model of Ollama or of an API is measured without it: selfopt supervise MODEL atomic"
        )


def plan_lines(app: App) -> list[str]:
    """Say what the quickstart will do and how long it will take at most.

    Raises UsageError without the engine.
    """
    require_engine()
    whole = whole_plan(app, MODELS)
    missing = [m for m in MODELS if app.store.path_of(m) is None]
    size = sum(app.catalogue[m].size_bytes for m in missing) / 1e6
    return [
        f"home {app.home.root}",
        f"models {', '.join(MODELS)}" + (f" ({size:.0f} MB to download)" if missing else " (already here)"),
        f"1 cycle 1: {counted(whole.prompts, 'single request')} each, native_api and at most {counted(whole.candidates, 'candidate')}; "
        "diagnose, decide, enforce",
        "2 cycle 2: from the promoted baselines, under the rules in force; did each remedy help?",
        f"3 extended: {whole.conversations} conversations each; who may serve them, who falls back, what is refused",
        "4 warm-up: forced unload against warm, interleaved",
        "5 the rules at work on two requests; reports; one table",
        f"at most about {LIMIT_S / 60:.0f} minutes after the download: a slow or busy machine measures less, and says what it leaves out",
        "Ctrl-C at any time, the same command continues",
    ]


async def run_quickstart(
    app: App, say: Say, progress: Callable[[Progress], None] = ignore_progress, show: Callable[[str], None] = print
) -> QuickstartResult:
    """Run or continue the quickstart. A finished one starts again and measures everything anew.

    Raises UsageError without the engine.
    """
    require_engine()
    for model in MODELS:
        await fetch_model(app, model, show)
    app.home.ensure()
    state = load_state(app.home, STEPS[-1])
    state.save()
    if state.again:
        say(
            LoopEvent(
                "note",
                "an earlier quickstart finished in this home, so this one starts again from native_api and measures "
                "everything anew; it tries other candidates first",
            )
        )
    if state.done:
        say(LoopEvent("resume", f"continuing an interrupted quickstart; already finished: {', '.join(state.done)}"))
    with sized(app):
        return await _Quickstart(app, state, say, progress).run()


@dataclass(frozen=True, slots=True)
class _Quickstart:
    """One call of the quickstart."""

    app: App
    state: State
    say: Say
    progress: Callable[[Progress], None]

    async def run(self) -> QuickstartResult:
        """Do what is left to do."""
        app, state = self.app, self.state
        with self._timed():
            await self._plan()
        whole, plan = whole_plan(app, MODELS), self._planned
        models = MODELS[: plan.models]
        await self._cycles("cycle_1", whole, [(m, "atomic", "native_api") for m in models], plan.candidates)
        await self._cycles("cycle_2", whole, [(m, "atomic", None) for m in models], 0)
        await self._cycles("extended", whole, [(m, "extended", EXTENDED_VARIANT) for m in models], EXTENDED_CANDIDATES)
        await self._warm_up(whole)
        with self._timed():
            phase: Phase = "extended" if self._planned.conversations else "atomic"
            served = [await _served(app, phase, force=force, progress=self.progress) for force in (False, True)]
            reports = write_artefacts(app)
        cycles = _cycles(app, state)
        state.finish("shown", state.session)
        return QuickstartResult(
            rows=tuple(_rows(app, models, cycles)),
            cycles=tuple(cycles.values()),
            served=tuple(served),
            reports=tuple(reports),
            seconds=state.spent_s,
            trials=sum(c.trials for c in cycles.values()),
            home=app.home.root,
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count what the block takes, also where it is interrupted."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.state.spent_s += time.monotonic() - began
            self.state.save()

    @property
    def _planned(self) -> Plan:
        return self.state.plan or whole_plan(self.app, MODELS)

    async def _plan(self) -> None:
        """Size a new quickstart to the machine."""
        state, whole = self.state, whole_plan(self.app, MODELS)
        if state.plan is None and not state.done:
            self.say(LoopEvent("note", "asking each model once, to see how fast this machine is"))
            state.paces = await measure_paces(self.app, MODELS)
            state.plan = choose(state.paces, state.spent_s, whole)
        for line in plan_told(self._planned, whole, MODELS, state.paces):
            self.say(LoopEvent("note", line))

    def _adapt(self, step: Step, whole: Plan) -> None:
        """Before a step: fit what is left to the time that the steps before it really took."""
        state, before, index = self.state, self._planned, SIZED.index(step)
        if state.begun != step and state.paces and state.plan is not None and index:
            planned_s = seconds(before, state.paces, SIZED[:index])
            paces = at_pace(state.paces, state.spent_s / planned_s)
            state.plan = choose(paces, state.spent_s, whole, before, SIZED[index:])
            if state.plan != before:
                self.say(LoopEvent("note", change_told(state.plan, before, MODELS, state.spent_s, planned_s)))
        state.begun = step
        state.save()
        use_plan(self.app, self._planned, whole)

    async def _cycles(self, name: Step, whole: Plan, asked: Sequence[tuple[str, Phase, str | None]], candidates: int) -> None:
        state = self.state
        if name in state.done:
            return
        with self._timed():
            self._adapt(name, whole)
            if name == "extended" and not self._planned.conversations:
                state.finish(name, "")
                return
            targets = [
                Target(m, phase, self.app.standing_spec(m, phase, variant) if variant else None) for m, phase, variant in asked
            ]
            # With the key, a kill between the last cycle and the writing of the file repeats nothing.
            key = f"{state.session}/{name}"
            listener = Listener(self.say)
            finished = await run_loop(
                self.app, targets, listener=listener, progress=self.progress, max_candidates=candidates, key=key
            )
            state.finish(name, finished[-1].cycle_id)

    async def _warm_up(self, whole: Plan) -> None:
        state, enabled = self.state, self.app.settings.warm_up.enabled
        if "warm_up" in state.done:
            return
        with self._timed():
            self._adapt("warm_up", whole)
            shown = MODELS[: self._planned.warm_ups]
            what = (
                "forced unload against warm, interleaved"
                if shown
                else "left out"
                if enabled
                else "switched off, so it is not measured"
            )
            self.say(LoopEvent("note", f"warm-up: {what}"))
            for model in shown:
                await validate_model_warm_up(
                    self.app,
                    model,
                    "atomic",
                    runs=VALIDATION_RUNS,
                    limit=VALIDATION_PROMPTS,
                    group=f"{state.session}/{model}",
                    progress=self.progress,
                )
            state.finish("warm_up", state.session)


def _cycles(app: App, state: State) -> dict[str, Cycle]:
    """The finished cycles by step."""
    steps = ("cycle_1", "cycle_2", "extended")
    return {step: cycle for step in steps for cycle in app.ledger.read(Cycle, {"id": state.done[step]}, limit=1)}


async def _served(app: App, phase: Phase, *, force: bool, progress: Callable[[Progress], None]) -> ServedLine:
    """Send one request to the weakest model, as `selfopt run` does."""
    model = MODELS[0]
    command = f"selfopt run {model} {phase} --limit 1" + (" --force-model" if force else "")
    request = MeasureRequest(model=model, phase=phase, limit=1, force_model=force, resume=False)
    try:
        measured = await measure_model(app, request, progress)
    except RefusedError as error:
        return ServedLine(command, None, str(error), audit_records(app, 1)[-1])
    newest = audit_records(app, 1)
    return ServedLine(command, measured.route, None, newest[-1] if measured.audit_hash and newest else None)


def _rows(app: App, models: Sequence[str], cycles: Mapping[str, Cycle]) -> list[ModelRow]:
    talks = cycles.get("extended")
    return [
        *(_row(app, model, "atomic", [cycles["cycle_1"], cycles["cycle_2"]]) for model in models),
        *(_row(app, model, "extended", [talks]) for model in models if talks is not None),
    ]


def _row(app: App, model: str, phase: Phase, cycles: Sequence[Cycle]) -> ModelRow:
    runs = {
        run.run_id
        for cycle in cycles
        for run in app.ledger.read(Run, {"cycle_id": cycle.cycle_id})
        if (run.model, run.phase) == (model, phase)
    }
    return ModelRow(
        model,
        phase,
        before=_evaluation(app, cycles[0], model, phase),
        after=_evaluation(app, cycles[-1], model, phase),
        trials=sum(1 for run_id in runs for _ in app.ledger.read(Trial, {"run_id": run_id})),
        look_next=_look_next(app, model, phase, cycles[-1]),
    )


def _evaluation(app: App, cycle: Cycle, model: str, phase: Phase) -> Evaluation | None:
    target = next((t for t in cycle.targets if (t.model, t.phase) == (model, phase)), None)
    if target is None or target.baseline_evaluation_id is None:
        return None
    return next(app.ledger.read(Evaluation, {"id": target.baseline_evaluation_id}, limit=1), None)


def _look_next(app: App, model: str, phase: Phase, last: Cycle) -> str:
    """Say in one sentence what to do next."""
    rule = app.enforcer.load().rule_for(model, phase, app.settings.one_name)
    if rule is not None and not rule.allow:
        return kept_away_text(rule.fallback)
    evaluation = _evaluation(app, last, model, phase)
    if evaluation is None:
        return f"measure it: selfopt supervise {model} {phase}"
    failing = [row.prompt_id for row in evaluation.rows if "F" in row.letters]
    if not failing:
        return "nothing fails here; a larger suite would tell more"
    return f"{', '.join(failing[:5])} still fail; see why with selfopt show, or try more candidates: selfopt loop --cycles 1"


def as_document(result: QuickstartResult) -> dict[str, Any]:
    """Return the result as `--json` prints it."""
    return {
        "home": str(result.home),
        "seconds": round(result.seconds, 1),
        "trials": result.trials,
        "rows": [
            {
                "model": r.model,
                "phase": r.phase,
                "trials": r.trials,
                "look_next": r.look_next,
                "before": r.before,
                "after": r.after,
            }
            for r in result.rows
        ],
        "cycles": result.cycles,
        "served": [{"command": s.title, "route": s.route, "refused": s.refused, "audit": s.audit} for s in result.served],
        "reports": [str(p) for p in result.reports],
    }
