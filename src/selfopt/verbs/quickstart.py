"""`quickstart`: runs the whole loop on two real models with the functions of the other commands.

A small file in the home says which steps are finished. The ledger continues an unfinished step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from selfopt.errors import CorruptError, RefusedError, StoreError, UsageError
from selfopt.home import NOT_MADE_HERE, Home, atomic_write_text, counts_as_home, find_home, read_json_file
from selfopt.loop import Listener, LoopEvent, Target
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import AuditRecord, Cycle, Evaluation, Phase, RouteDecision, Run, Trial, new_id
from selfopt.wiring.app import App

from .looping import parse_target, run_loop
from .measuring import MeasureRequest, measure_model
from .models import fetch_model
from .reporting import write_artefacts
from .routing import audit_records
from .warming import validate_model_warm_up

MODELS = ("local/smollm2-135m", "local/qwen2.5-coder-0.5b")
FILE_NAME = "quickstart.json"
ESTIMATE_MINUTES = (5, 9)
CANDIDATES = 2
EXTENDED_CANDIDATES = 0
EXTENDED_VARIANT = "extended"
VALIDATION_RUNS = 4
VALIDATION_PROMPTS = 1
STEPS = ("cycle_1", "cycle_2", "extended", "warm_up", "shown")

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


@dataclass(slots=True)
class _State:
    """The finished steps, each with the id of what it made."""

    path: Path
    session: str = field(default_factory=lambda: new_id("quickstart"))
    done: dict[str, str] = field(default_factory=dict)
    again: bool = False  # an earlier quickstart finished in this home

    def finish(self, step: str, value: str) -> None:
        """Record that a step is finished."""
        self.done[step] = value
        self.save()

    def save(self) -> None:
        """Write the file. The first step needs it too, because steps use the session's id."""
        atomic_write_text(
            self.path, json.dumps({"schema_version": 1, "session": self.session, "done": self.done}, indent=2) + "\n"
        )


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
            "the quickstart runs two models in the embedded engine, which is not installed; run: pip install 'selfopt[engine]'; "
            "a model of Ollama or of an API is measured without it: selfopt supervise MODEL atomic"
        )


def plan_lines(app: App) -> list[str]:
    """Say what the quickstart will do and how long it will take.

    Raises UsageError without the engine.
    """
    require_engine()
    suites = {phase: len(app.suite(app.settings.suite_of(phase)).prompts) for phase in get_args(Phase)}
    missing = [m for m in MODELS if app.store.path_of(m) is None]
    size = sum(app.catalogue[m].size_bytes for m in missing) / 1e6
    return [
        f"home {app.home.root}",
        f"models {', '.join(MODELS)}" + (f" ({size:.0f} MB to download)" if missing else " (already here)"),
        f"1 cycle 1: {suites['atomic']} single requests each, native_api and at most {CANDIDATES} candidates; diagnose, decide, enforce",
        "2 cycle 2: from the promoted baselines, under the rules in force; did each remedy help?",
        f"3 extended: {suites['extended']} conversations each; who may serve them, who falls back, what is refused",
        "4 warm-up: forced unload against warm, interleaved",
        "5 the rules at work on two requests; reports; one table",
        f"estimate {ESTIMATE_MINUTES[0]} to {ESTIMATE_MINUTES[1]} minutes on two cores; Ctrl-C at any time, the same command continues",
    ]


def _load_state(home: Home) -> _State:
    path = home.root / FILE_NAME
    try:
        body = read_json_file(path, what="quickstart state", schema_version=1)
    except FileNotFoundError:
        return _State(path)
    done, session = body.get("done"), body.get("session")
    if not isinstance(done, dict) or not isinstance(session, str):
        raise CorruptError(f"{path}: no quickstart state; move the file away to start a new quickstart")
    if all(step in done for step in STEPS):
        return _State(path, again=True)
    return _State(path, session, {str(k): str(v) for k, v in done.items()})


async def run_quickstart(
    app: App, say: Say, progress: Callable[[Progress], None] = ignore_progress, show: Callable[[str], None] = print
) -> QuickstartResult:
    """Run or continue the quickstart. A finished one starts again and measures everything anew.

    Raises UsageError without the engine.
    """
    require_engine()
    began = time.monotonic()
    for model in MODELS:
        await fetch_model(app, model, show)
    app.home.ensure()
    state = _load_state(app.home)
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
    await _step(app, state, "cycle_1", [parse_target(app, f"{m} atomic native_api") for m in MODELS], CANDIDATES, say, progress)
    await _step(app, state, "cycle_2", [Target(m, "atomic") for m in MODELS], 0, say, progress)
    extended = [parse_target(app, f"{m} extended {EXTENDED_VARIANT}") for m in MODELS]
    await _step(app, state, "extended", extended, EXTENDED_CANDIDATES, say, progress)
    if "warm_up" not in state.done:
        enabled = app.settings.warm_up.enabled
        what = "forced unload against warm, interleaved" if enabled else "switched off, so it is not measured"
        say(LoopEvent("note", f"warm-up: {what}"))
        for model in MODELS if enabled else ():
            await validate_model_warm_up(
                app,
                model,
                "atomic",
                runs=VALIDATION_RUNS,
                limit=VALIDATION_PROMPTS,
                group=f"{state.session}/{model}",
                progress=progress,
            )
        state.finish("warm_up", state.session)
    served = [await _served(app, force=force, progress=progress) for force in (False, True)]
    reports = write_artefacts(app)
    cycles = _cycles(app, state)
    state.finish("shown", state.session)
    return QuickstartResult(
        rows=tuple(_rows(app, cycles)),
        cycles=tuple(cycles),
        served=tuple(served),
        reports=tuple(reports),
        seconds=time.monotonic() - began,
        trials=sum(c.trials for c in cycles),
        home=app.home.root,
    )


async def _step(
    app: App, state: _State, name: str, targets: Sequence[Target], candidates: int, say: Say, progress: Callable[[Progress], None]
) -> None:
    if name in state.done:
        return
    # With the key, a kill between the last cycle and the writing of the file repeats nothing.
    key = f"{state.session}/{name}"
    finished = await run_loop(app, targets, listener=Listener(say), progress=progress, max_candidates=candidates, key=key)
    state.finish(name, finished[-1].cycle_id)


def _cycles(app: App, state: _State) -> list[Cycle]:
    steps = ("cycle_1", "cycle_2", "extended")
    return [cycle for step in steps for cycle in app.ledger.read(Cycle, {"id": state.done[step]}, limit=1)]


async def _served(app: App, *, force: bool, progress: Callable[[Progress], None]) -> ServedLine:
    """Send one request to the weakest model on extended, as `selfopt run` does."""
    model = MODELS[0]
    command = f"selfopt run {model} extended --limit 1" + (" --force-model" if force else "")
    request = MeasureRequest(model=model, phase="extended", limit=1, force_model=force, resume=False)
    try:
        measured = await measure_model(app, request, progress)
    except RefusedError as error:
        return ServedLine(command, None, str(error), audit_records(app, 1)[-1])
    newest = audit_records(app, 1)
    return ServedLine(command, measured.route, None, newest[-1] if measured.audit_hash and newest else None)


def _rows(app: App, cycles: Sequence[Cycle]) -> list[ModelRow]:
    *atomic, extended = cycles
    return [
        *(_row(app, model, "atomic", atomic) for model in MODELS),
        *(_row(app, model, "extended", [extended]) for model in MODELS),
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
        refused = "refused; measure a stronger model on it and it becomes the fallback"
        return f"must not serve {phase}: {f'served by {rule.fallback}' if rule.fallback else refused}"
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
