"""The embedded engine: runs each model on this machine in a llama.cpp child process."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import SecretStr

from selfopt.errors import EngineError, ModelStoreError, UnknownModelError
from selfopt.records import ModelStatus

from .catalogue import ModelEntry
from .cores import free_cores, usable_cores
from .gguf import GgufFacts, read_gguf
from .process import ChildConfig, ChildProcess, default_command
from .store import ModelStore, slug

ENGINE_NAME = "llama.cpp (xllamacpp)"
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine runs its children.

    Attributes:
        context_size: tokens per slot.
        slots: requests served at the same time. A second slot gains nothing on two cores.
        threads: threads of a child; None for all cores where waiting threads sleep, else for the cores
            that are idle when the model starts.
        sleep_idle_s: seconds without a request after which the weights are dropped; -1 for never.
        start_timeout_s: seconds that a child may take to start.
        prompt_cache_mib: memory for prompts that have left their slot; 0 for none.
        log_dir: the folder for logs; None for `logs` in the store.
        command: starts a child.
    """

    context_size: int = 4096
    slots: int = 1
    threads: int | None = None
    sleep_idle_s: int = 300
    start_timeout_s: float = 120.0
    prompt_cache_mib: int = 256
    log_dir: Path | None = None
    command: tuple[str, ...] = field(default_factory=default_command)


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """The OpenAI-compatible server of a model, on loopback.

    Attributes:
        base_url: its URL.
        api_key: its key.
        alias: the server's name of the model.
        start_ms: milliseconds that this `connect` waited for the model to start; 0 if it was
            running. Add it to the latency of the request that waited, as load evidence.
    """

    base_url: str
    api_key: SecretStr
    alias: str
    start_ms: float = 0.0


@dataclass(slots=True)
class _Seat:
    """The state of one model."""

    child: ChildProcess | None = None
    starting: asyncio.Task[ChildProcess] | None = None
    facts: GgufFacts | None = None


class EmbeddedEngine:
    """Starts, finds, unloads and ends engine children.

    Use it within one event loop, and `close` it or use it with `async with`.
    """

    def __init__(self, store: ModelStore, catalogue: Mapping[str, ModelEntry], options: EngineOptions | None = None) -> None:
        self._store = store
        self._catalogue = catalogue
        self._options = options or EngineOptions()
        self._seats: dict[str, _Seat] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def __aenter__(self) -> EmbeddedEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, model: str, *, embedding: bool = False) -> EngineAddress:
        """The address of a model's server. Starts the server if it is not running.

        embedding: of a server that embeds texts. It is another one than that of the model's chats.

        Cancelling the caller does not cancel the start.

        Raises:
            UnknownModelError: the catalogue does not have the model.
            ModelStoreError: the model is not pulled.
            EngineError: the server did not start.
        """
        seat = self._seat(model, embedding=embedding)
        if (child := _running(seat)) is not None:
            return self._address(model, child, 0.0)
        began = time.perf_counter()
        if seat.starting is None:
            seat.starting = asyncio.create_task(self._start(model, seat, embedding=embedding))
            seat.starting.add_done_callback(_retrieve)
        child = await asyncio.shield(seat.starting)
        return self._address(model, child, (time.perf_counter() - began) * 1000)

    async def status(self, model: str, *, embedding: bool = False) -> ModelStatus:
        """The status of a model, without loading or waking it.

        A model that is not pulled or not running is `unloaded`. embedding: as for `connect`.
        """
        seat = self._seat(model, embedding=embedding)
        facts = await self._facts(model, seat)
        return ModelStatus(
            state=await self._state(seat),
            digest=self._catalogue[model].sha256,
            quantization=facts.quantization,
            template_hash=facts.template_hash,
            family=facts.family,
            engine=ENGINE_NAME,
            engine_build=_installed_build(),
            slots=self._options.slots,
            context_size=self._options.context_size,
            logprobs=True,
            thinking=facts.thinking,
        )

    async def load(self, model: str, timeout_s: float) -> float:
        """Start or wake the model, and wait until its weights are loaded.

        Returns:
            The milliseconds that it took.

        Raises:
            EngineError: it failed, or took longer than timeout_s; then it continues to load.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                address = await self.connect(model)
                await self._wake(address)
        except TimeoutError:
            raise EngineError(f"{model}: not loaded within {timeout_s:g} s; it goes on loading; raise the load timeout") from None
        return (time.perf_counter() - began) * 1000

    async def unload(self, model: str) -> bool:
        """End the model's process, so that the next request makes a cold start. Returns True."""
        seat = self._seat(model)
        if seat.starting is not None:
            await asyncio.wait([seat.starting])
        child, seat.child = seat.child, None
        if child is not None:
            await child.end()
        return True

    async def close(self) -> None:
        """End all children. Calling it again does nothing."""
        self._closed = True
        starting = [seat.starting for seat in self._seats.values() if seat.starting is not None]
        for task in starting:
            task.cancel()
        if starting:
            await asyncio.wait(starting)
        children = [seat.child for seat in self._seats.values() if seat.child is not None]
        self._seats.clear()
        await asyncio.gather(*(child.end() for child in children))
        if self._session is not None:
            await self._session.close()
            self._session = None

    def pids(self) -> dict[str, int]:
        """The process ids of the running children, by model."""
        return {name: seat.child.pid for name, seat in self._seats.items() if seat.child is not None and seat.child.alive}

    def _seat(self, model: str, *, embedding: bool = False) -> _Seat:
        if model not in self._catalogue:
            known = ", ".join(sorted(self._catalogue)) or "none"
            raise UnknownModelError(f"unknown local model {model!r}; known are: {known}; add others in your model catalogue")
        return self._seats.setdefault(f"{model} (embedding)" if embedding else model, _Seat())

    def _address(self, model: str, child: ChildProcess, start_ms: float) -> EngineAddress:
        return EngineAddress(child.base_url, SecretStr(child.api_key), model, start_ms)

    async def _start(self, model: str, seat: _Seat, *, embedding: bool) -> ChildProcess:
        try:
            if self._closed:
                raise EngineError(f"engine of {model}: closed already; make a new engine")
            path = self._verified_path(model)
            if seat.child is not None:  # it died
                await seat.child.end()
                seat.child = None
            options = self._options
            config = ChildConfig(
                model_path=str(path),
                alias=model,
                context_size=options.context_size,
                slots=options.slots,
                threads=options.threads or await free_cores(),
                cores=None if options.threads else usable_cores(),
                sleep_idle_s=options.sleep_idle_s,
                prompt_cache_mib=0 if embedding else options.prompt_cache_mib,
                embedding=embedding,
                pools=embedding and (await self._facts(model, seat)).pools,
            )
            child = await ChildProcess.start(
                config,
                command=options.command,
                log_path=(options.log_dir or self._store.root / "logs") / f"{slug(model)}{'.embedding' * embedding}.log",
                timeout_s=options.start_timeout_s,
            )
            try:
                await self._check_health(model, child)
            except BaseException:
                await child.end()
                raise
            seat.child = child
            return child
        finally:
            seat.starting = None

    def _verified_path(self, model: str) -> Path:
        noted = self._store.find(model)
        if noted is None:
            raise ModelStoreError(f"{model} is not pulled; run: selfopt models pull {model}")
        if noted.sha256 != self._catalogue[model].sha256:
            raise ModelStoreError(f"{model} is pulled as another file than the catalogue names; run: selfopt models pull {model}")
        return self._store.file_of(model)

    async def _check_health(self, model: str, child: ChildProcess) -> None:
        try:
            async with self._http().get(f"{child.base_url}/health") as reply:
                if reply.status == 200:
                    return
                why = f"status {reply.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or type(error).__name__
        raise EngineError(
            f"engine of {model}: listens, but is not healthy: {why}; last log line: {child.last_log_line or 'none'}"
        )

    async def _state(self, seat: _Seat) -> Literal["loaded", "loading", "unloaded", "sleeping", "unknown"]:
        if seat.starting is not None:
            return "loading"
        if (child := _running(seat)) is None:
            return "unloaded"
        try:
            async with self._http().get(f"{child.base_url}/props", headers=_authorization(child.api_key)) as reply:
                if reply.status == 503:
                    return "loading"
                props = await reply.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return "unknown" if _running(seat) else "unloaded"
        return "sleeping" if isinstance(props, dict) and props.get("is_sleeping") is True else "loaded"

    async def _wake(self, address: EngineAddress) -> None:
        """Wake a model without touching its slots.

        The first request needs the weights. The second passes through the queue of tasks, which
        restarts the idle time. Without it, a loaded model could fall asleep and lose its cache.
        """
        headers, patient = _authorization(address.api_key.get_secret_value()), aiohttp.ClientTimeout(total=None)
        http, url = self._http(), address.base_url
        try:
            async with http.post(f"{url}/tokenize", json={"content": ""}, headers=headers, timeout=patient) as reply:
                await reply.read()
            async with http.get(f"{url}/lora-adapters", headers=headers, timeout=patient) as reply:
                await reply.read()
        except aiohttp.ClientError as error:
            raise EngineError(f"engine of {address.alias}: died while loading: {error}") from error

    async def _facts(self, model: str, seat: _Seat) -> GgufFacts:
        path = self._store.path_of(model)
        if seat.facts is None and path is not None:
            try:
                seat.facts = await asyncio.to_thread(read_gguf, path)
            except ModelStoreError:
                seat.facts = GgufFacts()
        return seat.facts or GgufFacts()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PROBE_TIMEOUT)
        return self._session


def _running(seat: _Seat) -> ChildProcess | None:
    return seat.child if seat.child is not None and seat.child.alive else None


def _retrieve(task: asyncio.Task[ChildProcess]) -> None:
    """Mark a start's error as handled, in case no waiter is left. `connect` tries again."""
    if not task.cancelled():
        task.exception()


def _authorization(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


@functools.cache
def _installed_build() -> str:
    try:
        return f"xllamacpp {metadata.version('xllamacpp')}"
    except metadata.PackageNotFoundError:
        return "unknown"
