"""The composition root: builds endpoints, engine, ledger, home and specs from the settings."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.store import ModelStore
from selfopt.errors import UnknownModelError
from selfopt.home import NOT_MADE_HERE, Home, KeyFile, escape_control, look_for_home
from selfopt.reading import needs_logprobs
from selfopt.records import Environment, Ledger, Phase, Spec, Suite, Variant, utc_now
from selfopt.routing import Enforcer, RouteOptions, check_escalations
from selfopt.settings import Project, Settings, read_settings
from selfopt.variants import get_variant, load_variants, options_of, rests_on_logprobs
from selfopt.variants.options import embedded_by

from .executing import Executors
from .names import as_known
from .ready import require_all
from .sending import Sender
from .specs import spec_of

if TYPE_CHECKING:
    from selfopt.engine.embedded import EmbeddedEngine
    from selfopt.ledger import LedgerSeals
    from selfopt.measure.budget import Budget
    from selfopt.measure.context import MeasureContext
    from selfopt.measure.progress import Progress

    from .handed_rules import HandedOut
    from .ledgers import KeptLedger


logger = logging.getLogger("selfopt.wiring")


class App:
    """Builds everything a command needs, each part at its first use, and closes all of it.

    Parts that only some commands need are imported at their first use, because a gateway has to be
    ready within a second. Leaving the async context ends engine children, connections, the ledger.
    """

    def __init__(self, settings: Settings, home: Home, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.settings = settings
        self.home = home
        self.cwd = Path.cwd() if cwd is None else cwd
        self.environ = os.environ if environ is None else environ
        self.project: Project | None = None
        self.own_limits = settings.limits  # those of the user and of trusted projects
        self.passed_over: tuple[Path, ...] = ()
        self.sender = Sender(settings, self.environ, lambda: self.engine, self._read)
        self.executors = Executors(settings, self.environ)
        self._suites: dict[str, Suite] = {}
        self._engine: EmbeddedEngine | None = None
        self._ledger: KeptLedger | None = None
        self._seals: LedgerSeals | None = None
        self._since = utc_now()
        self.on_step: Callable[[str], None] = lambda step: None

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        *,
        forgiving: bool = False,
    ) -> App:
        """Read the settings and find the home. Creates nothing.

        Args:
            forgiving: leave out a project whose files are refused; `project` then says why.

        Raises:
            SettingsError, StoreError: the settings or the home cannot be used.
        """
        environ = os.environ if environ is None else environ
        cwd = Path.cwd() if cwd is None else cwd
        loaded = read_settings(environ, cwd, flags, forgiving=forgiving)
        explicit = home if home is not None else (loaded.own.home if "SELFOPT_HOME" not in environ else None)
        found = look_for_home(Path(explicit).expanduser() if explicit else None, environ, cwd)
        app = cls(loaded.settings, found.home, environ, cwd)
        app.project, app.passed_over = loaded.project, found.passed_over
        if loaded.project is not None and loaded.project.state != "trusted":
            app.own_limits = loaded.own.limits
        return app

    def notices(self) -> list[str]:
        """List ignored settings of the project's files and passed-over homes, a line each."""
        passed_over = [
            f"passed over: {escape_control(str(folder))} {NOT_MADE_HERE}; the home is "
            f"{escape_control(str(self.home.root))}; if the folder is yours: selfopt trust {escape_control(str(folder.parent))}"
            for folder in self.passed_over
        ]
        return [line for line in (self.project.notice() if self.project is not None else None, *passed_over) if line]

    def _read(self, path: Path) -> None:
        """Check a file that settings name, right after it was read, against the project's trust."""
        if self.project is not None:
            self.project.check(path)

    async def __aenter__(self) -> App:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything that was started. A second call does nothing."""
        await self.executors.close()
        await self.sender.close()
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close()
        self.release()

    def release(self) -> None:
        """Seal and close the ledger, and tell a collector of what is new in it. Suffices when no model was asked. May be called twice."""
        if self.settings.ledger is not None and self.handed is not None:
            self.handed.close()
        if self._ledger is not None:
            ledger, self._ledger = self._ledger, None
            if self.settings.otel.enabled:
                from .otel_evaluations import tell_evaluations

                tell_evaluations(self.settings.otel, ledger, self._since, self.environ)
            if self._seals is not None:
                self._seals.close(ledger)
            ledger.close()

    def _step(self, step: str) -> None:
        self.on_step(step)

    @property
    def ledger(self) -> Ledger:
        """The home's ledger. The first use opens it and creates the home, or only reads one that cannot be written."""
        return self.kept_ledger

    @property
    def kept_ledger(self) -> KeptLedger:
        """The same, as what keeps it."""
        if self._ledger is None:
            from selfopt.ledger import LedgerSeals

            from .ledgers import open_home_ledger

            seals = LedgerSeals(self.enforcer.trail)
            self._ledger = open_home_ledger(self, seals)
            self._seals = None if self._ledger.read_only else seals
            if self._ledger.upgraded:
                seals.try_seal(self._ledger, "upgraded")
        return self._ledger

    def seal(self) -> None:
        """Seal the open ledger before a change of the rules. AuditError when the trail cannot be written."""
        if self._seals is not None and self._ledger is not None:
            self._seals.seal(self._ledger, "before a change of the rules")

    @property
    def has_ledger(self) -> bool:
        """Whether anything was ever measured in this home, or a database holds its ledger."""
        return self.settings.ledger is not None or self.home.ledger.exists()

    def environments(self) -> dict[str, Environment]:
        """All observed environments by id. Empty when nothing was measured."""
        return {e.environment_id: e for e in self.ledger.read(Environment)} if self.has_ledger else {}

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """The built-in variants and the user's own, by name."""
        own = Path(self.settings.variants) if self.settings.variants else None
        found = load_variants(own)
        if own is not None:
            self._read(own)
        return found

    def variant(self, name: str) -> Variant:
        """Return a variant by name, or that of a point of the space, such as `tools=signatures backing=strict`.

        VariantError lists what there is.
        """
        if "=" in name or name == "native":
            from selfopt.variants.space import composed, point_from

            return composed(point_from(name))
        _ = self.variants  # reads them once, and checks the file against the project's trust
        return get_variant(name, Path(self.settings.variants) if self.settings.variants else None)

    def fitting(self, variant: Variant, endpoint: str) -> Variant:
        """Adapt a variant to an endpoint, and to the embedding model of the settings.

        An endpoint that takes no grammars gets the JSON Schema of the same tool calls instead.
        That is another variant content, so specs tell the two apart.
        """
        if options_of(variant).embeds:
            variant = embedded_by(variant, self.settings.embedding)
        if variant.needs_grammar and not self.settings.endpoints[endpoint].takes_grammars:
            return variant.model_copy(update={"constraint": "json_schema"})
        return variant

    def variants_for(self, endpoint: str, *, proposed: bool = False) -> dict[str, Variant]:
        """Adapt all variants to an endpoint that can be asked with them.

        proposed: omit those whose schema it may refuse.
        """
        entry = self.settings.endpoints[endpoint]
        fitted = {
            name: self.fitting(variant, endpoint)
            for name, variant in self.variants.items()
            if (entry.may_give_logprobs or not rests_on_logprobs(variant))
            and (self.settings.models.embedding is not None or not options_of(variant).embeds)
        }
        sure = not proposed or entry.takes_any_schema
        return {name: v for name, v in fitted.items() if sure or v.constraint != "json_schema"}

    def suite(self, name: str) -> Suite:
        """Return a suite by name (built in, or in the home) or by path. Each is read once."""
        if name not in self._suites:
            from selfopt.suites import load_suite

            found = load_suite(name, self.home.suites)
            self._read(Path(name))
            self._suites[name] = found
        return self._suites[name]

    @cached_property
    def store(self) -> ModelStore:
        """The store of model weights, shared by all homes."""
        return ModelStore.default(self.environ)

    @property
    def engine(self) -> EmbeddedEngine:
        """The embedded engine. Its children start at the first request."""
        if self._engine is None:
            from selfopt.engine.embedded import EmbeddedEngine, EngineOptions

            self._engine = EmbeddedEngine(
                self.store,
                self.catalogue,
                EngineOptions(**{**self.settings.engine.model_dump(), "slots": self.settings.engine_slots}),
            )
        return self._engine

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        """The models of the embedded engine, by name."""
        extra = self.settings.models.catalogue
        return dict(load_catalogue(Path(extra).expanduser() if extra else None))

    @cached_property
    def enforcer(self) -> Enforcer:
        """Reads and writes the rules in force."""
        from .ledgers import after_rules, before_rules

        if self.handed is not None:
            self.handed.refresh()
        return Enforcer(
            self.home,
            on_step=self._step,
            before_change=lambda: before_rules(self),
            after_change=lambda config: after_rules(self, config),
            one_name=self.settings.one_name,
            check=lambda rules: check_escalations(rules, self.route_options()),
        )

    @cached_property
    def handed(self) -> HandedOut | None:
        """The rules that the settings' database hands out; None without a database."""
        if self.settings.ledger is None:
            return None
        from .handed_rules import HandedOut

        return HandedOut(
            self.settings.ledger,
            self.home,
            Enforcer(self.home, one_name=self.settings.one_name),
            patience_s=self.settings.ledger_patience_s,
        )

    @property
    def keys(self) -> KeyFile:
        """The gateway's API keys, which the audit trail seals."""
        return KeyFile(self.home.keys, self.enforcer.trail)

    def resolve_model(self, name: str) -> str:
        """Return a model's full name as this home spells it. Raises as `full_name`."""
        return as_known(self, self.full_name(name))

    def full_name(self, name: str) -> str:
        """Return a model's full name. UnknownModelError when no endpoint or catalogue has it."""
        model = self.settings.resolve_model(name)
        provider, entry = self.settings.endpoint_of(model)
        if entry.traits.engine and model not in self.catalogue:
            raise UnknownModelError(f"unknown model {name!r}: endpoint {provider!r} has {', '.join(sorted(self.catalogue))}")
        return model

    def known_model(self, name: str) -> str | None:
        """A model's full name. None when no endpoint of the settings can be asked for it."""
        try:
            return self.full_name(name)
        except UnknownModelError:
            return None

    @property
    def budget(self) -> Budget:
        """The caps that the settings put on one command."""
        from selfopt.measure.budget import Budget

        limits = self.settings.limits
        return Budget(limits.max_trials, limits.max_minutes, limits.max_tokens, limits.max_cost)

    def spec(self, model: str, phase: Phase, variant: str | Variant, options: Mapping[str, Any] | None = None) -> Spec:
        """Make a spec from the settings and what the caller chose.

        Args:
            options: suite, split, timeout_s, retries, isolate, warm_up, context_size. The settings
                fill in what is missing or None.

        Raises:
            UsageError: the suite is of another phase, the split has no prompts, or a value is out
                of range.
        """
        return spec_of(self, model, phase, variant, options or {})

    def standing_spec(self, model: str, phase: Phase, variant: str = "native_api") -> Spec:
        """Make a spec for decisions about rules, with limits that no untrusted project can lower."""
        return self.spec(model, phase, variant, {"timeout_s": self.own_limits.timeout_s, "retries": self.own_limits.retries})

    def suite_for(self, spec: Spec) -> Suite:
        """Find the suite of a spec among those already read, the settings' and the built-in ones.

        The caller checks whether its content is still the spec's.

        Raises:
            SuiteError: there is no such suite. A file given by --suite has to be given again.
        """
        for name in (*self._suites, self.settings.suite_of(spec.phase)):
            suite = self.suite(name)
            if suite.name == spec.suite and suite.content_id() == spec.suite_hash:
                return suite
        return self.suite(spec.suite)

    def route_options(self, *, force: bool = False) -> RouteOptions:
        """Return how the rules apply to a request. force: serve what the rules divert or refuse."""
        return RouteOptions(
            unmeasured=self.settings.policy.unmeasured,
            allow_remote=self.settings.allow_remote,
            is_local=self.settings.is_local,
            force=force,
            enabled=self.settings.enforcement.enabled,
            one_name=self.settings.one_name,
            exists=lambda name: self.known_model(name) is not None,
        )

    def measure_context(self, progress: Callable[[Progress], None] | None = None, asked: str | None = None) -> MeasureContext:
        """Build the measuring stage's access to endpoints, suites, ledger and prices.

        Args:
            asked: full name of the model that was asked for, where another one may serve. None
                when each spec is measured for its own sake.
        """
        from selfopt.measure.context import MeasureContext
        from selfopt.measure.progress import ignore_progress

        from .separate import WarmUpRunner

        return MeasureContext(
            ledger=self.ledger,
            endpoint_for=lambda spec: self.sender.for_spec(spec, asked),
            residency_for=lambda spec: self.sender.residency_for_spec(spec, asked),
            model_name_for=lambda spec: self.sender.server_model(spec.model),
            suite_for=self.suite_for,
            warm_up=WarmUpRunner(self.settings.warm_up.enabled),
            slots_for=lambda spec: self.settings.concurrency_of(spec.endpoint),
            price_for=lambda spec, usage, busy_s: self.settings.cost_of(spec.model, usage, busy_s),
            logprobs_for=lambda spec: self.settings.endpoints[spec.endpoint].logprobs_asked(
                read=needs_logprobs(spec.variant.parsers)
            ),
            embedding_for=lambda spec: self.sender.embedding_for(spec, asked),
            progress=progress or ignore_progress,
            hardware=f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} cores",
            executor_for=self.executors.of,
        )

    def require_ready(self, models: Iterable[str]) -> None:
        """Check keys, prices, model files and scripts before the first request needs them.

        Raises:
            SettingsError, ModelStoreError: something is missing; the message says what to do.
        """
        require_all(self, models)
