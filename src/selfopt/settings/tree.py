"""The settings tree: one frozen record for each table of selfopt.toml."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from selfopt.errors import SettingsError, UnknownModelError
from selfopt.records import EndpointConfig, Phase, PolicyThresholds, RaceSettings, Usage, WarmUp, cost_of

from .database import BlobsUrl, DatabaseUrl
from .endpoint import EndpointSettings, Table, default_endpoints, one_name
from .executing import LOCAL, ExecutorName, RaySettings
from .objective import ObjectiveSettings
from .otel import OtelSettings
from .prices import PriceSettings, found_price
from .reflection import ReflectionSettings
from .serve import GatewaySettings, ServeSettings


class ProjectMay(Enum):
    """What an untrusted project's files may do to a setting. It is part of the setting's
    annotation.

    These files cannot change a setting without it. Give it to a setting only when it changes
    neither where a request goes, nor what is enforced, nor how strict the policy is, and cannot
    raise what is spent.
    """

    LOWER = "set it lower than the user's own value"
    ADD_SCRIPTED = "add a scripted endpoint that plays in this process, under a name that nobody uses"


class ModelSettings(Table):
    """Names of models.

    Attributes:
        aliases: Short names. They have no slash, so that none can replace a full name.
        catalogue: File with further models for the embedded engine.
        embedding: The model that says which tools mean what is asked for, where a variant wants that.
            One on another machine gets requests only with `allow_remote`, unless the asked model is
            of the same provider.
    """

    aliases: dict[str, str] = Field(default_factory=dict)
    catalogue: str | None = None
    embedding: str | None = None

    @field_validator("aliases")
    @classmethod
    def _short(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if "/" in name:
                raise ValueError(
                    f"the alias {name!r} looks like a full name (provider/name), which no alias may replace; give it a name without a slash"
                )
        return value


class SuiteSettings(Table):
    """The reference suite of each phase."""

    atomic: str = "atomic"
    extended: str = "extended"


class FallbackSettings(Table):
    """The models that may serve as a fallback in each phase, the preferred one first."""

    atomic: tuple[str, ...] = ()
    extended: tuple[str, ...] = ()


class LimitSettings(Table):
    """Timeouts in seconds, and caps on what one command may spend (None: no cap).

    Attributes:
        concurrency: Requests at the same time at each endpoint, whatever its `slots` say.
    """

    timeout_s: Annotated[float, ProjectMay.LOWER] = Field(default=60.0, gt=0, le=3600)
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    retries: Annotated[int, ProjectMay.LOWER] = Field(default=1, ge=0, le=20)
    max_trials: Annotated[int | None, ProjectMay.LOWER] = Field(default=None, ge=1)
    max_minutes: Annotated[float | None, ProjectMay.LOWER] = Field(default=None, gt=0)
    max_tokens: Annotated[int | None, ProjectMay.LOWER] = Field(default=None, ge=1)
    max_cost: Annotated[float | None, ProjectMay.LOWER] = Field(default=None, ge=0)
    concurrency: int | None = Field(default=None, ge=1, le=64)


_RACE = RaceSettings()
_NEEDS = {
    "alpha": "a number above 0 and at most 0.5, such as 0.05",
    "smallest_gain": "a difference of accuracies above 0 and below 1, such as 0.05 for 5 points",
    "beta": "a chance strictly between 0 and 1, such as 0.1",
    "heldout_margin": "a share strictly between 0 and 1, such as 0.03 for 3 points",
    "restraint_margin": "a share strictly between 0 and 1, such as 0.03 for 3 points",
}


class PolicySettings(Table, PolicyThresholds):
    """Thresholds of the plain gates, and of the evidence.

    Attributes:
        evidence: Promote on evidence where accuracies are not known exactly. False: the plain gates
            alone decide, and nothing bounds the chance of a false promotion.
        alpha: With schedule `fwer`, the chance of any false promotion in all cycles of a model and
            phase on one suite. With `elond`, the share of false promotions among all promotions.
        schedule: What alpha bounds.
        horizon: The number of cycles that share alpha evenly. None: any number of cycles; later
            ones get less.
        smallest_gain: The smallest difference of accuracies worth finding.
        beta: The chance to give up a candidate with that gain.
        heldout_margin: How much worse a winner may seem on held-out prompts.
        heldout_better: Whether a winner must be better on held-out prompts.
        restraint_margin: How much worse a winner's restraint may seem.
        max_discards: How often a block may be repeated for faults of the server.
        race_trials: Trials after which a race is held.
    """

    evidence: bool = True
    alpha: float = 0.05
    schedule: Literal["fwer", "elond"] = "fwer"
    horizon: int | None = None
    smallest_gain: float = _RACE.smallest_gain
    beta: float = _RACE.beta
    heldout_margin: float = 0.03
    heldout_better: bool = False
    restraint_margin: float = 0.03
    max_discards: int = Field(default=_RACE.max_discards, ge=0, le=100)
    race_trials: int = Field(default=10_000, ge=1)

    @field_validator("alpha", "smallest_gain", "beta", "heldout_margin", "restraint_margin")
    @classmethod
    def _share(cls, value: float, info: ValidationInfo) -> float:
        if not 0 < value < 1 or (info.field_name == "alpha" and value > 0.5):
            raise ValueError(f"need {_NEEDS[info.field_name or '']}")
        return value

    @field_validator("horizon")
    @classmethod
    def _horizon(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError("need at least 1 cycle; leave it out where their number is not known")
        return value


class WarmUpSettings(Table):
    """Warm-up.

    With `enabled` false no model is warmed up, whatever rules and flags say. Times in seconds.
    """

    enabled: bool = True
    default: bool = False
    warmup_load_timeout_s: float = Field(default=120.0, gt=0)
    warmup_prompt_timeout_s: float = Field(default=10.0, gt=0)
    separate_process: bool = False


class EnforcementSettings(Table):
    """Enforcement.

    With `enabled` false the loop writes no rules, and `run` and `supervise` apply none.
    """

    enabled: bool = True


class EngineSettings(Table):
    """The embedded engine.

    Attributes:
        context_size: Tokens per slot.
        slots: Requests at the same time.
        threads: None: the engine chooses.
        sleep_idle_s: Idle seconds until it drops the weights.
    """

    context_size: int = Field(default=4096, ge=256, le=1_048_576)
    slots: int = Field(default=1, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1)
    sleep_idle_s: int = Field(default=300, ge=1)


class LoopSettings(Table):
    """The loop.

    Attributes:
        n_runs: Runs of a stochastic spec.
        determinism_sample: How many prompts to repeat in isolation before replies count as
            deterministic. None: 4, and 20 for suites with more than 40 prompts.
        max_candidates: Candidates per model and cycle.
        search: Search the space of variants for what a cycle tries.
        search_trials: How many trials a search may make.
        search_fresh: A search asks anew what the ledger already holds a reply to.
        objective: What a search looks for.
        baseline: "MODEL PHASE VARIANT" of the first baseline.
        reflection: the model that a search asks what would mend failures.
    """

    n_runs: int = Field(default=7, ge=1, le=1000)
    determinism_sample: int | None = Field(default=None, ge=1, le=1000)
    max_candidates: int = Field(default=3, ge=0, le=100)
    search: bool = False
    search_trials: int = Field(default=1500, ge=1, le=1_000_000)
    search_fresh: bool = False
    objective: ObjectiveSettings = ObjectiveSettings()
    baseline: str = "local/smollm2-135m atomic native_api"
    reflection: ReflectionSettings = ReflectionSettings()

    def sample_of(self, prompts: int) -> int:
        """Returns how many prompts to repeat of a suite with this many."""
        wanted = self.determinism_sample
        return min(prompts, wanted if wanted is not None else 4 if prompts <= 40 else 20)


LIVE_CONCURRENCY = 64
DEFAULT_ALIASES = {"lfm2.5": "ollama/lfm2.5-thinking:1.2b", "haiku": "anthropic/claude-haiku-4-5"}


class Settings(Table):
    """Everything a user can choose. Its sections are the tables of selfopt.toml.

    Attributes:
        executor: Who makes trials: `local`, `ray` or `ray://HOST:PORT`.
        ledger: The database that holds the ledger, as a URL without a password. None: a file in the home.
        ledger_patience_s: How long a database or a store that goes away is waited for, in seconds.
        blobs: The store of the ledger's large texts, as a URL without keys. None: the ledger itself.
    """

    home: str | None = None
    ledger: DatabaseUrl | None = None
    ledger_patience_s: float = Field(default=300.0, ge=0, le=86_400)
    blobs: BlobsUrl | None = None
    allow_remote: bool = False
    models: ModelSettings = ModelSettings(aliases=DEFAULT_ALIASES)
    endpoints: Annotated[dict[str, EndpointSettings], ProjectMay.ADD_SCRIPTED] = Field(default_factory=default_endpoints)
    suites: SuiteSettings = SuiteSettings()
    fallbacks: FallbackSettings = FallbackSettings()
    policy: PolicySettings = PolicySettings()
    limits: LimitSettings = LimitSettings()
    currency: str = Field(default="", pattern=r"^[^\W\d_]{0,8}$|^[$€£¥]$")
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    warm_up: WarmUpSettings = WarmUpSettings()
    enforcement: EnforcementSettings = EnforcementSettings()
    engine: EngineSettings = EngineSettings()
    loop: LoopSettings = LoopSettings()
    gateway: GatewaySettings = GatewaySettings()
    serve: ServeSettings = ServeSettings()
    otel: OtelSettings = OtelSettings()
    executor: ExecutorName = LOCAL
    ray: RaySettings = RaySettings()
    variants: str | None = None

    @field_validator("endpoints")
    @classmethod
    def _names(cls, value: dict[str, EndpointSettings]) -> dict[str, EndpointSettings]:
        for name in value:
            if not name or "/" in name:
                raise ValueError(f"endpoint name {name!r} must not be empty or hold a slash")
        return value

    def resolve_model(self, name: str) -> str:
        """Returns `provider/name` for an alias.

        Returns a full name unchanged. Raises UnknownModelError for other names.
        """
        seen: list[str] = []
        while "/" not in name and name in self.models.aliases:
            if name in seen:
                raise SettingsError(f"aliases go round in a circle: {' -> '.join([*seen, name])}; edit [models.aliases]")
            seen.append(name)
            name = self.models.aliases[name]
        provider, slash, rest = name.partition("/")
        if not slash or not rest or provider not in self.endpoints:
            known = ", ".join(sorted(self.endpoints))
            aliases = ", ".join(sorted(self.models.aliases)) or "none"
            raise UnknownModelError(
                f"unknown model {name!r}: write provider/name with a provider of {known}, or an alias ({aliases}); see 'selfopt models list'"
            )
        return name

    @property
    def embedding(self) -> str | None:
        """The full name of the embedding model; None where there is none. Raises as `resolve_model`."""
        return self.resolve_model(self.models.embedding) if self.models.embedding is not None else None

    def endpoint_of(self, model: str) -> tuple[str, EndpointSettings]:
        """Returns the name and settings of the endpoint that serves a model.

        model: its full name.
        """
        provider = model.partition("/")[0]
        return provider, self.endpoints[provider]

    def is_local(self, model: str) -> bool:
        """Says whether requests to this model stay on this machine."""
        provider = model.partition("/")[0]
        return provider in self.endpoints and self.endpoints[provider].is_local

    def one_name(self, model: str) -> str:
        """Returns one name for all full names that the endpoint understands as the same model."""
        provider, _, name = model.partition("/")
        entry = self.endpoints.get(provider)
        return model if entry is None else f"{provider}/{one_name(entry.kind, name)}"

    def price_of(self, model: str) -> PriceSettings | None:
        """Returns the price of a model, under whichever of its names it was given."""
        return found_price(self.prices, model, self.one_name)

    def cost_of(self, model: str, usage: Usage, busy_s: float | None = None) -> float | None:
        """Returns what requests to a model cost by its price; None where that is not known.

        Without a price, a model on this machine costs nothing. See `records.cost_of`.
        """
        price = self.price_of(model)
        return 0.0 if price is None and self.is_local(model) else cost_of(price, usage, busy_s)

    def has_one_spelling(self, model: str) -> bool:
        """Says whether every full name at this model's endpoint is a model of its own."""
        entry = self.endpoints.get(model.partition("/")[0])
        return entry is None or entry.traits.one_name is str

    def endpoint_config(self, name: str, environ: Mapping[str, str]) -> EndpointConfig:
        """Returns the configuration for the adapter of this endpoint.

        Looks its key and its proxy up in the environment if need be. Raises SettingsError for a
        proxy that cannot be used.
        """
        entry = self.endpoints[name]
        config = EndpointConfig(
            name=name,
            kind=entry.kind,
            base_url=entry.base_url,
            api_key=self._key_of(entry, environ),
            local=entry.is_local,
            script=entry.script,
            max_reply_bytes=entry.max_reply_bytes,
            server=entry.server or ("llama.cpp" if entry.grammar and not entry.traits.grammars else None),
            omit=entry.omit,
            extra_body=entry.extra_body,
        )
        if entry.base_url is None and (entry.plays_here or entry.traits.serverless):
            return config
        proxy = entry.proxy_url(name, entry.base_url or entry.traits.dialect(config).root, environ)
        return config if proxy is None else config.model_copy(update={"proxy": proxy})

    @staticmethod
    def _key_of(entry: EndpointSettings, environ: Mapping[str, str]) -> SecretStr | None:
        named = environ.get(entry.api_key_env) if entry.api_key is None and entry.api_key_env else None
        return SecretStr(named) if named else entry.api_key

    @property
    def engine_slots(self) -> int:
        """Returns how many requests a model of the embedded engine works on at the same time."""
        return self.limits.concurrency or self.engine.slots

    def concurrency_of(self, name: str) -> int:
        """Returns how many requests an endpoint gets at the same time while something is measured.

        Under a cap on cost or tokens a server elsewhere gets one, so that the cap is kept closely.
        """
        entry, limits = self.endpoints[name], self.limits
        kind = entry.traits
        capped = limits.max_cost is not None or limits.max_tokens is not None
        usual = self.engine.slots if kind.engine else kind.slots if entry.is_local or capped else kind.slots_elsewhere
        return self.limits.concurrency or entry.slots or usual

    def live_concurrency_of(self, name: str) -> int:
        """Returns how many requests the gateway sends to an endpoint at the same time."""
        entry = self.endpoints[name]
        return self.limits.concurrency or entry.slots or (self.engine.slots if entry.traits.engine else LIVE_CONCURRENCY)

    def missing_key(self, name: str, environ: Mapping[str, str]) -> str | None:
        """Returns the variable to set before this endpoint can be asked, or None.

        Only the built-in clouds are known to want a key.
        """
        entry = self.endpoints[name]
        clouds = {e.base_url for e in default_endpoints().values() if not e.is_local}
        wanted = entry.api_key_env if entry.base_url in clouds else None
        return wanted if wanted and self._key_of(entry, environ) is None else None

    def suite_of(self, phase: Phase) -> str:
        """Returns the name of a phase's reference suite."""
        return self.suites.atomic if phase == "atomic" else self.suites.extended

    def warm_up_policy(self, wanted: bool) -> WarmUp:
        """Returns the warm-up of a spec. The off-switch overrides `wanted`."""
        entry = self.warm_up
        return WarmUp(
            enabled=wanted and entry.enabled,
            load_timeout_s=entry.warmup_load_timeout_s,
            prompt_timeout_s=entry.warmup_prompt_timeout_s,
            separate_process=entry.separate_process,
        )
