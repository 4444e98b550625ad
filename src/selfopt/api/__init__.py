"""The verbs of the command line for Python programs. `selfopt.open()` is their door; docs/PYTHON.md
shows them.

Every verb blocks until it is done, and raises the errors of `selfopt.errors`. Measurements run on a
thread of their own, so the verbs also work where an event loop is running (a notebook).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from selfopt.records import BoundClaim, Comparison, Cycle, Decision, Escalation, Feedback
from selfopt.verbs.comparing import CompareRequest, compare_models
from selfopt.verbs.deciding import Account, Decided, decide_candidates, explained_decision
from selfopt.verbs.diagnosing import make_feedback
from selfopt.verbs.doctor import diagnose_installation
from selfopt.verbs.escalation import EscalationRequest, escalation_of
from selfopt.verbs.foretelling import RaceOdds
from selfopt.verbs.looping import CyclePreview, Listener, LoopEvent, preview, run_loop
from selfopt.verbs.measuring import Measured, MeasureRequest, Progress, measure_model, measure_request, phase_of
from selfopt.verbs.opening import App, Settings
from selfopt.verbs.quickstart import QuickstartResult, run_quickstart
from selfopt.verbs.reporting import write_report
from selfopt.verbs.rescoring import Rescoring, rescore_runs
from selfopt.verbs.routing import Enforced, enforce_file
from selfopt.verbs.scripting import serve_script
from selfopt.verbs.serving import serve
from selfopt.verbs.showing import ShownTrial, shown_trial
from selfopt.verbs.simulating import simulate_escalation, simulate_worlds
from selfopt.verbs.tools import Tools
from selfopt.verbs.trying import Tried, try_model
from selfopt.verbs.tuning import Tuned, TuneListener, TuneRequest, tune_model
from selfopt.verbs.warming import WarmUpShown, validate_under_rules

from .checks import Checks
from .exports import Exports
from .nouns import Audit, Keys, Ledgers, Models, Routes, Trust, Variants
from .runner import Runner
from .suites import Suites

__all__ = ["CompareOptions", "EscalationOptions", "RunOptions", "Selfopt", "TuneOptions", "open"]

log = logging.getLogger("selfopt")


class RunOptions(TypedDict, total=False):
    """The flags of `selfopt run`. The rule, else the settings decide what is left out. Times in
    seconds.

    on_progress is called for every trial, from another thread.
    """

    suite: str | None
    split: Any
    warm_up: bool | None
    timeout_s: float | None
    retries: int | None
    isolate: bool | None
    limit: int | None
    force_model: bool
    resume: bool
    on_progress: Callable[[Progress], None]


class CompareOptions(TypedDict, total=False):
    """The flags of `selfopt compare` besides models, suites and variants. Times in seconds."""

    split: Any
    limit: int | None
    timeout_s: float | None
    warm_up: bool | None
    fresh: bool
    ollama: bool


class EscalationOptions(TypedDict, total=False):
    """The flags of `selfopt escalation`; see `verbs.escalation.EscalationRequest`."""

    fit: tuple[str, ...]
    calibrate: tuple[str, ...]
    verify: tuple[str, ...]
    variant: str | None
    to: str | None
    to_variant: str | None
    second: str | None
    max_bad_share: float | None
    confidence: float | None
    claim: BoundClaim


class TuneOptions(TypedDict, total=False):
    """The flags of `selfopt tune`.

    writer: the model that writes; "none": plain prompts from the tools alone. solvers: at most two
    models that have to agree with what is expected. prompts: how many to aim at. prompts_only: stop
    once the suite is written.
    """

    writer: str | None
    solvers: tuple[str, ...]
    prompts: int
    prompts_only: bool
    tools_timeout_s: float | None
    on_event: Callable[[LoopEvent], None]
    on_progress: Callable[[Progress], None]
    show: Callable[[str], None]


def open(
    home: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Selfopt:
    """Opens a home folder and the settings as the command line does. Writes nothing before the
    first measurement.

    Logs a warning for settings that a project's files ask for and do not get.

    Args:
        home: The home folder. Default: SELFOPT_HOME, the nearest .selfopt upwards, or the user's
            data folder.
        settings: A tree like the file's that overrides all other sources, such as {"limits":
            {"timeout_s": 5}}.
        environ: Variables to read instead of the environment's.
        cwd: Where to look for a project's files instead of the current folder.

    Raises:
        SettingsError: A setting is wrong.
        StoreError: The home cannot be used.
    """
    app = App.open(home, settings, environ, cwd)
    for line in app.notices():
        log.warning("%s", line)
    return Selfopt(app)


class Selfopt(Checks):
    """An open home.

    Use it as a context manager, or call `close`, which ends engine children and connections.
    """

    def __init__(self, app: App) -> None:
        super().__init__(app, Runner())
        parts = (app, self._runner)
        self.routes = Routes(*parts)
        self.audit = Audit(*parts)
        self.keys = Keys(*parts)
        self.trust = Trust(*parts)
        self.ledger = Ledgers(*parts)
        self.models = Models(*parts)
        self.suites = Suites(*parts)
        self.export = Exports(*parts)
        self.variants = Variants(*parts)

    def __enter__(self) -> Selfopt:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends everything that was started.

        Can be called twice. Afterwards the verbs that measure raise SelfoptError.
        """
        self._runner.close(self._app.close)
        self._app.release()

    @property
    def home(self) -> Path:
        """The home folder."""
        return self._app.home.root

    @property
    def settings(self) -> Settings:
        """The settings in use; frozen."""
        return self._app.settings

    def run(self, model: str, phase: str, variant: str | None = None, **options: Unpack[RunOptions]) -> Measured:
        """Measures one pass under the rules in force.

        Raises RefusedError when they refuse the model.
        """
        return self.supervise(model, phase, variant, runs=1, **options)

    def supervise(
        self, model: str, phase: str, variant: str | None = None, *, runs: int = 7, **options: Unpack[RunOptions]
    ) -> Measured:
        """Measures several passes. Continues what an earlier call left unfinished."""
        request, progress = self._request(model, phase, variant, runs, options)
        return self._runner.wait(measure_model(self._app, request, progress))

    def compare(
        self,
        *models: str,
        suites: Sequence[str] = (),
        variants: Sequence[str] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Measures models with variants on the same prompts, without rules.

        The best agent score comes first.
        """
        request = CompareRequest(models=models, suites=tuple(suites), variants=tuple(variants), **options)
        return self._runner.wait(compare_models(self._app, request, on_progress))

    def escalation(self, model: str, phase: str, **options: Unpack[EscalationOptions]) -> Escalation:
        """Says from stored answers whether a model may serve when it is sure. Asks no model, and changes no rule."""
        request = EscalationRequest(model=model, phase=phase_of(phase), **options)
        return self._runner.wait(escalation_of(self._app, request))

    def validate_warm_up(
        self, model: str, phase: str, variant: str | None = None, *, runs: int = 7, **options: Unpack[RunOptions]
    ) -> WarmUpShown:
        """Measures what warm-up is worth.

        Cold runs, each after a forced unload, alternate with warm ones.
        """
        request, progress = self._request(model, phase, variant, runs, options)
        return self._runner.wait(validate_under_rules(self._app, request, progress))

    def _request(
        self, model: str, phase: str, variant: str | None, runs: int, options: RunOptions
    ) -> tuple[MeasureRequest, Callable[[Progress], None]]:
        chosen: dict[str, Any] = dict(options)
        progress = chosen.pop("on_progress", lambda event: None)
        return measure_request(self._app, model, phase, variant, n_runs=runs, **chosen), progress

    def feedback(self, *, write: bool = True) -> Feedback:
        """Derives findings and recommendations from the newest evaluations.

        write: Keep them in the ledger, and write harness_feedback.json.
        """
        return self._runner.wait(make_feedback(self._app, write=write))

    def decide(self, model: str, phase: str, candidate: str | None = None, baseline: str | None = None) -> Decided:
        """Puts measured candidates through the gates.

        candidate, baseline: a variant, or the beginning of an id.
        """
        return self._runner.wait(decide_candidates(self._app, model, phase, candidate, baseline))

    def explain(self, decision: str) -> tuple[Decision, Account, tuple[str, ...]]:
        """Explains a kept decision.

        Args:
            decision: Its id, or the beginning or end of it.

        Returns:
            The decision, its account, and what each gate saw.
        """
        return explained_decision(self._app, decision)

    def enforce(self, path: str | Path | None = None, *, dry_run: bool = False, override_manual: bool = False) -> Enforced:
        """Turns recommendations into rules in force.

        path: the feedback file. Default: the home's.
        """
        chosen = Path(path) if path is not None else None
        return enforce_file(self._app, chosen, dry_run=dry_run, override_manual=override_manual)

    def loop(
        self,
        cycles: int = 1,
        *,
        baselines: Sequence[str] = (),
        candidates: str | Path | None = None,
        max_candidates: int | None = None,
        on_event: Callable[[LoopEvent], None] = lambda event: None,
        on_progress: Callable[[Progress], None] = lambda event: None,
    ) -> list[Cycle]:
        """Runs whole cycles.

        baselines: "MODEL PHASE VARIANT" each. Default: the ledger's, else the settings'.
        """
        file = Path(candidates) if candidates is not None else None
        return self._runner.wait(run_loop(self._app, baselines, cycles, file, Listener(on_event), on_progress, max_candidates))

    def plan(
        self,
        *,
        baselines: Sequence[str] = (),
        candidates: str | Path | None = None,
        max_candidates: int | None = None,
        odds: RaceOdds | None = None,
    ) -> CyclePreview:
        """Says what the next cycle would do (`selfopt loop --dry-run`).

        With odds, also what its races take. Writes nothing.
        """
        return preview(self._app, baselines, Path(candidates) if candidates is not None else None, max_candidates, odds)

    def tune(self, model: str, tools: Tools, **options: Unpack[TuneOptions]) -> Tuned:
        """Makes prompts for your own tools, searches with them and writes the rule (`selfopt tune`).

        tools: a file, `mcp:` and a server, or definitions.
        """
        chosen: dict[str, Any] = dict(options)
        heard = {name: chosen.pop(name) for name in ("on_event", "on_progress", "show") if name in chosen}
        listener = TuneListener(
            show=heard.get("show", lambda text: None),
            loop=Listener(heard.get("on_event", lambda event: None)),
            progress=heard.get("on_progress", lambda event: None),
        )
        return self._runner.wait(tune_model(self._app, TuneRequest(model, tools, **chosen), listener))

    def report(self) -> list[Path]:
        """Writes the reports. Returns their paths."""
        return list(write_report(self._app).written)

    def show(self, trial: str) -> ShownTrial:
        """Shows everything about one trial. trial: its id, or the beginning or end of it."""
        return shown_trial(self._app, trial)

    def try_(
        self, model: str, prompt: str, *, tools: Tools, variant: str = "native_api", timeout_s: float | None = None
    ) -> Tried:
        """Asks a model once with your own tools (a JSON file, or ToolDefinitions).

        Scores and records nothing.
        """
        return self._runner.wait(try_model(self._app, model, variant, tools, prompt, timeout_s))

    def rescore(
        self, runs: Sequence[str], *, variant: str | None = None, parsers: Sequence[str] = (), suite: str | None = None
    ) -> Rescoring:
        """Judges the stored replies of runs again, without any request."""
        return self._runner.wait(rescore_runs(self._app, runs, variant, parsers, suite))

    def quickstart(
        self,
        *,
        on_event: Callable[[LoopEvent], None] = lambda event: None,
        on_progress: Callable[[Progress], None] = lambda event: None,
        show: Callable[[str], None] = lambda text: None,
    ) -> QuickstartResult:
        """Fetches two real models and runs the whole loop on them, in this home.

        After an interruption the same call continues.
        """
        return self._runner.wait(run_quickstart(self._app, on_event, on_progress, show))

    @contextmanager
    def scripted(self, script: str | Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
        """Serves a scripted endpoint while the block lasts. Yields its base URL."""
        with self._runner.serving(lambda ready: serve_script(Path(script), host, port, lambda url, _: ready(url))) as base_url:
            yield base_url

    @contextmanager
    def serve(self, *, host: str | None = None, port: int | None = 0) -> Iterator[str]:
        """Serves live traffic under the rules in force while the block lasts.

        Yields the OpenAI-compatible base URL.
        """
        with self._runner.serving(lambda ready: serve(self._app, host, port, ready)) as base_url:
            yield base_url

    def simulate(self, *worlds: str, **options: Any) -> dict[str, dict[str, Any]]:
        """Tries the policy on made-up worlds.

        Args:
            worlds: Of "12x4", "200x4", "200x16", "det150x4" and "cycles".
            options: replications, alpha, gains, max_trials, seed, processes, and
                changes={"prompts": ..., "flaky": ...} to the worlds.

        Returns:
            The figures of each world, by its name.
        """
        return simulate_worlds(worlds or ("12x4",), **options)

    def simulate_escalation(self, **options: Any) -> dict[str, Any]:
        """Tries thresholds of confidence on made-up worlds.

        Args:
            options: replications, seed, processes.

        Returns:
            The figures of each claim and world, and of the shifted world.
        """
        return simulate_escalation(**options)

    def doctor(self) -> list[dict[str, Any]]:
        """Checks this installation. Each check has name, status (ok, note, FAIL) and detail."""
        return self._runner.wait(diagnose_installation(self._app))
