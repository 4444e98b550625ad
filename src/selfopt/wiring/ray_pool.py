"""The workers on a Ray cluster, and which of them makes a trial.

Trials that begin alike go to the same worker, as long as it has room: so what servers and connections
keep of a prompt's beginning stays warm. A worker that is lost is replaced, and what it was making is
made again elsewhere, under the same id.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from selfopt import __version__
from selfopt.errors import ClusterError, ConsentError, SelfoptError, SettingsError
from selfopt.home import escape_control
from selfopt.measure.trial import TrialJob, TrialResult
from selfopt.settings import Settings
from selfopt.settings.executing import RAY

from .ray_cluster import RayCluster
from .ray_worker import Briefing, FarArm, Hello, Order, RayWorker, secrets_of

_MOST_WORKERS = 16
_TRIES = 3
_LOST_IN_A_ROW = 8


@dataclass(slots=True, eq=False)
class _Seat:
    """A worker at its place in the pool. A worker that replaces it takes the place."""

    place: int
    actor: Any
    hello: Hello
    arms: set[str] = field(default_factory=set)
    load: int = 0


@dataclass(slots=True)
class _Crew:
    """The workers for one sort of resources."""

    resources: Mapping[str, float]
    seats: dict[int, _Seat] = field(default_factory=dict)
    starting: set[asyncio.Task[None]] = field(default_factory=set)
    awaited: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    lost_in_a_row: int = 0
    problem: SelfoptError | None = None


class RayPool:
    """Makes trials on the workers of a cluster. Connects at the first trial."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._cluster: RayCluster | None = None
        self._crews: dict[tuple[tuple[str, float], ...], _Crew] = {}
        self._opening = asyncio.Lock()
        self._closed = False
        self._calls: set[asyncio.Future[Any]] = set()

    async def make(self, job: TrialJob, slot: int, slots: int) -> TrialResult:
        """Make a trial on some worker.

        Args:
            slots: how many trials may be under way at once.

        Raises:
            ClusterError: the cluster cannot be used, or workers were lost again and again.
        """
        crew = await self._crew(job.arm.spec.endpoint)
        prefix = prefix_of(job)
        order = Order(job.arm.run.run_id, job.trial_id, job.ask, job.prompt, job.tools, job.index, slot)
        for _ in range(_TRIES):
            seat = await self._seat(crew, prefix, slots)
            self._require_key(seat, job.arm.spec.endpoint)
            seat.load += 1
            try:
                made = await self._ask(seat, job, order)
            except ClusterError:
                self._lost(crew, seat)
                continue
            finally:
                seat.load -= 1
            crew.lost_in_a_row = 0
            if isinstance(made, SelfoptError):
                raise made
            return made
        raise ClusterError(
            f"{_TRIES} workers of the Ray cluster were lost while they made one trial (prompt {escape_control(job.prompt.id, 100)}); "
            "see Ray's logs for why; the same command continues"
        )

    @property
    def pids(self) -> list[int]:
        """The process of each worker, on its own node."""
        return [seat.hello.pid for crew in self._crews.values() for seat in crew.seats.values()]

    async def close(self) -> None:
        """End the workers and leave the cluster. A second call does nothing."""
        self._closed = True
        async with self._opening:  # a connection that is being made is waited for
            cluster, self._cluster = self._cluster, None
        if cluster is None:
            return
        for crew in self._crews.values():
            for task in crew.starting:
                task.cancel()
            await asyncio.gather(*crew.starting, return_exceptions=True)
            for seat in crew.seats.values():
                with suppress(Exception):
                    cluster.ray.kill(seat.actor)
        self._crews.clear()
        await cluster.close()
        if self._calls:
            await asyncio.wait(self._calls, timeout=5)

    async def _ask(self, seat: _Seat, job: TrialJob, order: Order) -> TrialResult | SelfoptError:
        """Hand an order to a worker. ClusterError: it was lost, or does not answer in our form."""
        run_id = order.run_id
        known = run_id in seat.arms
        for told in (known, False) if known else (False,):
            sent = order if told else _with_arm(order, job)
            reply = await self._call(seat.actor.make.remote(pickle.dumps(sent, protocol=5)))
            if reply is None:
                continue
            seat.arms.add(run_id)
            made = pickle.loads(reply)
            if isinstance(made, SelfoptError) or (isinstance(made, TrialResult) and made.judged.trial.trial_id == job.trial_id):
                return made
            break
        raise ClusterError("a worker answered something else")

    async def _call(self, ref: Any) -> Any:
        """Wait for an answer. What Ray raises becomes ClusterError."""
        assert self._cluster is not None
        ray = self._cluster.ray
        # Ray's own future is not cancelled: its client ends where somebody does that.
        call = asyncio.ensure_future(_answer(ref))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            call.add_done_callback(lambda done: done.cancelled() or done.exception())
            with suppress(Exception):
                ray.cancel(ref)
            raise
        except Exception as error:
            raise ClusterError(escape_control(" ".join(str(error).split()), 300)) from None

    async def _crew(self, endpoint: str) -> _Crew:
        """The workers that may ask an endpoint; started at the first call."""
        wanted = self._settings.endpoints[endpoint].ray_resources
        key = tuple(sorted(wanted.items()))
        crew = self._crews.get(key)
        if crew is None:
            async with self._opening:
                crew = self._crews.get(key) or await self._start(key)
        return crew

    async def _start(self, key: tuple[tuple[str, float], ...]) -> _Crew:
        own = self._settings.ray
        if self._closed:
            raise ClusterError("the workers of the Ray cluster were sent home; the same command continues")
        if self._cluster is None:
            self._cluster = await RayCluster.connect(self._settings.executor, own)
        crew = _Crew(dict(key))
        needed = {**crew.resources, **({"CPU": own.cpus} if own.cpus else {})}
        total = await self._cluster.resources()
        room = min((int(total.get(name, 0.0) / amount + 1e-9) for name, amount in needed.items()), default=_MOST_WORKERS)
        if room < 1:
            lacking = ", ".join(f"{name} {amount:g}" for name, amount in needed.items() if total.get(name, 0.0) < amount)
            raise ClusterError(
                f"no node of the Ray cluster has {escape_control(lacking, 200)}, which a worker needs (ray_resources of the endpoint, ray.cpus)"
            )
        for place in range(own.workers or min(room, _MOST_WORKERS)):
            self._hire(crew, place)
        self._crews[key] = crew
        return crew

    def _hire(self, crew: _Crew, place: int) -> None:
        crew.awaited += 1
        task = asyncio.create_task(self._hired(crew, place))
        crew.starting.add(task)
        task.add_done_callback(crew.starting.discard)

    async def _hired(self, crew: _Crew, place: int) -> None:
        """Start a worker, and give it its place once it says hello."""
        assert self._cluster is not None
        own, ray = self._settings.ray, self._cluster.ray
        try:
            async with asyncio.timeout(own.start_timeout_s):
                made = ray.remote(RayWorker).options(num_cpus=own.cpus, resources=dict(crew.resources) or None, max_restarts=0)
                actor = await self._call(asyncio.to_thread(made.remote, pickle.dumps(self._briefing())))
                hello = pickle.loads(await self._call(actor.hello.remote()))
            self._check(hello)
            crew.seats[place] = _Seat(place, actor, hello)
        except TimeoutError:
            crew.problem = ClusterError(
                f"no worker started on the Ray cluster within {own.start_timeout_s:g} s; it may be busy (ray status), or raise ray.start_timeout_s"
            )
        except ClusterError as error:
            crew.problem = ClusterError(
                f"a worker did not start on the Ray cluster; does selfopt {__version__} run there? {error}"
            )
        except SelfoptError as error:
            crew.problem = error
        crew.awaited -= 1
        async with crew.changed:
            crew.changed.notify_all()

    def _briefing(self) -> Briefing:
        settings = self._settings
        sent = secrets_of(settings, self._environ) if settings.ray.send_keys or settings.executor == RAY else {}
        return Briefing(settings.model_dump_json(), sent)

    def _check(self, hello: Hello) -> None:
        """Refuse a worker that would not ask as this process does."""
        if hello.version != __version__:
            raise SettingsError(
                f"the Ray cluster has selfopt {escape_control(hello.version, 50)}, and here is {__version__}; install the same on its nodes"
            )
        if hello.problem:
            raise SettingsError(f"workers of the Ray cluster cannot use these settings: {escape_control(hello.problem, 300)}")

    def _require_key(self, seat: _Seat, endpoint: str) -> None:
        """Refuse a worker without the key that this process has."""
        variable = self._settings.endpoints[endpoint].api_key_env
        if endpoint in seat.hello.keyless and variable is not None and self._environ.get(variable):
            raise SettingsError(
                f"workers of {self._settings.executor} have no key for endpoint {endpoint!r}: set {variable} in their environment, "
                "or ray.send_keys = true in your own settings to send it to the cluster"
            )

    async def _seat(self, crew: _Crew, prefix: str, slots: int) -> _Seat:
        """The worker for a prefix; waits while none is there."""
        while not crew.seats:
            if not crew.awaited:
                raise crew.problem or ClusterError("no worker of the Ray cluster is left; the same command continues")
            async with crew.changed:
                await crew.changed.wait_for(lambda: bool(crew.seats) or not crew.awaited)
        return choose(crew.seats, prefix, slots)

    def _lost(self, crew: _Crew, seat: _Seat) -> None:
        """Replace a worker that is gone. Many trials may tell of the same one."""
        if crew.seats.get(seat.place) is not seat:
            return
        del crew.seats[seat.place]
        with suppress(Exception):
            assert self._cluster is not None
            self._cluster.ray.kill(seat.actor)
        crew.lost_in_a_row += 1
        if crew.lost_in_a_row <= _LOST_IN_A_ROW:
            self._hire(crew, seat.place)


async def _answer(ref: Any) -> Any:
    return await ref


def choose(seats: Mapping[int, _Seat], prefix: str, slots: int) -> _Seat:
    """The worker for a prefix: rendezvous hashing with bounded loads.

    The first worker in the prefix's own order that has less than its share of the slots. Where one is
    gone, only its prefixes move (Thaler and Ravishankar 1998; Mirrokni, Thorup and Zadimoghaddam 2018).
    """
    share = -(-slots // len(seats))
    order = sorted(seats.values(), key=lambda seat: _rank(prefix, seat.place))
    return next((seat for seat in order if seat.load < share), min(order, key=lambda seat: seat.load))


@lru_cache(maxsize=65_536)
def _rank(prefix: str, place: int) -> bytes:
    return hashlib.blake2b(f"{place}\0{prefix}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def prefix_of(job: TrialJob) -> str:
    """What requests have in common with others that a server's cache may serve: way to ask, tools, system message."""
    first = job.prompt.messages[0]
    system = first.content if first.role == "system" else ""
    return "\0".join((job.arm.spec.endpoint, job.arm.spec.request_id, *(tool.name for tool in job.tools), str(system)))


def _with_arm(order: Order, job: TrialJob) -> Order:
    return Order(order.run_id, order.trial_id, order.ask, order.prompt, order.tools, order.index, order.slot, FarArm.of(job.arm))


def require_far(settings: Settings, endpoint: str) -> None:
    """Check that workers can ask an endpoint, before the first trial.

    Raises:
        SettingsError: only this process can.
        ConsentError: workers would need a secret that is not sent.
    """
    entry, executor = settings.endpoints[endpoint], settings.executor
    if entry.traits.engine:
        raise SettingsError(
            f"endpoint {endpoint!r} is the embedded engine of this process, which workers of a Ray cluster do not have: leave out "
            f"--executor {executor}, or start a server for the model and name its address as an endpoint"
        )
    if entry.base_url is None:
        raise SettingsError(
            f"endpoint {endpoint!r} plays its replies in this process, which workers of a Ray cluster cannot reach: leave out "
            f"--executor {executor}, or serve the script (selfopt scripted FILE) and set base_url"
        )
    if executor != RAY and entry.is_loopback and not entry.ray_resources:
        raise SettingsError(
            f"endpoint {endpoint!r} is at {entry.base_url}, which is another machine for each worker of {executor}: give an address that "
            f"they can reach, or say which nodes have the server: ray_resources of [endpoints.{endpoint}]"
        )
    secret = "api_key" if entry.api_key is not None else "proxy" if entry.proxy is not None else None
    if executor != RAY and secret is not None and not settings.ray.send_keys:
        raise ConsentError(
            f"not sent: {secret} of endpoint {endpoint!r} is in your settings, and workers of {executor} need it: set api_key_env (or HTTPS_PROXY) "
            "in their environment instead, or ray.send_keys = true to send it to the cluster"
        )
