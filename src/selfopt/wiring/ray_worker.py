"""What runs in a worker of a Ray cluster: it makes trials, and keeps and decides nothing.

A worker builds its endpoints from the settings, in its own process. The process that started it
keeps the ledger, the budget and the rules.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from selfopt import __version__
from selfopt.errors import SelfoptError
from selfopt.home import Home
from selfopt.ledger import MemoryLedger
from selfopt.measure.attempt import Channel, ResidencyWatch
from selfopt.measure.context import MeasureContext
from selfopt.measure.trial import Embeds, Judge, OpenArm, TrialJob, TrialResult, run_trial
from selfopt.records import Ask, Environment, ModelStatus, Prompt, Run, Spec, ToolDefinition
from selfopt.settings import Settings

from .app import App
from .separate import WarmUpRunner

_ARMS_KEPT = 256


@dataclass(frozen=True, slots=True)
class FarArm:
    """An arm as it is sent to a worker, which adds its own way to the model.

    Attributes:
        context: see `MeasureContext`: seconds without a reply after which residency is asked again.
    """

    spec: Spec
    run: Run
    judge: Judge
    model: str
    isolate: bool
    environment: Environment
    status: ModelStatus
    logprobs: int | None
    idle_s: float

    @classmethod
    def of(cls, arm: OpenArm) -> FarArm:
        """What a worker needs of an arm."""
        idle_s = arm.channel.context.idle_s
        return cls(arm.spec, arm.run, arm.judge, arm.model, arm.isolate, arm.environment, arm.status, arm.logprobs, idle_s)


@dataclass(frozen=True, slots=True)
class Order:
    """One trial that a worker is to make. arm: None once the worker has it."""

    run_id: str
    trial_id: str
    ask: Ask
    prompt: Prompt
    tools: tuple[ToolDefinition, ...]
    index: int
    slot: int
    arm: FarArm | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself.

    Attributes:
        version: of its selfopt.
        keyless: endpoints whose variable for the key is not set there.
        problem: why it can make no trials; "" when it can.
    """

    pid: int
    version: str
    keyless: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a worker is told when it starts.

    Attributes:
        settings: as JSON, without secrets.
        secrets: by endpoint, what the user wants to be sent: `api_key` and `proxy`.
    """

    settings: str
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


class RayWorker:
    """An actor that makes trials. What it returns are bytes, so that Ray's own records hold no content."""

    def __init__(self, briefing: bytes) -> None:
        """Start without doing anything that could fail."""
        self._briefing: Briefing = pickle.loads(briefing)
        self._app: App | None = None
        self._arms: dict[str, OpenArm] = {}

    async def hello(self) -> bytes:
        """Say who this is, and what it lacks."""
        try:
            settings = self._opened().settings
        except (SelfoptError, ValueError) as error:
            return pickle.dumps(Hello(os.getpid(), __version__, problem=" ".join(str(error).split())[:300]))
        keyless = [
            name
            for name, entry in settings.endpoints.items()
            if entry.api_key_env and entry.api_key is None and not os.environ.get(entry.api_key_env)
        ]
        return pickle.dumps(Hello(os.getpid(), __version__, tuple(keyless)))

    async def make(self, order: bytes) -> bytes | None:
        """Make a trial. Returns a pickled `TrialResult` or `SelfoptError`; None where the arm is not known here."""
        wanted: Order = pickle.loads(order)
        try:
            arm = self._arm(wanted)
            if arm is None:
                return None
            job = TrialJob(wanted.trial_id, arm, wanted.ask, wanted.prompt, wanted.tools, wanted.index)
            made: TrialResult | SelfoptError = await run_trial(job, wanted.slot)
        except SelfoptError as error:
            made = error
        return pickle.dumps(made, protocol=5)

    def _arm(self, order: Order) -> OpenArm | None:
        known = self._arms.get(order.run_id)
        if known is None and order.arm is not None:
            known = self._arms[order.run_id] = self._open(order.arm)
            if len(self._arms) > _ARMS_KEPT:
                del self._arms[next(iter(self._arms))]
        return known

    def _open(self, far: FarArm) -> OpenArm:
        app, spec = self._opened(), far.spec
        asked = far.run.requested_model
        context = MeasureContext(
            ledger=MemoryLedger(),
            endpoint_for=lambda spec: app.sender.for_spec(spec, asked),
            residency_for=lambda spec: app.sender.residency_for_spec(spec, asked),
            model_name_for=lambda spec: far.model,
            suite_for=app.suite_for,
            warm_up=WarmUpRunner(False),
            idle_s=far.idle_s,
        )
        watch = ResidencyWatch(context.residency_for(spec), far.model, time.monotonic, far.idle_s, first=far.status.state)
        source = app.sender.embedding_for(spec, asked)
        embeds = None
        if source is not None:
            own = ResidencyWatch(source.residency, source.model, time.monotonic, far.idle_s)
            embeds = Embeds(Channel(source.endpoint, own, context), source.model)
        return OpenArm(
            spec=spec,
            run=far.run,
            judge=far.judge,
            model=far.model,
            isolate=far.isolate,
            channel=Channel(context.endpoint_for(spec), watch, context),
            environment=far.environment,
            status=far.status,
            prologue=(),
            logprobs=far.logprobs,
            embeds=embeds,
        )

    def _opened(self) -> App:
        if self._app is None:
            settings = with_secrets(Settings.model_validate_json(self._briefing.settings), self._briefing.secrets)
            self._app = App(settings, Home(Path(tempfile.gettempdir()) / "selfopt-worker-without-a-home"))
        return self._app


def with_secrets(settings: Settings, secrets: Mapping[str, Mapping[str, str]]) -> Settings:
    """Settings with the secrets that were sent beside them."""
    if not secrets:
        return settings
    given = {
        name: entry.model_copy(update={field: SecretStr(value) for field, value in secrets.get(name, {}).items()})
        for name, entry in settings.endpoints.items()
    }
    return settings.model_copy(update={"endpoints": given})


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The secrets of all endpoints, as a worker needs them."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in settings.endpoints.items():
        if entry.base_url is None:
            continue
        config = settings.endpoint_config(name, environ)
        held = {"api_key": config.api_key, "proxy": config.proxy}
        own = {field: value.get_secret_value() for field, value in held.items() if value is not None}
        if own:
            found[name] = own
    return found
