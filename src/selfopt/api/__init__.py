"""The verbs of the command line for Python programs: `selfopt.open()` gives them, docs/PYTHON.md shows them.

Every verb blocks until it is done and raises what `selfopt.errors` lists. What is measured runs on a thread of its own, so
that the verbs also work where an event loop is running already (a notebook).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from selfopt import app as verbs
from selfopt.app import App, LoopEvent, Progress
from selfopt.records import AuditRecord, Comparison, Cycle, Feedback, LedgerReport, RoutingConfig, Variant
from selfopt.settings import Settings

from .runner import Runner
from .suites import Suites, Tools, offered_tools

__all__ = ["CompareOptions", "RunOptions", "Selfopt", "open"]

log = logging.getLogger("selfopt")


class RunOptions(TypedDict, total=False):
    """What the flags of `selfopt run` choose; what is left out comes from the rule, else from the settings. Seconds.

    on_progress is told of every trial, from another thread.
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
    """What the flags of `selfopt compare` choose beside models, suites and variants. Seconds."""

    split: Any
    limit: int | None
    timeout_s: float | None
    warm_up: bool | None
    fresh: bool


def open(
    home: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Selfopt:
    """Open a home folder and the settings as the command line would: `--home`, SELFOPT_HOME, .selfopt upwards, the user's.

    settings: a tree like the file's that overrides everything, for example {"limits": {"timeout_s": 5}}. Nothing is written
    before the first measurement. SettingsError or StoreError name what is wrong. What a project's files asked for and did not get is
    logged as a warning.
    """
    app = App.open(home, settings, environ, cwd)
    for line in app.notices():
        log.warning("%s", line)
    return Selfopt(app)


class Selfopt:
    """An open home. Use as a context manager, or call `close`: engine children and connections end there."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._runner = Runner()
        self.routes = Routes(app)
        self.audit = Audit(app)
        self.keys = Keys(app)
        self.trust = Trust(app)
        self.models = Models(app, self._runner)
        self.suites = Suites(app, self._runner)
        self.variants = Variants(app)

    def __enter__(self) -> Selfopt:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started. May be called twice; afterwards the verbs that measure raise SelfoptError."""
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

    def run(self, model: str, phase: str, variant: str | None = None, **options: Unpack[RunOptions]) -> verbs.Measured:
        """Measure one pass under the rules in force. RefusedError when they say no."""
        return self.supervise(model, phase, variant, runs=1, **options)

    def supervise(
        self, model: str, phase: str, variant: str | None = None, *, runs: int = 7, **options: Unpack[RunOptions]
    ) -> verbs.Measured:
        """Measure several passes; what an earlier call began and did not finish is continued."""
        request, progress = self._request(model, phase, variant, runs, options)
        return self._runner.wait(verbs.measure_model(self._app, request, progress))

    def compare(
        self,
        *models: str,
        suites: Sequence[str] = (),
        variants: Sequence[str] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Measure models with variants on the same prompts and put the best agent score first. Rules are not applied."""
        request = verbs.CompareRequest(models=models, suites=tuple(suites), variants=tuple(variants), **options)
        return self._runner.wait(verbs.compare_models(self._app, request, on_progress))

    def validate_warm_up(
        self, model: str, phase: str, variant: str | None = None, *, runs: int = 7, **options: Unpack[RunOptions]
    ) -> verbs.WarmUpShown:
        """Measure what warm-up is worth: cold runs after a forced unload in turn with warm ones."""
        request, progress = self._request(model, phase, variant, runs, options)
        return self._runner.wait(verbs.validate_under_rules(self._app, request, progress))

    def _request(
        self, model: str, phase: str, variant: str | None, runs: int, options: RunOptions
    ) -> tuple[verbs.MeasureRequest, Callable[[Progress], None]]:
        chosen: dict[str, Any] = dict(options)
        progress = chosen.pop("on_progress", lambda event: None)
        name = self._app.resolve_model(model)
        return verbs.MeasureRequest(name, verbs.phase_of(phase), variant, n_runs=runs, **chosen), progress

    def feedback(self, *, write: bool = True) -> Feedback:
        """Findings and recommendations from the newest evaluations; kept, and written to harness_feedback.json."""
        return self._runner.wait(verbs.make_feedback(self._app, write=write))

    def decide(self, model: str, phase: str, candidate: str | None = None, baseline: str | None = None) -> verbs.Decided:
        """Put measured candidates through the gates. candidate, baseline: a variant, or the beginning of an id."""
        name = self._app.resolve_model(model)
        return self._runner.wait(verbs.decide_candidates(self._app, name, verbs.phase_of(phase), candidate, baseline))

    def enforce(self, path: str | Path | None = None, *, dry_run: bool = False, override_manual: bool = False) -> verbs.Enforced:
        """Turn recommendations into rules in force."""
        chosen = Path(path) if path is not None else None
        return verbs.enforce_file(self._app, chosen, dry_run=dry_run, override_manual=override_manual)

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
        """Run whole cycles. baselines: "MODEL PHASE VARIANT" each; none: the ledger's, else the settings'."""

        async def work() -> list[Cycle]:
            targets = [verbs.parse_target(self._app, text) for text in baselines]
            file = Path(candidates) if candidates is not None else None
            return await verbs.run_loop(self._app, targets, cycles, file, on_event, on_progress, max_candidates)

        return self._runner.wait(work())

    def plan(
        self,
        *,
        baselines: Sequence[str] = (),
        candidates: str | Path | None = None,
        max_candidates: int | None = None,
        odds: verbs.RaceOdds | None = None,
    ) -> verbs.CyclePreview:
        """What the next cycle would do (`selfopt loop --dry-run`), and with odds what its races take; writes nothing."""
        targets = [verbs.parse_target(self._app, text) for text in baselines]
        return verbs.preview(self._app, targets, Path(candidates) if candidates is not None else None, max_candidates, odds)

    def report(self) -> list[Path]:
        """Write the reports; their paths."""
        verbs.require_ledger(self._app)
        return verbs.write_artefacts(self._app)

    def show(self, trial: str) -> verbs.ShownTrial:
        """Everything about one trial: by its id, its beginning or its end."""
        return verbs.shown_trial(self._app, trial)

    def try_(
        self, model: str, prompt: str, *, tools: Tools, variant: str = "native_api", timeout_s: float | None = None
    ) -> verbs.Tried:
        """Ask once with tools of your own (a JSON file, or ToolDefinitions); nothing is scored or recorded."""
        return self._runner.wait(verbs.try_model(self._app, model, variant, offered_tools(tools), prompt, timeout_s))

    def rescore(
        self, runs: Sequence[str], *, variant: str | None = None, parsers: Sequence[str] = (), suite: str | None = None
    ) -> verbs.Rescoring:
        """Judge the stored replies of runs again; no request is made."""
        return self._runner.wait(verbs.rescore_runs(self._app, runs, variant, parsers, suite))

    @contextmanager
    def scripted(self, script: str | Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
        """Serve a scripted endpoint while the block lasts; its base URL."""
        with self._runner.serving(
            lambda ready: verbs.serve_script(Path(script), host, port, lambda url, _: ready(url))
        ) as base_url:
            yield base_url

    @contextmanager
    def serve(self, *, host: str | None = None, port: int | None = 0) -> Iterator[str]:
        """Serve live traffic under the rules in force while the block lasts, as an OpenAI-compatible endpoint; its base URL."""
        with self._runner.serving(lambda ready: verbs.serve(self._app, host, port, ready)) as base_url:
            yield base_url

    def simulate(self, *worlds: str, **options: Any) -> dict[str, dict[str, Any]]:
        """Figures of the policy on made-up worlds ("12x4", "200x4", "200x16", "det150x4", "cycles"), by name. options: replications, alpha,
        gains, max_trials, seed, processes, and changes={"prompts": ..., "flaky": ...} to the worlds."""
        return verbs.simulate_worlds(worlds or ("12x4",), **options)

    def doctor(self) -> list[dict[str, Any]]:
        """Checks of this installation with name, status (ok, note, FAIL) and detail."""
        return self._runner.wait(verbs.diagnose_installation(self._app))


class Routes:
    """The rules in force: `selfopt routes`."""

    def __init__(self, app: App) -> None:
        self._app = app

    def show(self) -> RoutingConfig:
        """The rules in force."""
        return self._app.enforcer.load()

    def history(self) -> tuple[Any, ...]:
        """Every version: version, at, cause, reason, changes, in_force, aborted."""
        return self._app.enforcer.history()

    def set(self, model: str, phase: str, *, allow: bool, fallback: str | None = None, reason: str = "") -> RoutingConfig:
        """Set one rule by hand."""
        return verbs.set_route(self._app, model, verbs.phase_of(phase), allow=allow, fallback=fallback, reason=reason)

    def import_file(self, path: str | Path) -> RoutingConfig:
        """Import rules from a JSON file."""
        return verbs.import_routes(self._app, Path(path))

    def rollback(self, version: int) -> RoutingConfig:
        """Put an earlier version in force again, as a new one."""
        self._app.home.ensure()
        return self._app.enforcer.rollback(version)


class Audit:
    """The audit trail: `selfopt audit`."""

    def __init__(self, app: App) -> None:
        self._app = app

    def show(self, last: int | None = None) -> list[AuditRecord]:
        """The newest records, oldest first; None: all."""
        return verbs.audit_records(self._app, last)

    def verify(self) -> Any:
        """The report of checking the trail and the rules: ok, n, head_hash, first_bad_line, torn_tail, reason, problems."""
        return verbs.verify_audit(self._app)

    def verify_home(self, anchors: Sequence[str] = ()) -> verbs.HomeReport:
        """Everything that vouches for the past: ok, and parts with name, problems and notes. anchors: what `anchor` gave earlier."""
        return verbs.verify_home(self._app, anchors)

    def anchor(self) -> str:
        """One line to keep elsewhere, which proves later that the past until now is unchanged."""
        return verbs.audit_anchor(self._app)

    def verify_requests(self) -> Any:
        """The report of checking the live requests that the trail seals: ok, n, segments, problems, unsealed, torn."""
        return verbs.verify_requests(self._app)

    def verify_ledger(self) -> LedgerReport:
        """The report of checking the ledger against what was committed and sealed: ok, commits, records, blobs, unsealed, faults."""
        return verbs.verify_ledger(self._app)

    def trace(self, rule: str) -> verbs.Traced:
        """From a rule (its id, or "MODEL PHASE") down to the replies; `faults` and `missing` say what is not as it was committed."""
        return verbs.trace_rule(self._app, rule)


class Keys:
    """API keys of the gateway: `selfopt keys`."""

    def __init__(self, app: App) -> None:
        self._app = app

    def list(self) -> tuple[Any, ...]:
        """All, the revoked ones too: id, name, models, scopes, created_at, revoked_at; never the keys themselves."""
        return verbs.list_keys(self._app).keys

    def add(self, name: str, *, models: Sequence[str] = (), scopes: Sequence[Any] = ()) -> tuple[str, Any]:
        """(the key, which is kept nowhere; its entry). models: which may be asked, none for all; scopes: of phase, variant, feedback."""
        return verbs.add_key(self._app, name, models=models, scopes=scopes)

    def revoke(self, name: str) -> Any:
        """Make a key invalid for good, by its id or name."""
        return verbs.revoke_key(self._app, name)


class Trust:
    """Project folders whose files count: `selfopt trust`. What changes here counts for a home that is opened afterwards."""

    def __init__(self, app: App) -> None:
        self._app = app

    def propose(self, folder: str | Path | None = None) -> verbs.TrustProposal:
        """What a folder asks for (None: the nearest project upwards), to be looked at; nothing is trusted yet."""
        return verbs.propose_trust(Path(folder) if folder is not None else None, self._app.environ, self._app.cwd)

    def accept(self, proposal: verbs.TrustProposal) -> None:
        """Trust it, exactly as it was proposed."""
        verbs.accept_trust(proposal)

    def list(self) -> Sequence[verbs.TrustRow]:
        """Every trusted folder and home: kind, folder, at, state, files."""
        return verbs.trusted_folders(self._app.environ)

    def withdraw(self, folder: str | Path) -> None:
        """Trust it no more. UsageError where it was not trusted."""
        verbs.withdraw_trust(Path(folder), self._app.cwd)


class Models:
    """Models of the embedded engine, and what servers tell: `selfopt models`."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    def list(self) -> list[dict[str, Any]]:
        """name, size_bytes, sha256, installed, path of each."""
        return verbs.list_models(self._app)

    def pull(self, name: str, show: Callable[[str], None] = lambda text: None) -> Path:
        """Fetch and verify a model; where it is. `show` is told how far it is."""
        return verbs.pull_model(self._app, name, show)[0]

    def ps(self, *names: str) -> Sequence[dict[str, Any]]:
        """Is a model loaded? Nothing is loaded by asking."""
        return self._runner.wait(verbs.model_status(self._app, names))

    def rm(self, name: str) -> bool:
        """Remove a pulled model; False when it was not there."""
        return verbs.remove_model(self._app, name)


class Variants:
    """`selfopt variants`."""

    def __init__(self, app: App) -> None:
        self._app = app

    def list(self) -> dict[str, Variant]:
        """By name: the catalogue and your own file."""
        return dict(self._app.variants)

    def show(self, name: str) -> Variant:
        """One variant."""
        return self._app.variant(name)

    def render(self, name: str, prompt: str, *, tools: Tools) -> Sequence[dict[str, Any]]:
        """What a variant would send; nobody is asked."""
        return verbs.render_variant(self._app, name, offered_tools(tools), prompt)
